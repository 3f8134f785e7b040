"""Rows and leases in DynamoDB."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_cases import JOB, START, ended, forget, requested, staged, whole_job

from spaceport.pipeline.contract import Failure, JobState, StageName
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.silent_stage import SilentStage
from spaceport.pipeline.jobs.state import Beat, StageState
from spaceport.pipeline.jobs.table import LEASE_SECONDS, JobTable, LeaseAnswer, _answered_at

SFM = StageName.SFM


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_whole_job_reads_back(table: JobTable) -> None:
    for manifest in whole_job():
        table.record(manifest)
        table.record(manifest)
    row = table.get(JOB)
    assert row is not None
    assert (row.state, row.percent, row.counts["gaussians"]) == (JobState.COMPLETED, 100.0, 3000)
    assert row.seconds == {"sfm": 10, "train": 20, "compress": 30}
    assert [row.job_id for row in table.by_state(JobState.COMPLETED)] == [JOB]
    assert table.by_state(JobState.RECEIVED) == []


def test_a_row_of_the_version_before_is_read(table: JobTable) -> None:
    """Its estimate was one figure. A row that could not be read kept every job out of every list."""
    table.record(requested())
    table.table.update_item(
        Key={"job_id": JOB, "record": "job"},
        UpdateExpression="SET estimate_usd = :one",
        ExpressionAttributeValues={":one": Decimal("0.0395")},
    )
    (row,) = table.by_state(JobState.RECEIVED)
    assert row.estimate_usd == {}
    table.record(staged(SFM))
    (row,) = table.by_state(JobState.TRAINING)
    assert "sfm" in row.cost_usd


def test_jobs_of_a_tenant(table: JobTable) -> None:
    table.record(requested(owner="key-1", tenant="acme"))
    table.record(requested("other-job", tenant="acme"))
    table.record(requested("foreign-job", owner="key-1"))  # the key was another tenant's before
    assert {row.job_id for row in table.page_of_tenant("acme", 9)[0]} == {JOB, "other-job"}
    assert [row.job_id for row in table.page_of_tenant("acme", 9, owner="key-1")[0]] == [JOB]
    assert [row.job_id for row in table.page_of_tenant("default", 9, owner="key-1")[0]] == ["foreign-job"]
    assert table.page_of_tenant("acme", 9, states=[JobState.COMPLETED]) == ([], None)


def test_a_page_is_full_whatever_was_left_out_of_it(table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of DynamoDB end at a megabyte, of which a filter may leave nothing."""
    for number in range(12):
        table.record(requested(f"job-{number:02}", tenant="acme", received_at=START + timedelta(hours=number)))
    for number in (1, 2):
        table.record(ended(job_id=f"job-{number:02}"))
    query, calls = table.table.query, []

    def small_pages(**arguments: Any) -> Any:
        calls.append(arguments)
        return query(**arguments | {"Limit": 2})

    monkeypatch.setattr(table.table, "query", small_pages)
    assert [row.job_id for row in table.page_of_tenant("acme", 3)[0]] == ["job-11", "job-10", "job-09"]
    done = table.page_of_tenant("acme", 2, states=[JobState.COMPLETED])[0]
    assert {row.job_id for row in done} == {"job-01", "job-02"}
    assert len(calls) > 4


def test_a_beat_needs_a_job(table: JobTable) -> None:
    beat = Beat(SFM, 0.5, "half", {}, requested().created_at)
    assert table.record(beat, JOB) is None
    with pytest.raises(ValueError, match="needs its job"):
        table.record(beat)


