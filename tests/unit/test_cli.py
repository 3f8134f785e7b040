"""The command line against an in-process S3 and DynamoDB: what it shows, and how it exits."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import EndpointConnectionError
from pipeline_cases import JOB, ended, forget, key_of, photo_zip, requested, staged, whole_job
from rich.console import Console
from typer.testing import CliRunner

from spaceport.cli import app, connect, jobs, run
from spaceport.cli import watch as watching
from spaceport.cli.deployment import Deployment, NotDeployed
from spaceport.cli.results import download_results
from spaceport.cli.run import results_beside
from spaceport.cli.watch import JobNotStarted, StageBars, StageLines, details, fraction
from spaceport.local import state as state_folder
from spaceport.local.errors import CloudDied, StateUnusable
from spaceport.local.state import NEEDED
from spaceport.pipeline.addresses import keep_own_address, new_link, read_address
from spaceport.pipeline.contract import Artefact, JobState, StageManifest, StageName
from spaceport.pipeline.errors import Refused
from spaceport.pipeline.jobs.state import Beat, JobRecord, advance
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import TENANTS, end_key
from spaceport.pipeline.storage import Bucket


class NoBatch:
    """A Batch without jobs."""

    def get_paginator(self, name: str) -> NoBatch:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"jobSummaryList": []}]

    def terminate_job(self, **_: Any) -> None:
        raise AssertionError("there is no job to end")


@pytest.fixture
def deployment(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    page = "https://splats.example/"
    made = Deployment(bucket, uploads, table, NoBatch(), ("cpu",), page_url=page)  # type: ignore[arg-type]

    @contextmanager
    def find(stack: str | None, state: Path, *, start: bool) -> Iterator[Deployment]:
        yield made

    monkeypatch.setattr(connect, "find", find)
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.0)
    return made


def call(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def tell(deployment: Deployment, *manifests: Any) -> None:
    for manifest in manifests:
        deployment.bucket.put_manifest(key_of(manifest), manifest)
        deployment.table.record(manifest)


def test_help_teaches() -> None:
    text = call("--help")
    for command in ("run", "demo", "up", "jobs", "status", "stop", "retry", "fetch", "options", "rebuild-table"):
        assert command in text


def test_options_describe_themselves() -> None:
    text = call("options")
    assert "max_iterations" in text
    assert "sfm" in text
    assert json.loads(call("options", "--json"))["title"] == "JobOptions"


def test_jobs_and_status(deployment: Deployment) -> None:
    assert "no jobs yet" in call("jobs")
    tell(deployment, *whole_job())
    assert JOB in call("jobs")
    assert "no jobs yet" in call("jobs", "--in", "FAILED")
    assert "COMPLETED" in call("status", JOB)
    assert json.loads(call("status", JOB, "--json"))["counts"]["gaussians"] == 3000
    call("status", "no-such-job", code=1)


def test_stop_and_retry(deployment: Deployment) -> None:
    tell(deployment, requested(), staged(StageName.SFM))
    call("retry", JOB, code=1)
    assert "is stopped" in call("stop", JOB)
    assert deployment.bucket.exists(end_key(JOB))
    assert "goes on from train" in call("retry", JOB)
    tell(deployment, *(whole_job()[3:4]))
    call("retry", JOB, "--from", "sfm")
    call("stop", "no-such-job", code=1)


def finished(deployment: Deployment, stage: StageName, path: str) -> StageManifest:
    """A stage's manifest with one artefact, which is in the bucket."""
    artefact = Artefact(key=f"jobs/{JOB}/{path}", bytes=4)
    deployment.bucket.client.put_object(Bucket=deployment.bucket.name, Key=artefact.key, Body=b"some")
    return staged(stage).model_copy(update={"artefacts": [artefact]})


