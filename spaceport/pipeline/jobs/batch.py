"""The unfinished AWS Batch jobs: which manifest each works on, and how those of a stopped job are terminated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spaceport.pipeline.jobs.state import StageState
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import job_prefix

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.literals import JobStatusType
    from mypy_boto3_batch.type_defs import JobDetailTypeDef

REASON = "The job was stopped on request."
UNFINISHED: tuple[JobStatusType, ...] = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
MAX_DESCRIBED = 100  # DescribeJobs takes no more at once


@dataclass(frozen=True)
class BatchJob:
    """A Batch job that has not finished."""

    batch_id: str
    status: str
    key: str
    """The manifest that woke it."""
    queue: str
    started_at: datetime | None
    """When its latest attempt began."""
    queued_at: datetime | None
    """Since when it waits, or waited, for a machine: when it was submitted, or its last attempt ended."""


def unfinished_jobs(batch: BatchClient, queues: Iterable[str]) -> Iterator[BatchJob]:
    """Every Batch job in the queues that has not finished."""
    ids = [batch_id for queue in queues for status in UNFINISHED for batch_id in _job_ids(batch, queue, status)]
    for start in range(0, len(ids), MAX_DESCRIBED):
        for job in batch.describe_jobs(jobs=ids[start : start + MAX_DESCRIBED])["jobs"]:
            yield _described(job)


def _described(job: JobDetailTypeDef) -> BatchJob:
    ended = [each.get("stoppedAt", 0) for each in job.get("attempts", [])]
    return BatchJob(
        batch_id=job["jobId"],
        status=job["status"],
        key=job.get("parameters", {}).get("key", ""),
        queue=job["jobQueue"],
        started_at=_time(job.get("startedAt")),
        queued_at=_time(max([job.get("createdAt", 0), *ended])),
    )


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def terminate_jobs(batch: BatchClient, table: JobTable, job_id: str, queues: Iterable[str]) -> list[str]:
    """Terminate every Batch job that works, or waits to work, on `job_id`. Returns their Batch ids.

    They are identified by the leases in the table and by the key of their manifest: exactly, never by part of a name.
    """
    holders = {row.holder for row in table.stages(job_id).values() if row.work is StageState.WORKING}
    waiting = {job.batch_id for job in unfinished_jobs(batch, queues) if job.key.startswith(job_prefix(job_id))}
    batch_ids = sorted(holders | waiting)
    for batch_id in batch_ids:
        batch.terminate_job(jobId=batch_id, reason=REASON)
    return batch_ids


def _job_ids(batch: BatchClient, queue: str, status: JobStatusType) -> Iterator[str]:
    for page in batch.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=status):
        for job in page["jobSummaryList"]:
            yield job["jobId"]
