"""What the sweeper looks at: rows that nobody touched for long, and jobs that stand in Batch's queues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key

from spaceport.pipeline.batch_jobs import ALIVE, DESCRIBED_AT_ONCE
from spaceport.pipeline.contract import JobState
from spaceport.pipeline.job_table import JobTable
from spaceport.pipeline.jobs import ENDS

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient


@dataclass(frozen=True)
class Queued:
    """A Batch job that is not over."""

    batch_id: str
    status: str
    created_at: datetime


def silent_jobs(table: JobTable, since: datetime) -> Iterator[str]:
    """Ids of unfinished jobs whose row was not touched after `since`, the longest silent of each state first."""
    last = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")  # as rows have it, less the milliseconds
    for state in JobState:
        if state not in ENDS:
            yield from _in_state(table, state, last)


def _in_state(table: JobTable, state: JobState, last: str) -> Iterator[str]:
    start: dict[str, Any] = {}
    while True:
        answer = table.table.query(
            IndexName="by_state",
            KeyConditionExpression=Key("state").eq(state.value) & Key("updated_at").lt(last),
            ProjectionExpression="job_id",
            **start,
        )
        yield from (str(item["job_id"]) for item in answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def queued(batch: BatchClient, queues: Iterable[str]) -> dict[str, Queued]:
    """Every Batch job that is not over, by the key of the manifest that woke it: exact, never by a name."""
    ids = [
        job["jobId"]
        for queue in queues
        for status in ALIVE
        for page in batch.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=status)
        for job in page["jobSummaryList"]
    ]
    found = {}
    for start in range(0, len(ids), DESCRIBED_AT_ONCE):
        for job in batch.describe_jobs(jobs=ids[start : start + DESCRIBED_AT_ONCE])["jobs"]:
            created = datetime.fromtimestamp(job["createdAt"] / 1000, UTC)
            found[job.get("parameters", {}).get("key", "")] = Queued(job["jobId"], job["status"], created)
    return found
