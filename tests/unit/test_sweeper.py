"""The sweeper: every way to go silent, and the least that helps."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from function_cases import Batch, Context, deploy, event
from pipeline_cases import JOB, key_of, requested, staged, whole_job

from functions.sweeper import app, heal
from functions.sweeper.heal import HUNG, INTERVAL, MAX_NUDGES
from functions.sweeper.silent import silent_jobs
from functions.sweeper.unneeded import UNNEEDED
from spaceport.pipeline.contract import Failure, JobState, StageName, now
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.ending import read_end
from spaceport.pipeline.jobs.recovery import pending_manifest
from spaceport.pipeline.jobs.table import JobTable, LeaseAnswer
from spaceport.pipeline.jobs.tracker import on_batch_failed
from spaceport.pipeline.layout import request_key, stage_manifest_key
from spaceport.pipeline.storage import Bucket

LIMIT = 4 * INTERVAL
LONG_AGO = now() - timedelta(days=1)
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


class EndingBatch(Batch):
    """One in which jobs end when they are terminated."""

    def terminate_job(self, jobId: str, reason: str) -> None:
        super().terminate_job(jobId, reason)
        for queue in self.jobs.values():
            queue[:] = [job for job in queue if job["jobId"] != jobId]


@pytest.fixture
def batch(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> Batch:
    deploy(monkeypatch)
    fake = EndingBatch()
    monkeypatch.setattr(app, "batch", lambda: fake)
    monkeypatch.setattr(app, "table", lambda: table)
    return fake


class Clock:
    """The table's."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def before(self, **ago: float) -> datetime:
        return datetime.fromtimestamp(self.now, UTC) - timedelta(**ago)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heal, "MAX_QUEUED", LIMIT)
    monkeypatch.setattr(heal, "MAX_STANDSTILL", dict.fromkeys(StageName, LIMIT))


@pytest.fixture
def clock(table: JobTable) -> Clock:
    clock = table.clock = Clock()
    return clock


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


def sweep_later(clock: Clock) -> str:
    """The action of the next run, which has one job to see to; empty when nothing was done."""
    clock.now += INTERVAL.total_seconds()
    actions = sweep()
    assert sum(actions.values()) <= 1
    return next(iter(actions), "")


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


