"""Ending the Batch jobs of a job that was stopped: the ones that work, and the ones that still wait for a machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from spaceport.pipeline.job_table import JobTable
from spaceport.pipeline.jobs import Work
from spaceport.pipeline.layout import job_prefix

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.literals import JobStatusType

REASON = "The job was stopped on request."
ALIVE: tuple[JobStatusType, ...] = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
DESCRIBED_AT_ONCE = 100  # the API's limit


def terminate(batch: BatchClient, table: JobTable, job_id: str, queues: Iterable[str]) -> list[str]:
    """End every Batch job that works, or waits to work, on `job_id`. Returns their Batch ids."""
    holders = {row.holder for row in table.stages(job_id).values() if row.work is Work.WORKING}
    found = sorted(holders.union(*(_waiting(batch, job_id, queue) for queue in queues)))
    for batch_id in found:
        batch.terminate_job(jobId=batch_id, reason=REASON)
    return found


def _waiting(batch: BatchClient, job_id: str, queue: str) -> Iterator[str]:
    """Ids in a queue whose `key` parameter lies below the job: exact, never by a part of a name."""
    ids = [batch_id for status in ALIVE for batch_id in _listed(batch, queue, status)]
    for start in range(0, len(ids), DESCRIBED_AT_ONCE):
        for job in batch.describe_jobs(jobs=ids[start : start + DESCRIBED_AT_ONCE])["jobs"]:
            if job.get("parameters", {}).get("key", "").startswith(job_prefix(job_id)):
                yield job["jobId"]


def _listed(batch: BatchClient, queue: str, status: JobStatusType) -> Iterator[str]:
    for page in batch.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=status):
        for job in page["jobSummaryList"]:
            yield job["jobId"]
