"""One run of the sweeper: what it works on, and the Batch jobs as they were when it began."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spaceport.pipeline.jobs.batch import BatchJob
from spaceport.pipeline.jobs.silent_stage import SilentStage
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import split_key
from spaceport.pipeline.storage import Bucket

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

MAX_START = timedelta(minutes=10)
"""From the start of a container until its worker takes the lease, which comes before any work."""


@dataclass(frozen=True)
class Sweep:
    """Arguments of everything that a run does.

    Args:
        at: when it began, by the table's clock.
        batch_jobs: the unfinished ones.
    """

    bucket: Bucket
    table: JobTable
    batch: BatchClient
    at: datetime
    batch_jobs: dict[str, list[BatchJob]]
    """By the id of the job that they work on, or wait to."""

    def of_job(self, job_id: str) -> list[BatchJob]:
        return self.batch_jobs.get(job_id, [])

    def is_moving(self, waiting: BatchJob) -> bool:
        """Whether others run in the queue of one that does not run."""
        return any(
            job.status == "RUNNING" and job.queue == waiting.queue for each in self.batch_jobs.values() for job in each
        )

    def end_without_failure(self, silent: SilentStage, batch_jobs: Collection[BatchJob], reason: str) -> None:
        """Terminate Batch jobs of a stage whose job goes on: the tracker must not take their end for its failure."""
        if batch_jobs:
            silent.note_ended([job.batch_id for job in batch_jobs])
            self.terminate(batch_jobs, reason)

    def terminate(self, batch_jobs: Iterable[BatchJob], reason: str) -> None:
        for job in batch_jobs:
            self.batch.terminate_job(jobId=job.batch_id, reason=reason)


def by_job(batch_jobs: Iterable[BatchJob]) -> dict[str, list[BatchJob]]:
    """Batch jobs by the job that they work on. Those that no manifest of ours woke are left out."""
    grouped: dict[str, list[BatchJob]] = defaultdict(list)
    for each in batch_jobs:
        try:
            job_id, _ = split_key(each.key)
        except ValueError:
            continue
        grouped[job_id].append(each)
    return dict(grouped)


def is_starting(job: BatchJob, at: datetime) -> bool:
    """Whether a Batch job that runs may still be about to take its lease."""
    return job.started_at is None or at - job.started_at < MAX_START
