"""The sweeper and what stands still: queues, workers that hang, and Batch jobs that nobody needs."""

from __future__ import annotations

import pytest
from function_cases import Batch
from pipeline_cases import JOB, requested, staged, whole_job
from sweeper_cases import LIMIT, Clock, begun, slug, sweep, sweep_later

from functions.sweeper.heal import HUNG, INTERVAL, MAX_NUDGES
from functions.sweeper.unneeded import UNNEEDED
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.ending import read_end
from spaceport.pipeline.jobs.recovery import pending_manifest
from spaceport.pipeline.jobs.table import JobTable, LeaseAnswer
from spaceport.pipeline.jobs.tracker import on_batch_failed
from spaceport.pipeline.layout import request_key, stage_manifest_key
from spaceport.pipeline.storage import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


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
