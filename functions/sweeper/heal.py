"""What the sweeper does about one silent job: the least that helps. `app.py` says why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from spaceport.pipeline.contract import TITLES, StageName, now
from spaceport.pipeline.errors import LostResource, Slug
from spaceport.pipeline.jobs.batch import BatchJob
from spaceport.pipeline.jobs.ending import fail_job, failure_of
from spaceport.pipeline.jobs.recovery import pending_manifest, read_manifests
from spaceport.pipeline.jobs.state import StageRecord, StageState
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.jobs.tracker import on_manifest
from spaceport.pipeline.storage import Bucket

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

MAX_QUEUED = timedelta(hours=6)
"""How long a job may wait in a queue. Longer than the queue's own limits, which catch what AWS can explain."""
MAX_NUDGES = 3


def heal(bucket: Bucket, table: JobTable, batch: BatchClient, job_id: str, batch_jobs: Mapping[str, BatchJob]) -> str:
    """Help a silent job. Returns the action: recorded, working, queued, nudged, unqueued or ended.

    Args:
        batch_jobs: the unfinished ones, by the key of the manifest that woke each.
    """
    for stored in read_manifests(bucket, job_id):
        on_manifest(bucket, table, stored.key)
    pending = pending_manifest(bucket, job_id)
    if pending is None or pending.stage is None:
        return "recorded"
    row = table.stages(job_id).get(pending.stage)
    if row and row.work is StageState.WORKING and row.lease_until > table.clock():
        return "working"
    batch_job = batch_jobs.get(pending.key)
    if batch_job and batch_job.status != "RUNNING":
        return _leave_or_give_up(bucket, table, batch, job_id, pending.stage, batch_job)
    if batch_job and row is None:  # its container is starting, and will take the lease at once
        return "queued"
    if table.count_nudge(job_id, pending.stage) <= MAX_NUDGES:
        bucket.nudge(pending.key)
        return "nudged"
    _end(bucket, table, job_id, pending.stage, row)
    return "ended"


def _leave_or_give_up(
    bucket: Bucket, table: JobTable, batch: BatchClient, job_id: str, stage: StageName, batch_job: BatchJob
) -> str:
    if now() - batch_job.created_at < MAX_QUEUED:
        return "queued"
    _end(bucket, table, job_id, stage, None)  # before the queue reports it, with less to say
    batch.terminate_job(jobId=batch_job.batch_id, reason=f"It waited {MAX_QUEUED} for a machine.")
    return "unqueued"


def _end(bucket: Bucket, table: JobTable, job_id: str, stage: StageName, row: StageRecord | None) -> None:
    """With the reason that the last worker recorded, or else with what its silence means."""
    slug = Slug.MACHINE_LOST if row else Slug.NEVER_STARTED
    failure = row.failure if row else None
    fail_job(bucket, table, job_id, stage, failure or failure_of(LostResource(slug, stage=TITLES[stage])))