def test_fetch_brings_what_there_is_and_says_what_it_is(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call("fetch", "no-such-job", code=1)
    tell(deployment, requested())
    assert "nothing to fetch yet" in call("fetch", JOB, code=1)
    tell(deployment, finished(deployment, StageName.SFM, "colmap/report.json"))
    output = call("fetch", JOB)
    assert "still running" in output
    assert "finished so far" in output
    assert (tmp_path / JOB / "colmap/report.json").read_bytes() == b"some"
    tell(deployment, finished(deployment, StageName.TRAIN, "gaussian/model.ply"), ended(JobState.STOPPED))
    output = call("fetch", JOB, "--out", str(tmp_path / "out"))
    assert f"Results are in {tmp_path / 'out'}" in output.replace("\n", " ")
    assert "still running" not in output
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["model.ply", "report.json"]


@pytest.mark.parametrize("error", [CloudDied("It has ended."), EndpointConnectionError(endpoint_url="x")])
def test_who_loses_the_cloud_reads_how_to_get_the_results(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def lost(*_: object) -> None:
        raise error

    monkeypatch.setattr(run, "watch", lost)
    (tmp_path / "a.zip").write_bytes(photo_zip())
    result = CliRunner().invoke(app, ["run", str(tmp_path / "a.zip"), "--state", str(tmp_path)])
    assert result.exception is error
    assert "spaceport up" in result.output
    assert "spaceport fetch a-" in result.output


def test_forget_asks_first_and_then_leaves_nothing(deployment: Deployment) -> None:
    tell(deployment, *whole_job())
    assert "for good?" in CliRunner().invoke(app, ["forget", JOB], input="n\n").output
    assert deployment.table.get(JOB)
    assert "is forgotten" in call("forget", JOB, "--yes")
    assert deployment.table.get(JOB) is None
    assert not deployment.bucket.has_any(f"jobs/{JOB}/")
    assert "Name a job, or an address" in call("forget", code=1)


def test_forgetting_a_person_erases_the_address_too_and_no_other(deployment: Deployment) -> None:
    tell(deployment, *whole_job())
    email = deployment.table.get(JOB).email  # type: ignore[union-attr]
    assert email
    for tenant in ("default", "firm"):
        new_link(deployment.bucket, tenant, email)
        keep_own_address(deployment.bucket, tenant, email, "user:1")
        new_link(deployment.bucket, tenant, "other@example.com")
    assert f"{email.upper()} is forgotten: 4 objects" in call("forget", "--email", email.upper(), "--yes")
    assert deployment.table.get(JOB) is None
    left = [item.key for item in deployment.bucket.list_objects("tenants/")]
    assert len(left) == 2 and all(
        read_address(deployment.bucket, name, "other@example.com") for name in ("default", "firm")
    )
    assert "nothing of nobody@example.com" in call("forget", "--email", "nobody@example.com", "--yes", code=1)


def test_an_upload_that_does_not_fit_is_a_sentence(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise S3UploadFailedError("Failed to upload a.zip: the disk of the embedded cloud is full")

    monkeypatch.setattr(deployment.uploads.client, "upload_file", full)
    (tmp_path / "a.zip").write_bytes(photo_zip())
    assert "is full" in call("run", str(tmp_path / "a.zip"), "--state", str(tmp_path), code=1)


def test_a_job_for_which_there_is_no_room_is_not_begun(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_folder, "free_bytes", lambda _: NEEDED)
    (tmp_path / "a.zip").write_bytes(photo_zip())
    result = CliRunner().invoke(app, ["run", str(tmp_path / "a.zip"), "--state", str(tmp_path)])
    assert isinstance(result.exception, StateUnusable)
    assert deployment.table.by_state(JobState.RECEIVED) == []


def test_a_bug_in_retry_is_no_unknown_job(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("some dictionary")

    monkeypatch.setattr(jobs, "continue_job", broken)
    tell(deployment, *whole_job())
    result = CliRunner().invoke(app, ["retry", JOB])
    assert isinstance(result.exception, KeyError)
    assert "nothing from which" not in result.output


def test_a_completed_job_cannot_be_stopped(deployment: Deployment) -> None:
    tell(deployment, *whole_job())
    call("stop", JOB, code=1)


def test_rebuild_table(deployment: Deployment) -> None:
    tell(deployment, *whole_job())
    forget(deployment.table, JOB)
    assert "1 jobs" in call("rebuild-table")
    assert deployment.table.get(JOB) is not None


def test_names_of_users_are_text(deployment: Deployment) -> None:
    """They once ended `jobs` and `status` for all, as markup that rich could not read, or reached the terminal."""
    for job_id, name in {"markup-job": "[/oops] twice", "escape-job": "\x1b[2J\x1b]0;x\x07"}.items():
        end = ended(JobState.REJECTED, job_id).model_copy(update={"message": f"It holds {name}."})
        deployment.table.record(end)
    output = call("jobs") + call("status", "markup-job") + call("status", "escape-job")
    assert output.count("[/oops] twice") == 2
    assert "\x1b" not in output
    assert output.count("\\x1b[2J\\x1b]0;x\\x07") == 2


def test_doctor_names_what_is_broken(deployment: Deployment) -> None:
    assert call("doctor") == "Nothing is wrong.\n"
    deployment.bucket.client.put_object(
        Bucket=deployment.bucket.name, Key="jobs/a-cut-job/end/manifest.json", Body=b"{"
    )
    assert "jobs/a-cut-job/end/manifest.json is cut off" in call("doctor", code=1)
    assert "Left alone: jobs/a-cut-job/end/manifest.json" in call("rebuild-table")
    deployment.bucket.client.put_object(Bucket=deployment.bucket.name, Key=TENANTS, Body=b'{"tenants": {"acme": 5}}')
    assert "tenants.json cannot be used: tenants.acme" in call("doctor", code=1)


def test_tenants_are_shown_where_there_are_any(deployment: Deployment) -> None:
    tell(deployment, requested())
    assert "default" not in call("jobs")
    tell(deployment, requested("other-job", tenant="acme"))
    assert "acme" in call("jobs")


@pytest.mark.parametrize(
    ("state", "code"),
    [(JobState.COMPLETED, 0), (JobState.COMPLETED_DEGRADED, 3), (JobState.FAILED, 1), (JobState.REJECTED, 1)],
)
def test_run_uploads_waits_and_takes_home(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: JobState, code: int
) -> None:
    """A pipeline that answers at once: as soon as the zip is up, the job's manifests are there."""
    upload = deployment.uploads.client.upload_file
    seen: dict[str, Any] = {}

    def answering(path: str, bucket: str, key: str, ExtraArgs: Any) -> None:
        upload(path, bucket, key, ExtraArgs=ExtraArgs)
        seen.update(ExtraArgs["Metadata"])
        job_id = seen["job-id"]
        model = Artefact(key=f"jobs/{job_id}/compressed/model.sog", bytes=4)
        deployment.bucket.client.put_object(Bucket="pipeline", Key=model.key, Body=b"SOG!")
        last = staged(StageName.COMPRESS, job_id).model_copy(update={"artefacts": [model]})
        tell(deployment, requested(job_id), last, ended(state, job_id))

    monkeypatch.setattr(deployment.uploads.client, "upload_file", answering)
    (tmp_path / "Größe.zip").write_bytes(photo_zip())
    out = tmp_path / "out"
    arguments = ("run", str(tmp_path / "Größe.zip"), "--out", str(out), "--preset", "draft", "--email", "a@b.org")
    output = call(*arguments, "--stack", "spaceport", code=code)
    assert "Nobody has confirmed a@b.org" in output
    assert output.endswith(f"In a browser: https://splats.example/?job={seen['job-id']}\n")
    assert (out / "compressed/model.sog").read_bytes() == b"SOG!"
    assert json.loads(seen["options"]) == {"preset": "draft"}
    assert (seen["job-name"], seen["email"]) == ("Gr%C3%B6%C3%9Fe", "a@b.org")


def test_no_page_is_named_where_none_will_be(deployment: Deployment, tmp_path: Path) -> None:
    assert connect.job_line(None, tmp_path, deployment, JOB) is None, "its cloud has ended with the command"
    assert connect.job_line("spaceport", tmp_path, replace(deployment, page_url=""), JOB) is None


def test_a_link_to_the_page_of_a_stack(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(deployment, requested(JOB))
    assert call("link", "--stack", "spaceport") == "https://splats.example/\n"
    assert call("link", JOB, "--stack", "spaceport") == f"https://splats.example/?job={JOB}\n"
    refused = CliRunner().invoke(app, ["link", "nowhere", "--stack", "spaceport"]).exception
    assert str(refused) == "There is no job nowhere. `spaceport jobs` lists all jobs."
    monkeypatch.setattr(connect, "find", lambda *_, **__: nullcontext(replace(deployment, page_url="")))
    call("link", "--stack", "spaceport", code=1)


def test_whose_mails_need_no_confirmation(deployment: Deployment) -> None:
    assert not deployment.may_mail("a@b.org")
    assert replace(deployment, mail_domains="b.org").may_mail("a@b.org")
    deployment.bucket.put_small(TENANTS, b'{"tenants": {"default": {"mail": ["a@b.org"]}}}')
    assert deployment.may_mail("a@b.org")


def test_a_zip_that_cannot_be_used_is_refused_before_anything_is_sent(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*_: Any, **__: Any) -> None:
        raise AssertionError("sent")

    monkeypatch.setattr(deployment.uploads.client, "upload_file", send)
    (tmp_path / "a.zip").write_bytes(b"Rar!\x1a\x07\0")
    result = CliRunner().invoke(app, ["run", str(tmp_path / "a.zip")])
    assert isinstance(result.exception, Refused)
    assert "a RAR archive" in str(result.exception)


def test_results_lie_beside_the_zip(tmp_path: Path) -> None:
    assert results_beside(tmp_path / "survey.zip") == tmp_path / "survey"
    assert results_beside(tmp_path / "survey") == tmp_path / "survey-out"


def test_ctrl_c_stops_the_job(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(table: JobTable, job_id: str, *_: object) -> None:
        tell(deployment, requested(job_id))
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "watch", interrupted)
    (tmp_path / "a.zip").write_bytes(photo_zip())
    output = call("run", str(tmp_path / "a.zip"), code=130)
    assert "spaceport fetch a-" in output
    assert "spaceport retry a-" in output
    assert deployment.table.by_state(JobState.STOPPED)


def test_ctrl_c_before_the_job_has_begun_stops_it_then(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded: list[str] = []

    def interrupted(table: JobTable, job_id: str, *_: object) -> None:
        uploaded.append(job_id)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "watch", interrupted)
    monkeypatch.setattr("spaceport.cli.watch.time.sleep", lambda _: tell(deployment, requested(uploaded[0])))
    (tmp_path / "a.zip").write_bytes(photo_zip())
    assert "Stopping, as soon as the job has begun." in call("run", str(tmp_path / "a.zip"), code=130)
    assert [row.job_id for row in deployment.table.by_state(JobState.STOPPED)] == uploaded


def test_an_upload_without_a_job_is_noticed(table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.0)
    with pytest.raises(JobNotStarted, match="within 0 seconds"):
        watching.watch(table, JOB, Console(file=io.StringIO()))


def test_results_stay_in_their_folder(deployment: Deployment, tmp_path: Path) -> None:
    wild = Artefact(key=f"jobs/{JOB}/compressed/../../../evil", bytes=1)
    tell(deployment, requested(), staged(StageName.COMPRESS).model_copy(update={"artefacts": [wild]}))
    assert download_results(deployment.bucket, JOB, tmp_path / "out") == []


def test_no_cloud_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotDeployed, match="spaceport up"), connect.find(None, tmp_path, start=False):
        pass


def row(percent: float) -> JobRecord:
    made = advance(None, requested())
    assert made is not None
    beat = Beat(StageName.TRAIN, 0.5, "Training", {"psnr": 24.25, "gaussians": 12345}, requested().created_at)
    moved = advance(made, beat)
    assert moved is not None
    return moved.model_copy(update={"percent": percent})


@pytest.mark.parametrize(("percent", "parts"), [(0, (0, 0, 0)), (25, (1, 0, 0)), (57.5, (1, 0.5, 0)), (100, (1, 1, 1))])
def test_each_stage_has_its_part_of_the_whole(percent: float, parts: tuple[float, ...]) -> None:
    assert tuple(fraction(row(percent), stage) for stage in StageName) == parts


def test_figures_are_shown_with_units() -> None:
    assert details({"psnr": 24.25, "gaussians": 12345, "other": 1}) == "12,345 Gaussians · 24.2 dB"


def test_plain_lines_come_every_few_percent() -> None:
    file = io.StringIO()
    lines = StageLines(Console(file=file, width=200))
    for percent in (30, 31, 34.9, 35, 36, 41):
        lines.show(row(percent))
    assert [line.split()[0] for line in file.getvalue().splitlines()] == ["30.0", "35.0", "41.0"]


def test_bars_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with StageBars(console) as bars:
        bars.show(row(57.5))
        assert [(task.description, task.completed) for task in bars.tasks] == [
            ("Structure from motion", 1.0),
            ("Training", 0.5),
        ]