def test_a_swap_that_lost_is_done_again(table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    table.record(requested())
    read = table._read
    raced: list[object] = []

    def racing(job_id: str, record: str) -> object:
        answer = read(job_id, record)
        if not raced:
            raced.append(True)
            table.record(staged(SFM))
        return answer

    monkeypatch.setattr(table, "_read", racing)
    table.record(staged(StageName.TRAIN))
    row = table.get(JOB)
    assert row is not None
    assert set(row.outputs) == {"sfm", "train"}


def test_claim_is_for_one(table: JobTable) -> None:
    clock = table.clock = Clock()
    assert table.acquire(JOB, SFM, "etag", "batch-1", 1) is LeaseAnswer.GRANTED
    assert table.acquire(JOB, SFM, "etag", "batch-2", 1) is LeaseAnswer.BUSY
    assert table.acquire(JOB, SFM, "etag", "batch-1", 2) is LeaseAnswer.GRANTED, "a Batch retry keeps its id"
    clock.now += LEASE_SECONDS + 1
    assert table.acquire(JOB, SFM, "etag", "batch-2", 1) is LeaseAnswer.GRANTED, "the lease ran out"
    assert not table.renew(JOB, SFM, "batch-1", 1.0)
    assert table.renew(JOB, SFM, "batch-2", 1.0)
    assert table.finish(JOB, SFM, "batch-2")
    clock.now += LEASE_SECONDS + 1
    assert table.acquire(JOB, SFM, "etag", "batch-3", 1) is LeaseAnswer.DONE
    assert table.acquire(JOB, SFM, "another", "batch-3", 1) is LeaseAnswer.GRANTED, "another input is other work"
    assert table.stages(JOB)[SFM].claims == 4


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_machine_with_a_wrong_clock_takes_no_lease_that_lives_and_gets_one_that_ran_out(
    table: JobTable, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    right = time.time
    assert table.acquire(JOB, SFM, "etag", "right", 1) is LeaseAnswer.GRANTED
    monkeypatch.setattr(time, "time", lambda: right() + 3600 * hours)
    assert table.acquire(JOB, SFM, "etag", "wrong", 1) is LeaseAnswer.BUSY
    expire(table)
    assert table.acquire(JOB, SFM, "etag", "wrong", 1) is LeaseAnswer.GRANTED
    assert table.renew(JOB, SFM, "wrong", 1.0)
    assert table.stages(JOB)[SFM].lease_until == pytest.approx(right() + LEASE_SECONDS, abs=5)
    monkeypatch.undo()
    assert table.acquire(JOB, SFM, "etag", "right", 1) is LeaseAnswer.BUSY
    expire(table)
    assert table.acquire(JOB, SFM, "etag", "right", 1) is LeaseAnswer.GRANTED


def expire(table: JobTable) -> None:
    """Let the lease run out, as time would."""
    table.table.update_item(
        Key={"job_id": JOB, "record": "stage#sfm"},
        UpdateExpression="SET lease_until = :past",
        ExpressionAttributeValues={":past": int(datetime.now(UTC).timestamp()) - 2},
    )


def test_a_beat_counts_from_when_the_table_gets_it(table: JobTable) -> None:
    now = datetime.now(UTC)
    table.record(requested())
    row = table.record(Beat(SFM, 0.5, "half", {}, now + timedelta(days=1)), JOB)
    assert row is not None
    assert row.created_at < row.updated_at < now + timedelta(minutes=1)
    assert row.heartbeat_at == row.updated_at


def test_a_table_that_does_not_say_what_time_it_is_leaves_us_our_own_clock() -> None:
    answer: dict[str, Any] = {"ResponseMetadata": {"HTTPHeaders": {}}}
    assert _answered_at(answer) == pytest.approx(time.time(), abs=5)
    answer["ResponseMetadata"]["HTTPHeaders"]["date"] = "Thu, 01 Jan 1970 00:01:00 GMT"
    assert _answered_at(answer) == 60


def test_a_released_claim_is_free_and_keeps_its_reason(table: JobTable) -> None:
    table.acquire(JOB, SFM, "etag", "batch-1", 1)
    failure = Failure(slug=Slug.DISK_FULL, sentence="full")
    assert table.release(JOB, SFM, "batch-1", 1.0, failure)
    row = table.stages(JOB)[SFM]
    assert (row.work, row.failure) == (StageState.RELEASED, failure)
    assert table.acquire(JOB, SFM, "etag", "batch-2", 1) is LeaseAnswer.GRANTED
    assert table.stages(JOB)[SFM].failure is None


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from(["acquire", "finish", "release", "renew"]), st.integers(0, 120)
        ),
        max_size=20,
    )
)
def test_at_most_one_holder_and_done_once(table: JobTable, steps: list[tuple[str, str, int]]) -> None:
    """Against a model: whoever the model says may hold the lease gets it, nobody else; done stays done."""
    clock = table.clock = Clock()
    forget(table, JOB)
    holder, until, done = None, 0.0, False
    for who, what, later in steps:
        clock.now += later
        mine = holder == who and not done
        if what == "acquire":
            granted = not done and (holder in (None, who) or until < clock.now)
            assert (table.acquire(JOB, SFM, "e", who, 1) is LeaseAnswer.GRANTED) == granted
            holder, until = (who, clock.now + LEASE_SECONDS) if granted else (holder, until)
        elif what == "renew":
            assert table.renew(JOB, SFM, who, 1.0) == mine
            until = clock.now + LEASE_SECONDS if mine else until
        elif what == "finish":
            assert table.finish(JOB, SFM, who) == mine
            done = done or mine
        else:
            assert table.release(JOB, SFM, who, 1.0) == mine
            holder = None if mine else holder


def test_nudges_are_counted(table: JobTable) -> None:
    silent = SilentStage(table, JOB, SFM)
    assert [silent.count_nudge() for _ in range(3)] == [1, 2, 3]


def test_a_condition_is_counted_once_a_lease_and_from_one_when_it_changes(table: JobTable) -> None:
    clock = table.clock = Clock()
    silent = SilentStage(table, JOB, SFM)
    assert [silent.observe("stands still") for _ in range(3)] == [1, 1, 1]
    clock.now += LEASE_SECONDS
    assert silent.observe("stands still") == 2
    assert silent.observe("moves") == 1
    assert silent.observe("stands still") == 1
    assert SilentStage(table, JOB, StageName.TRAIN).observe("stands still") == 1


def test_batch_jobs_that_were_ended_are_remembered(table: JobTable) -> None:
    silent = SilentStage(table, JOB, SFM)
    assert not silent.was_ended("batch-1")
    silent.note_ended(["batch-1"])
    silent.note_ended(["batch-2", "batch-1"])
    assert silent.was_ended("batch-1")
    assert not silent.was_ended("batch")


def test_figures_survive_decimals(table: JobTable) -> None:
    table.record(staged(SFM))
    row = table.get(JOB)
    assert row is not None
    assert row.quality == {"sfm_db": 21.5}
    assert isinstance(row.counts["gaussians"], int)


def test_rows_end_when_the_files_do(table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    table.record(requested())
    assert "expiration" not in table.table.get_item(Key={"job_id": JOB, "record": "job"})["Item"]
    monkeypatch.setenv("SPACEPORT_KEEP_DAYS", "365")
    kept = JobTable(table.table.name, boto3.resource("dynamodb"), clock=table.clock)
    row = kept.record(whole_job()[1])
    kept.acquire(JOB, SFM, "etag", "holder", 1)
    assert row is not None
    ends = {item["record"]: int(str(item["expiration"])) for item in table.table.scan()["Items"]}
    assert ends["job"] == int(row.updated_at.timestamp()) + 365 * 86400
    assert abs(ends["stage#sfm"] - (time.time() + 365 * 86400)) < 3600
    assert kept.get(JOB) == row
    table.record(ended())
    assert "expiration" in table.table.get_item(Key={"job_id": JOB, "record": "job"})["Item"], "it was lost"
