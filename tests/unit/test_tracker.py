"""The tracker function: which news it takes, and what Batch's words become."""

from __future__ import annotations

import json
from typing import Any

import pytest
from function_cases import Context, deploy, event
from pipeline_cases import JOB, ended, key_of, requested, staged, whole_job

from functions.tracker.app import handler
from spaceport.pipeline.contract import AnyManifest, Failure, JobState, Outcome, StageName
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import request_key, stage_manifest_key
from spaceport.pipeline.storage import Bucket

COLMAP = f"jobs/{JOB}/colmap/manifest.json"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch)


def test_the_manifests_of_a_job_bring_its_row_to_the_end(bucket: Bucket, table: JobTable) -> None:
    *begun, _ = whole_job()
    for manifest in begun:
        bucket.put_manifest(key_of(manifest), manifest)
        for _ in range(2):  # at least once
            handler(event("colmap_manifest", key_of(manifest)), Context())
    row = table.get(JOB)
    assert row and row.state is JobState.COMPLETED and row.percent == 100.0
    assert sorted(row.outputs) == ["compress", "sfm", "train"]


def test_a_manifest_under_the_key_of_another_job_changes_neither(bucket: Bucket, table: JobTable) -> None:
    """It made a row of a job that has no manifest: the sweeper looked at it for ever."""
    bucket.client.put_object(Bucket=bucket.name, Key=request_key("intruder"), Body=requested().model_dump_json())
    with pytest.raises(ValueError, match="is a manifest of the job"):
        handler(event("request_manifest", request_key("intruder")), Context())
    assert table.get(JOB) is None and table.get("intruder") is None


def measured(manifest: AnyManifest, bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The metrics that a manifest brings about."""
    bucket.put_manifest(key_of(manifest), manifest)
    handler(event("colmap_manifest", key_of(manifest)), Context())
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]


def test_what_a_stage_takes_is_measured(bucket: Bucket, table: JobTable, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(message="done", counts={"photos": 18}, quality={"psnr_held_out": 27.5})
    lines = measured(staged(StageName.TRAIN, outcome=outcome), bucket, capsys)
    (figures,) = [line for line in lines if line.get("stage") == "train"]
    assert (figures["Photos"], figures["PSNR"]) == ([18.0], [27.5])
    assert {"Seconds", "Usd"} <= set(figures)
    assert [line["MachineSeconds"] for line in lines if "machine" in line] == [figures["Seconds"]]


def test_how_jobs_end_is_counted(bucket: Bucket, table: JobTable, capsys: pytest.CaptureFixture[str]) -> None:
    failure = Failure(slug=Slug.NO_OVERLAP, sentence="too little overlap")
    lines = measured(ended(JobState.FAILED).model_copy(update={"failure": failure}), bucket, capsys)
    assert [line["state"] for line in lines if "Ended" in line] == ["FAILED"]
    assert [line["slug"] for line in lines if "Failed" in line] == ["no_overlap"]


def test_the_log_says_which_job_failed_and_why(
    bucket: Bucket, table: JobTable, caplog: pytest.LogCaptureFixture
) -> None:
    failure = Failure(slug=Slug.NO_OVERLAP, sentence="too little overlap")
    manifest = ended(JobState.FAILED).model_copy(update={"failure": failure, "stage": StageName.SFM})
    bucket.put_manifest(key_of(manifest), manifest)
    handler(event("end_manifest", key_of(manifest)), Context())
    (line,) = [vars(record) for record in caplog.records if record.message == "job failed"]
    assert (line["stage"], line["slug"]) == ("sfm", "no_overlap")
    assert failure.sentence not in str(line), "sentences name files of the user"


@pytest.mark.parametrize("key", [f"jobs/{JOB}/extracted/colmap/manifest.json", "jobs/x/manifest.json", "else"])
def test_what_only_looks_like_a_manifest_is_left_alone(table: JobTable, key: str) -> None:
    handler(event("colmap_manifest", key), Context())
    assert table.get(JOB) is None


def test_what_is_no_manifest_is_an_error_and_so_a_dead_letter(bucket: Bucket) -> None:
    bucket.client.put_object(Bucket="pipeline", Key=COLMAP, Body=b"{}")
    with pytest.raises(ValueError, match="manifest"):
        handler(event("colmap_manifest", COLMAP), Context())


def test_an_event_that_no_rule_sends_is_an_error() -> None:
    with pytest.raises(ValueError, match="Scheduled Event"):
        handler(event("schedule"), Context())


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("batch_failed_bug", Slug.INTERNAL),
        ("batch_failed_memory", Slug.OUT_OF_MEMORY),
        ("batch_failed_host", Slug.MACHINE_LOST),
        ("batch_failed_timeout", Slug.TIMED_OUT),
        ("batch_failed_waiting", Slug.NEVER_STARTED),
    ],
)
def test_a_failed_batch_job_ends_its_job_with_the_reason(
    bucket: Bucket, table: JobTable, name: str, slug: Slug
) -> None:
    bucket.put_manifest(key_of(requested()), requested())
    for _ in range(2):
        handler(event(name, COLMAP), Context())
    row = table.get(JOB)
    assert row and row.state is JobState.FAILED
    assert row.failure and row.failure.slug is slug


def test_a_failed_batch_job_of_an_ended_job_changes_nothing(bucket: Bucket, table: JobTable) -> None:
    stopped = ended(JobState.STOPPED)
    bucket.put_manifest(key_of(stopped), stopped)
    table.record(stopped)
    handler(event("batch_failed_bug", COLMAP), Context())
    row = table.get(JOB)
    assert row and row.state is JobState.STOPPED


@pytest.mark.parametrize("key", ["", "something/else", stage_manifest_key(JOB, "compress")])  # type: ignore[arg-type]
def test_a_batch_job_of_others_is_left_alone_or_refused(table: JobTable, key: str) -> None:
    failed = event("batch_failed_bug")
    failed["detail"]["parameters"] = {"key": key} if key else None
    if key.startswith("jobs/"):
        with pytest.raises(ValueError, match="no stage is woken"):
            handler(failed, Context())
    else:
        handler(failed, Context())
    assert table.get(JOB) is None
