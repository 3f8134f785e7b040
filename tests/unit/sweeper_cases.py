"""The sweeper's table clock, its Batch, its runs, and jobs that are silent: for tests of what it does."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from function_cases import Batch, Context, deploy, event
from pipeline_cases import JOB, key_of

from functions.sweeper import app, heal
from functions.sweeper.heal import INTERVAL
from spaceport.pipeline.contract import JobState, StageName, now
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.ending import read_end
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

LIMIT = 4 * INTERVAL
LONG_AGO = now() - timedelta(days=1)


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
