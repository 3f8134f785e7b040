"""The sweeper: every way to go silent, and the least that helps."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from function_cases import Batch, Context, deploy, event
from pipeline_cases import JOB, key_of, requested, staged, whole_job

from functions.sweeper import app
from functions.sweeper.heal import MAX_NUDGES, MAX_QUEUED
from functions.sweeper.silent import silent_jobs
from spaceport.pipeline.contract import Failure, JobState, StageName, now
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.ending import read_end
from spaceport.pipeline.jobs.recovery import pending_manifest
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import request_key
from spaceport.pipeline.storage import Bucket

LONG_AGO = now() - timedelta(days=1)
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture
def batch(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> Batch:
    deploy(monkeypatch)
    fake = Batch()
    monkeypatch.setattr(app, "batch", lambda: fake)
    return fake


@pytest.fixture
def nudges(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were nudged."""
    seen: list[str] = []
    nudge = Bucket.nudge

    def record(self: Bucket, key: str) -> None:
        seen.append(key)
        nudge(self, key)

    monkeypatch.setattr(Bucket, "nudge", record)
    return seen


def sweep() -> dict[str, int]:
    actions: dict[str, int] = app.handler(event("schedule"), Context())
    return actions


def begun(bucket: Bucket, table: JobTable, *manifests: Any, at: Any = LONG_AGO, job_id: str = JOB) -> None:
    """A job whose manifests were written and recorded at some time."""
    for each in manifests:
        request = each.request.model_copy(update={"received_at": at})
        manifest = each.model_copy(update={"created_at": at, "request": request, "job_id": job_id})
        bucket.put_manifest(key_of(manifest), manifest)
        table.record(manifest)


def state(table: JobTable) -> JobState:
    row = table.get(JOB)
    assert row
    return row.state


def slug(bucket: Bucket) -> Slug:
    end = read_end(bucket, JOB)
    assert end and end.failure
    return end.failure.slug


def test_nothing_silent_costs_no_call_of_batch(batch: Batch, bucket: Bucket, table: JobTable) -> None:
    begun(bucket, table, requested(), at=now())
    batch.jobs = None  # type: ignore[assignment]  # any question to Batch would fail
    assert sweep() == {}


def test_a_manifest_that_woke_nobody_is_nudged_and_at_last_given_up(
    batch: Batch, bucket: Bucket, table: JobTable, nudges: list[str]
) -> None:
    begun(bucket, table, requested())
    before = pending_manifest(bucket, JOB)
    for _ in range(MAX_NUDGES):
        assert sweep() == {"nudged": 1}
    assert nudges == [request_key(JOB)] * MAX_NUDGES
    assert pending_manifest(bucket, JOB) == before  # a nudge changes nothing, the etag neither
    assert sweep() == {"ended": 1}
    assert (state(table), slug(bucket)) == (JobState.FAILED, Slug.NEVER_STARTED)
    assert sweep() == {}


def test_a_lease_that_ran_out_is_nudged_and_at_last_a_lost_machine(
    batch: Batch, bucket: Bucket, table: JobTable, nudges: list[str]
) -> None:
    begun(bucket, table, requested())
    table.clock = lambda: time.time() - 3600
    table.acquire(JOB, StageName.SFM, "etag", "batch-1", 1)
    for _ in range(MAX_NUDGES):
        sweep()
    assert len(nudges) == MAX_NUDGES
    assert sweep() == {"ended": 1}
    assert slug(bucket) is Slug.MACHINE_LOST


def test_the_last_worker_knows_best_why(batch: Batch, bucket: Bucket, table: JobTable) -> None:
    begun(bucket, table, requested())
    table.acquire(JOB, StageName.SFM, "etag", "batch-1", 1)
    full = Failure(slug=Slug.DISK_FULL, sentence="The disk was full.")
    table.release(JOB, StageName.SFM, "batch-1", 1.0, full)
    for _ in range(MAX_NUDGES + 1):
        sweep()
    assert slug(bucket) is Slug.DISK_FULL


def test_a_compression_that_never_comes_still_delivers_the_model(batch: Batch, bucket: Bucket, table: JobTable) -> None:
    begun(bucket, table, requested(), staged(StageName.SFM), staged(StageName.TRAIN))
    for _ in range(MAX_NUDGES + 1):
        sweep()
    assert state(table) is JobState.COMPLETED_DEGRADED


def test_who_holds_a_live_lease_is_left_alone(batch: Batch, bucket: Bucket, table: JobTable, nudges: list[str]) -> None:
    begun(bucket, table, requested())
    table.acquire(JOB, StageName.SFM, "etag", "batch-1", 1)
    assert sweep() == {"working": 1}
    assert nudges == []


@pytest.mark.parametrize("status", ["SUBMITTED", "RUNNABLE", "STARTING", "RUNNING"])
def test_a_job_in_the_queue_is_left_alone(
    batch: Batch, bucket: Bucket, table: JobTable, nudges: list[str], status: str
) -> None:
    begun(bucket, table, requested())
    batch.add("cpu", "batch-1", request_key(JOB), status, milliseconds(now()))
    batch.add("gpu", "batch-2", request_key(JOB + "-2"), status, milliseconds(LONG_AGO))
    assert sweep() == {"queued": 1}
    assert (nudges, batch.terminated) == ([], [])


def test_a_job_that_never_leaves_the_queue_is_taken_out_and_told(batch: Batch, bucket: Bucket, table: JobTable) -> None:
    begun(bucket, table, requested())
    batch.add("cpu", "batch-1", request_key(JOB), "RUNNABLE", milliseconds(now() - MAX_QUEUED * 1.1))
    assert sweep() == {"unqueued": 1}
    assert batch.terminated == ["batch-1"]
    assert slug(bucket) is Slug.NEVER_STARTED


def test_news_that_the_table_never_heard_is_recorded(batch: Batch, bucket: Bucket, table: JobTable) -> None:
    *manifests, _ = whole_job()
    begun(bucket, table, manifests[0])
    for manifest in manifests[1:]:
        bucket.put_manifest(key_of(manifest), manifest)
    assert sweep() == {"recorded": 1}
    assert state(table) is JobState.COMPLETED


def test_one_job_that_cannot_be_helped_keeps_no_other_waiting(
    batch: Batch, bucket: Bucket, table: JobTable, nudges: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    begun(bucket, table, requested())
    begun(bucket, table, requested(), job_id="other-job")
    bucket.client.put_object(Bucket="pipeline", Key=request_key(JOB), Body=b"{}")
    assert sweep() == {"failed": 1, "nudged": 1}
    assert nudges == [request_key("other-job")]
    assert '"Unhealed":[1.0]' in capsys.readouterr().out


def test_the_sweeper_stops_before_it_is_stopped(batch: Batch, bucket: Bucket, table: JobTable) -> None:
    begun(bucket, table, requested())
    assert app.handler(event("schedule"), Context(left=1_000)) == {}


def test_silent_jobs_come_page_by_page_and_the_oldest_first(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (1, 3, 2):
        begun(bucket, table, requested(), at=now() - timedelta(days=days), job_id=f"job-of-{days}-days")
    query = table.table.query
    monkeypatch.setattr(table.table, "query", lambda **arguments: query(**arguments, Limit=1), raising=False)
    job_ids = list(silent_jobs(table, now() - timedelta(hours=36)))
    assert job_ids == ["job-of-3-days", "job-of-2-days"]


def milliseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1000)
