"""Ends, the tracker's rules, and making good what was lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_cases import JOB, ended, forget, key_of, requested, staged, whole_job

from spaceport.pipeline import layout
from spaceport.pipeline.contract import AnyManifest, Failure, JobState, Outcome, StageName
from spaceport.pipeline.errors import Slug, UnknownJob
from spaceport.pipeline.jobs.ending import end_job, read_end, request_of, stop_job
from spaceport.pipeline.jobs.recovery import (
    pending_among,
    pending_manifest,
    rebuild_table,
    recover_jobs,
    unreadable_manifests,
)
from spaceport.pipeline.jobs.table import JobTable, LeaseAnswer
from spaceport.pipeline.jobs.tracker import on_batch_failed, on_manifest
from spaceport.pipeline.storage import Bucket

FULL = Failure(slug=Slug.DISK_FULL, sentence="full")


def put(bucket: Bucket, *made: AnyManifest) -> None:
    for manifest in made:
        bucket.put_manifest(key_of(manifest), manifest)


def test_the_first_end_wins(bucket: Bucket, table: JobTable) -> None:
    put(bucket, requested())
    first = stop_job(bucket, table, JOB)
    second = end_job(bucket, table, JOB, JobState.COMPLETED)
    assert second == first == read_end(bucket, JOB)
    row = table.get(JOB)
    assert row is not None
    assert row.state is JobState.STOPPED


def test_there_is_no_end_of_nothing(bucket: Bucket, table: JobTable) -> None:
    with pytest.raises(UnknownJob):
        stop_job(bucket, table, "no-such-job")


def test_an_end_of_another_kind_is_refused(bucket: Bucket) -> None:
    bucket.put_manifest(layout.end_key(JOB), requested())
    with pytest.raises(TypeError):
        read_end(bucket, JOB)


def test_a_continued_job_knows_its_request(bucket: Bucket) -> None:
    put(bucket, staged(StageName.TRAIN, continues="older-job"))
    assert request_of(bucket, JOB).continues == "older-job"


def degraded() -> AnyManifest:
    return staged(StageName.COMPRESS, outcome=Outcome(message="", degraded=FULL))


def uncompressed() -> AnyManifest:
    return staged(StageName.TRAIN, options={"compress_enabled": False})


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (staged(StageName.SFM), None),
        (staged(StageName.TRAIN), None),
        (uncompressed(), JobState.COMPLETED),
        (degraded(), JobState.COMPLETED_DEGRADED),
        (staged(StageName.COMPRESS), JobState.COMPLETED),
    ],
)
def test_which_manifest_ends_a_job(bucket: Bucket, table: JobTable, last: AnyManifest, state: JobState | None) -> None:
    put(bucket, requested(), last)
    on_manifest(bucket, table, key_of(last))
    end = read_end(bucket, JOB)
    assert (end.state if end else None) == state


def test_a_manifest_that_is_gone_is_no_news(bucket: Bucket, table: JobTable) -> None:
    on_manifest(bucket, table, layout.request_key(JOB))
    assert table.get(JOB) is None


@settings(max_examples=10)
@given(st.data())
def test_events_in_any_order_and_number_end_in_the_same_row(
    bucket: Bucket, table: JobTable, data: st.DataObject
) -> None:
    """Through the real bucket and table: every event one to three times, shuffled."""
    for item in list(bucket.list_objects("jobs/")):
        bucket.client.delete_object(Bucket=bucket.name, Key=item.key)
    forget(table, JOB)
    made = whole_job()[:-1]
    put(bucket, *made)
    keys = [key_of(manifest) for manifest in made for _ in range(data.draw(st.integers(1, 3)))]
    for key in data.draw(st.permutations(keys)):
        on_manifest(bucket, table, key)
    on_manifest(bucket, table, layout.end_key(JOB))
    row = table.get(JOB)
    assert row is not None
    assert (row.state, row.percent) == (JobState.COMPLETED, 100.0)
    assert set(row.outputs) == {"sfm", "train", "compress"}
    assert row.counts["photos"] == 18


@pytest.mark.parametrize(
    ("reason", "exit_code", "slug"),
    [
        ("Job attempt duration exceeded timeout", None, Slug.TIMED_OUT),
        ("Host EC2 (instance i-0) terminated.", None, Slug.MACHINE_LOST),
        ("OutOfMemoryError: Container killed", 137, Slug.OUT_OF_MEMORY),
        ("Essential container in task exited", 137, Slug.OUT_OF_MEMORY),
        ("Essential container in task exited", 75, Slug.MACHINE_LOST),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", None, Slug.NOT_SET_UP),
        ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", None, Slug.NOT_SET_UP),
        (
            "Task failed to start; CannotPullContainerError: Error response from daemon: not found",
            None,
            Slug.NOT_SET_UP,
        ),
        ("Task failed to start; CannotPullImageManifestError: i/o timeout", None, Slug.NOT_SET_UP),
        ("Essential container in task exited", 1, Slug.INTERNAL),
    ],
)
def test_what_a_dead_batch_job_is_called(
    bucket: Bucket, table: JobTable, reason: str, exit_code: int | None, slug: Slug
) -> None:
    put(bucket, requested())
    on_batch_failed(bucket, table, layout.request_key(JOB), "batch-1", reason, exit_code)
    end = read_end(bucket, JOB)
    assert end is not None
    assert end.failure is not None
    assert (end.state, end.failure.slug) == (JobState.FAILED, slug)


def test_the_stage_knows_better_why_it_failed(bucket: Bucket, table: JobTable) -> None:
    put(bucket, requested())
    table.acquire(JOB, StageName.SFM, "e", "batch-1", 1)
    table.release(JOB, StageName.SFM, "batch-1", 1.0, FULL)
    on_batch_failed(bucket, table, layout.request_key(JOB), "batch-1", "exited", 75)
    end = read_end(bucket, JOB)
    assert end is not None
    assert end.failure == FULL


def test_a_failed_duplicate_does_not_fail_the_job(bucket: Bucket, table: JobTable) -> None:
    put(bucket, requested())
    table.acquire(JOB, StageName.SFM, "e", "batch-1", 1)
    on_batch_failed(bucket, table, layout.request_key(JOB), "batch-2", "Host EC2", None)
    assert read_end(bucket, JOB) is None


def test_a_failure_after_the_manifest_is_no_failure(bucket: Bucket, table: JobTable) -> None:
    put(bucket, requested(), staged(StageName.SFM))
    on_batch_failed(bucket, table, layout.request_key(JOB), "batch-1", "Host EC2", None)
    assert read_end(bucket, JOB) is None


def test_failed_compression_delivers_the_model(bucket: Bucket, table: JobTable) -> None:
    put(bucket, requested(), staged(StageName.SFM), staged(StageName.TRAIN))
    on_batch_failed(bucket, table, key_of(staged(StageName.TRAIN)), "batch-1", "timeout", None)
    end = read_end(bucket, JOB)
    assert end is not None
    assert end.state is JobState.COMPLETED_DEGRADED


def test_who_is_woken_by_what() -> None:
    assert layout.stage_for_manifest(layout.request_key(JOB)) == (JOB, StageName.SFM)
    with pytest.raises(ValueError, match="no stage"):
        layout.stage_for_manifest(layout.end_key(JOB))


def test_the_table_is_made_again_from_the_bucket(bucket: Bucket, table: JobTable) -> None:
    put(bucket, *whole_job(), requested("other-job"))
    for manifest in whole_job():
        table.record(manifest)
    before = table.get(JOB)
    table.table.update_item(
        Key={"job_id": JOB, "record": "job"},
        UpdateExpression="SET #state = :wrong",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":wrong": "no such state"},
    )
    assert {job.job_id: job.problem for job in rebuild_table(bucket, table)} == {JOB: None, "other-job": None}
    assert table.get(JOB) == before
    assert table.get("other-job") is not None


def test_a_table_made_again_while_a_worker_works_keeps_its_claim(bucket: Bucket, table: JobTable) -> None:
    put(bucket, requested())
    assert table.acquire(JOB, StageName.SFM, "e", "batch-1", 1) is LeaseAnswer.GRANTED
    before = table.stages(JOB)
    rebuild_table(bucket, table)
    assert table.stages(JOB) == before
    assert table.acquire(JOB, StageName.SFM, "e", "batch-2", 1) is LeaseAnswer.BUSY
    assert table.finish(JOB, StageName.SFM, "batch-1")


def test_news_while_the_table_is_made_again_is_not_lost(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, requested())
    table.record(requested())
    replace = table.replace
    raced: list[bool] = []

    def racing(job_id: str, made: list[AnyManifest], version: int) -> bool:
        if not raced:
            raced.append(True)
            put(bucket, staged(StageName.SFM))
            table.record(staged(StageName.SFM))
        return replace(job_id, made, version)

    monkeypatch.setattr(table, "replace", racing)
    rebuild_table(bucket, table)
    row = table.get(JOB)
    assert row is not None
    assert set(row.outputs) == {"sfm"}


def test_what_a_job_waits_for(bucket: Bucket, table: JobTable) -> None:
    assert pending_manifest(bucket, JOB) is None
    made = whole_job()
    awaited = [StageName.SFM, StageName.TRAIN, StageName.COMPRESS, None]
    for manifest, stage in zip(made, awaited, strict=False):
        put(bucket, manifest)
        (job,) = recover_jobs(bucket, table)
        waiting = pending_among(job.manifests)
        assert waiting == pending_manifest(bucket, JOB)
        assert waiting is not None
        assert (waiting.key, waiting.stage) == (key_of(manifest), stage)
    put(bucket, ended())
    assert pending_manifest(bucket, JOB) is None


BROKEN = {
    "empty": (b"", "is empty"),
    "cut": (b'{"schema_version": 1, "kind": "req', "is cut off or no manifest at all"),
    "garbage": (b"\x00\xff\xfe", "is cut off or no manifest at all"),
    "list": (b"[]", "is cut off or no manifest at all"),
    "deep": (b"[" * 60_000, "is cut off or no manifest at all"),
    "newer": (b'{"schema_version": 2, "kind": "request"}', "is of schema version 2"),
    "other": (b'{"schema_version": 1, "kind": "request"}', "does not have the fields of a manifest"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_manifest_is_named_and_left_alone_and_the_other_jobs_are_recovered(
    bucket: Bucket, table: JobTable, name: str
) -> None:
    data, reason = BROKEN[name]
    put(bucket, *whole_job())
    key = layout.request_key("a-broken-job")
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
    put(bucket, requested("a-later-job"))
    jobs = {job.job_id: job.problem for job in recover_jobs(bucket, table)}
    assert jobs.keys() == {"a-broken-job", "a-later-job", JOB}
    assert (jobs["a-later-job"], jobs[JOB]) == (None, None)
    problem = jobs["a-broken-job"]
    assert problem is not None
    assert problem.startswith(f"{key} {reason}")
    assert list(unreadable_manifests(bucket)) == [problem]
    assert table.get("a-broken-job") is None
    assert table.get("a-later-job") is not None
    assert bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read() == data


def test_a_manifest_of_another_job_does_not_change_that_one(bucket: Bucket, table: JobTable) -> None:
    body = requested("victim").model_dump_json().encode()
    bucket.client.put_object(Bucket=bucket.name, Key=layout.request_key("intruder"), Body=body)
    (job,) = recover_jobs(bucket, table)
    assert (job.job_id, job.problem) == (
        "intruder",
        "jobs/intruder/request/manifest.json is a manifest of the job victim",
    )
    assert table.get("victim") is None