@pytest.mark.usefixtures("_impatient")
def test_a_job_that_never_leaves_a_queue_that_stands_still_is_given_up(
    batch: Batch, bucket: Bucket, table: JobTable, clock: Clock
) -> None:
    begun(bucket, table, requested())
    batch.add("cpu", "batch-1", request_key(JOB), "RUNNABLE")
    for _ in range(LIMIT // INTERVAL - 1):
        assert sweep_later(clock) == "queued"
    assert sweep_later(clock) == "unqueued"
    assert batch.terminated == ["batch-1"]
    assert slug(bucket) is Slug.NEVER_STARTED


@pytest.mark.usefixtures("_impatient")
def test_a_job_waits_its_turn_however_long_the_others_take(
    batch: Batch, bucket: Bucket, table: JobTable, clock: Clock
) -> None:
    begun(bucket, table, requested())
    batch.add("cpu", "batch-1", request_key(JOB), "RUNNABLE")
    batch.add("cpu", "batch-2", request_key("other-job"), "RUNNING", clock.before(hours=1))
    for _ in range(LIMIT // INTERVAL + 1):
        assert sweep_later(clock) == "queued"
    assert batch.terminated == []


@pytest.fixture
def hung(batch: Batch, bucket: Bucket, table: JobTable, clock: Clock) -> Batch:
    """A worker that has not renewed its lease for an hour, and whose Batch job runs."""
    begun(bucket, table, requested())
    table.acquire(JOB, StageName.SFM, "etag", "hung", 1)
    clock.now += 3600
    batch.add("cpu", "hung", request_key(JOB), "RUNNING", clock.before(hours=1))
    return batch


def test_a_hung_worker_is_ended_and_its_stage_begins_again(
    hung: Batch, bucket: Bucket, table: JobTable, clock: Clock, nudges: list[str]
) -> None:
    assert sweep_later(clock) == "suspected"
    assert (hung.terminated, nudges) == ([], [])
    assert sweep_later(clock) == "terminated"
    assert (hung.terminated, nudges) == (["hung"], [request_key(JOB)])
    on_batch_failed(bucket, table, request_key(JOB), "hung", HUNG, 137)
    assert read_end(bucket, JOB) is None, "the end of a hung worker is no failure of its job"
    assert table.acquire(JOB, StageName.SFM, "etag", "next", 1) is LeaseAnswer.GRANTED
    on_batch_failed(bucket, table, request_key(JOB), "next", "Essential container in task exited", 1)
    assert slug(bucket) is Slug.INTERNAL, "the end of any other is"


def test_a_worker_that_wakes_between_two_looks_goes_on(
    hung: Batch, bucket: Bucket, table: JobTable, clock: Clock, nudges: list[str]
) -> None:
    """As on a laptop that slept: every lease has expired, and every worker lives."""
    assert sweep_later(clock) == "suspected"
    assert sweep() == {"suspected": 1}, "a second look at once says no more than the first"
    assert table.renew(JOB, StageName.SFM, "hung", 1.0)
    assert sweep() == {"working": 1}
    clock.now += 86_400
    assert sweep() == {"suspected": 1}
    assert (hung.terminated, nudges) == ([], [])


def test_behind_a_hung_worker_the_one_that_waits_comes_next(
    hung: Batch, bucket: Bucket, clock: Clock, nudges: list[str]
) -> None:
    hung.add("cpu", "waits", request_key(JOB))
    hung.add("cpu", "other", request_key("other-job"))
    assert [sweep_later(clock) for _ in range(2)] == ["suspected", "terminated"]
    assert (hung.terminated, nudges) == (["hung"], [])
    assert sweep_later(clock) == "queued"


def test_a_stage_that_hangs_every_time_is_given_up_with_all_its_batch_jobs(
    hung: Batch, bucket: Bucket, table: JobTable, clock: Clock, nudges: list[str]
) -> None:
    for number in range(MAX_NUDGES):
        assert [sweep_later(clock) for _ in range(2)] == ["suspected", "terminated"]
        table.acquire(JOB, StageName.SFM, "etag", f"hung-{number}", 1)
        clock.now += 3600
        hung.add("cpu", f"hung-{number}", request_key(JOB), "RUNNING", clock.before(hours=1))
    hung.add("cpu", "waits", request_key(JOB))
    assert [sweep_later(clock) for _ in range(2)] == ["suspected", "ended"]
    assert hung.terminated == ["hung", *(f"hung-{number}" for number in range(MAX_NUDGES)), "waits"]
    assert len(nudges) == MAX_NUDGES
    assert slug(bucket) is Slug.MACHINE_LOST
    assert sweep() == {}


def test_a_worker_that_never_takes_the_lease_is_ended(
    batch: Batch, bucket: Bucket, table: JobTable, clock: Clock
) -> None:
    begun(bucket, table, requested())
    batch.add("cpu", "hung", request_key(JOB), "RUNNING", clock.before(minutes=1))
    assert [sweep_later(clock) for _ in range(4)] == ["queued", "suspected", "terminated", "nudged"]
    assert batch.terminated == ["hung"]


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("stage", StageName)
def test_a_worker_that_only_renews_its_lease_is_given_up(
    batch: Batch, bucket: Bucket, table: JobTable, clock: Clock, stage: StageName
) -> None:
    stages = list(StageName)
    begun(bucket, table, requested(), *(staged(each) for each in stages[: stages.index(stage)]))
    key = pending_manifest(bucket, JOB)
    assert key
    batch.add("cpu", "hung", key.key, "RUNNING", clock.before(minutes=1))
    table.acquire(JOB, stage, "etag", "hung", 1)
    runs = 0
    while sweep_holding(table, clock, stage) == "working":
        runs += 1
    assert (runs + 1) * INTERVAL == LIMIT
    assert batch.terminated == ["hung"]
    assert slug(bucket) is Slug.TIMED_OUT


@pytest.mark.usefixtures("_impatient")
def test_a_worker_that_reports_progress_now_and_then_is_left_alone(
    batch: Batch, bucket: Bucket, table: JobTable, clock: Clock
) -> None:
    begun(bucket, table, requested())
    table.acquire(JOB, StageName.SFM, "etag", "slow", 1)
    for number in range(2 * (LIMIT // INTERVAL)):
        if number % 3 == 0:  # its row stays silent all the same, as one of a job whose beats got lost for a while
            table.table.update_item(
                Key={"job_id": JOB, "record": "job"},
                UpdateExpression="ADD #version :one",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={":one": 1},
            )
        assert sweep_holding(table, clock, StageName.SFM) == "working"


def sweep_holding(table: JobTable, clock: Clock, stage: StageName) -> str:
    """The next run, before which the worker has renewed its lease."""
    clock.now += INTERVAL.total_seconds()
    (row,) = [row for each, row in table.stages(JOB).items() if each is stage]
    assert table.renew(JOB, stage, row.holder, 1.0)
    clock.now -= INTERVAL.total_seconds()
    return sweep_later(clock)


def test_batch_jobs_of_a_job_that_ended_are_ended(batch: Batch, bucket: Bucket, table: JobTable, clock: Clock) -> None:
    begun(bucket, table, *whole_job())
    batch.add("cpu", "waits", request_key(JOB))
    batch.add("gpu", "runs", stage_manifest_key(JOB, StageName.SFM), "RUNNING", clock.before(hours=1))
    batch.add("cpu", "foreign", "some/key")
    assert [sweep_later(clock) for _ in range(3)] == ["unneeded", "unneeded", ""]
    assert batch.terminated == ["waits", "runs"]


def test_batch_jobs_of_a_stage_that_is_done_are_ended_and_its_job_goes_on(
    batch: Batch, bucket: Bucket, table: JobTable, clock: Clock
) -> None:
    begun(bucket, table, requested(), staged(StageName.SFM), at=clock.before(seconds=1))
    batch.add("cpu", "runs", request_key(JOB), "RUNNING", clock.before(hours=1))
    batch.add("gpu", "next", stage_manifest_key(JOB, StageName.SFM))
    assert sweep() == {}
    assert sweep_later(clock) == "unneeded"
    assert batch.terminated == ["runs"]
    on_batch_failed(bucket, table, request_key(JOB), "runs", UNNEEDED, 143)
    assert read_end(bucket, JOB) is None


def test_a_worker_that_another_one_superseded_is_ended(
    batch: Batch, bucket: Bucket, table: JobTable, clock: Clock
) -> None:
    begun(bucket, table, requested(), at=clock.before(seconds=1))
    for batch_id in ("old", "holder"):
        batch.add("cpu", batch_id, request_key(JOB), "RUNNING", clock.before(hours=1))
    batch.add("cpu", "waits", request_key(JOB))
    table.acquire(JOB, StageName.SFM, "etag", "holder", 1)
    assert sweep() == {}
    clock.now += 100
    table.renew(JOB, StageName.SFM, "holder", 1.0)
    assert sweep() == {"unneeded": 1}
    assert batch.terminated == ["old"]
    table.release(JOB, StageName.SFM, "holder", 1.0)
    on_batch_failed(bucket, table, request_key(JOB), "old", UNNEEDED, 143)
    assert read_end(bucket, JOB) is None


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
