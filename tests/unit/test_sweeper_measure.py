"""What the sweeper measures of the queues: Batch has no metric of what waits."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from function_cases import Batch, Context, event, milliseconds
from pipeline_cases import JOB
from sweeper_cases import Clock

from functions.sweeper import app
from functions.sweeper.measure import measure_queues
from spaceport.pipeline.contract import now
from spaceport.pipeline.jobs.batch import BatchJob
from spaceport.pipeline.layout import request_key

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")
ARN = "arn:aws:batch:us-east-1:123456789012:job-queue/GpuQueue-3f0c9a1b"


def queues(text: str) -> dict[str, list[float]]:
    """Queue to running, waiting and seconds in the queue."""
    lines = [json.loads(line) for line in text.splitlines() if '"queue"' in line]
    return {line["queue"]: [*line["Running"], *line["Waiting"], *line["SecondsInQueue"]] for line in lines}


def test_the_oldest_waiting_job_of_each_queue_is_measured_and_an_empty_queue_as_none(
    batch: Batch, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, status in enumerate(("RUNNABLE", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED")):
        batch.add("cpu", f"batch-{number}", request_key(JOB), status)
        batch.jobs["cpu"][-1]["createdAt"] = milliseconds(clock.before(minutes=10 * (5 - number)))
    app.handler(event("schedule"), Context())
    assert queues(capsys.readouterr().out) == {"cpu": [2, 2, pytest.approx(3000, abs=1)], "gpu": [0, 0, 0]}


def test_a_job_that_lost_its_machine_waits_since_then(
    batch: Batch, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.add("cpu", "batch-1", request_key(JOB))
    batch.jobs["cpu"][0] |= {
        "createdAt": milliseconds(clock.before(hours=5)),
        "attempts": [
            {"stoppedAt": milliseconds(clock.before(hours=2))},
            {"stoppedAt": milliseconds(clock.before(minutes=1))},
        ],
    }
    app.handler(event("schedule"), Context())
    assert queues(capsys.readouterr().out)["cpu"] == [0, 1, pytest.approx(60, abs=1)]


@pytest.mark.parametrize("queued", [None, now() + timedelta(hours=1)])
def test_a_time_that_is_missing_or_to_come_is_no_age(capsys: pytest.CaptureFixture[str], queued: Any) -> None:
    measure_queues([BatchJob("batch-1", "RUNNABLE", request_key(JOB), ARN, None, queued)], [ARN], now())
    assert queues(capsys.readouterr().out) == {"GpuQueue-3f0c9a1b": [0, 1, 0]}
