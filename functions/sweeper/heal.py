"""What the sweeper does with one silent job: the least that helps. `app.py` tells why."""

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

QUEUED = timedelta(hours=6)
"""How long a job may stand in a queue. Longer than the queue's own limits, which catch what AWS can explain."""
NUDGES = 3


def heal(bucket: Bucket, table: JobTable, batch: BatchClient, job_id: str, queued: Mapping[str, BatchJob]) -> str:
    """Help a silent job. Returns what was done: recorded, working, queued, nudged, unqueued or ended."""
    for stored in read_manifests(bucket, job_id):
        on_manifest(bucket, table, stored.key)
    waiting = pending_manifest(bucket, job_id)
    if waiting is None or waiting.stage is None:
        return "recorded"
    claim = table.stages(job_id).get(waiting.stage)
    if claim and claim.work is StageState.WORKING and claim.lease_until > table.clock():
        return "working"
    standing = queued.get(waiting.key)
    if standing and standing.status != "RUNNING":
        return _queued(bucket, table, batch, job_id, waiting.stage, standing)
    if standing and claim is None:  # its container starts, and will claim at once
        return "queued"
    if table.count_nudge(job_id, waiting.stage) <= NUDGES:
        bucket.nudge(waiting.key)
        return "nudged"
    _end(bucket, table, job_id, waiting.stage, claim)
    return "ended"


def _queued(
    bucket: Bucket, table: JobTable, batch: BatchClient, job_id: str, stage: StageName, standing: BatchJob
) -> str:
    if now() - standing.created_at < QUEUED:
        return "queued"
    _end(bucket, table, job_id, stage, None)  # before the queue's own word of it, which says less
    batch.terminate_job(jobId=standing.batch_id, reason=f"It waited {QUEUED} for a machine.")
    return "unqueued"


def _end(bucket: Bucket, table: JobTable, job_id: str, stage: StageName, claim: StageRecord | None) -> None:
    """The reason that the last worker left, or else what its silence means."""
    slug = Slug.MACHINE_LOST if claim else Slug.NEVER_STARTED
    failure = claim.failure if claim else None
    fail_job(bucket, table, job_id, stage, failure or failure_of(LostResource(slug, stage=TITLES[stage])))
