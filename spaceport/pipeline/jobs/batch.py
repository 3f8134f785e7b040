"""The Batch jobs that are not over: which manifest woke each, and how those of a stopped job are ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spaceport.pipeline.jobs.state import Work
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import job_prefix

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.literals import JobStatusType

REASON = "The job was stopped on request."
ALIVE: tuple[JobStatusType, ...] = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
DESCRIBED_AT_ONCE = 100  # the API's limit


@dataclass(frozen=True)
class Queued:
    """A Batch job that is not over."""

    batch_id: str
    status: str
    key: str
    """The manifest that woke it."""
    created_at: datetime


def queued(batch: BatchClient, queues: Iterable[str]) -> Iterator[Queued]:
    """Every Batch job in the queues that is not over."""
    ids = [batch_id for queue in queues for status in ALIVE for batch_id in _listed(batch, queue, status)]
    for start in range(0, len(ids), DESCRIBED_AT_ONCE):
        for job in batch.describe_jobs(jobs=ids[start : start + DESCRIBED_AT_ONCE])["jobs"]:
            created = datetime.fromtimestamp(job["createdAt"] / 1000, UTC)
            yield Queued(job["jobId"], job["status"], job.get("parameters", {}).get("key", ""), created)


def terminate(batch: BatchClient, table: JobTable, job_id: str, queues: Iterable[str]) -> list[str]:
    """End every Batch job that works, or waits to work, on `job_id`. Returns their Batch ids.

    They are found by the claims in the table and by the key of their manifest: exact, never by a part of a name.
    """
    holders = {row.holder for row in table.stages(job_id).values() if row.work is Work.WORKING}
    waiting = {job.batch_id for job in queued(batch, queues) if job.key.startswith(job_prefix(job_id))}
    found = sorted(holders | waiting)
    for batch_id in found:
        batch.terminate_job(jobId=batch_id, reason=REASON)
    return found


def _listed(batch: BatchClient, queue: str, status: JobStatusType) -> Iterator[str]:
    for page in batch.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=status):
        for job in page["jobSummaryList"]:
            yield job["jobId"]
