"""The sweeper: every way to go silent, and the least that helps."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from function_cases import Batch, Context, event
from pipeline_cases import JOB, key_of, requested, staged, whole_job
from sweeper_cases import Clock, begun, slug, state, sweep

from functions.sweeper import app
from functions.sweeper.heal import MAX_NUDGES
from functions.sweeper.silent import silent_jobs
from spaceport.pipeline.contract import Failure, JobState, StageName, now
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.recovery import pending_manifest
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import request_key
from spaceport.pipeline.storage import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


def test_a_job_that_wrote_its_row_is_left_alone_whatever_our_own_clock_says(
    batch: Batch, bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(bucket, table, requested(), at=now())
    batch.add("cpu", "batch-1", request_key(JOB))
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 86_400)
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
    batch: Batch, bucket: Bucket, table: JobTable, clock: Clock, nudges: list[str]
) -> None:
    begun(bucket, table, requested())
    table.acquire(JOB, StageName.SFM, "etag", "batch-1", 1)
    clock.now += 3600
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
    batch.add("cpu", "batch-1", request_key(JOB), status, now() if status == "RUNNING" else None)
    batch.add("gpu", "batch-2", request_key(JOB + "-2"), status, now() if status == "RUNNING" else None)
    assert sweep() == {"queued": 1}
    assert (nudges, batch.terminated) == ([], [])


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
