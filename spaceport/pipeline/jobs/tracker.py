"""What the tracker does with an event: manifests go into the table, and the last one of a job ends it."""

from __future__ import annotations

from spaceport.pipeline import layout
from spaceport.pipeline.contract import TITLES, AnyManifest, Failure, JobState, StageManifest, StageName
from spaceport.pipeline.errors import LostResource, Slug
from spaceport.pipeline.jobs.ending import (
    DEGRADED,
    UNCOMPRESSED,
    end_job,
    fail_job,
    failure_of,
    read_end,
    record_manifest,
)
from spaceport.pipeline.jobs.silent_stage import SilentStage
from spaceport.pipeline.jobs.state import StageState
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

# What Batch writes when it gives up on a job that waited: the queue's JobStateTimeLimitActions name these causes.
NEVER_STARTED = ("RUNNABLE", "CAPACITY")
NOT_SET_UP = {
    "CannotPullContainer": "its container image cannot be pulled",
    "CannotPullECRContainer": "its container image cannot be pulled",
    "CannotPullImageManifest": "its container image cannot be pulled",
    "ResourceInitializationError": "its container cannot be prepared",
    "COMPUTE_ENVIRONMENT_MAX_RESOURCE": "its machines may not have as many vCPUs as one job needs",
    "JOB_RESOURCE_REQUIREMENT": "no machine of its queue is large enough for one job",
}
"""Parts of Batch's and ECS's reasons that only an operator can do something about, and what each means."""


def on_manifest(bucket: Bucket, table: JobTable, key: str) -> AnyManifest | None:
    """Record a manifest, and return it; None when it is gone. The last one of a job ends it.

    Raises `ValueError` when the object is no manifest: the event belongs in the dead-letter queue.
    """
    stored = bucket.read_manifest(key)
    if stored is None:  # expired or deleted since: nothing to record
        return None
    record_manifest(table, stored.manifest)
    if isinstance(stored.manifest, StageManifest):
        _end_if_complete(bucket, table, stored.manifest)
    return stored.manifest


def _end_if_complete(bucket: Bucket, table: JobTable, manifest: StageManifest) -> None:
    wants_sog = manifest.request.options.compress_enabled
    if manifest.stage is StageName.TRAIN and not wants_sog:
        end_job(bucket, table, manifest.job_id, JobState.COMPLETED, request=manifest.request, message=UNCOMPRESSED)
    if manifest.stage is not StageName.COMPRESS:
        return
    failure = manifest.outcome.degraded
    if failure:
        end_job(
            bucket,
            table,
            manifest.job_id,
            JobState.COMPLETED_DEGRADED,
            request=manifest.request,
            stage=manifest.stage,
            failure=failure,
            message=f"{DEGRADED} {failure.sentence}",
        )
    else:
        end_job(bucket, table, manifest.job_id, JobState.COMPLETED, request=manifest.request)


def on_batch_failed(
    bucket: Bucket, table: JobTable, key: str, batch_job_id: str, reason: str, exit_code: int | None
) -> None:
    """Fail the job whose Batch job has failed for good, after all its attempts. `key` is the manifest that woke it.

    Ignored when the job has ended, when the stage's manifest exists all the same, when another Batch job holds the
    stage's lease (this one was a duplicate), and when the sweeper ended it because it hung.
    """
    job_id, stage = layout.stage_for_manifest(key)
    if read_end(bucket, job_id) or bucket.exists(layout.stage_manifest_key(job_id, stage)):
        return
    row = table.stages(job_id).get(stage)
    is_holder = row is None or row.holder == batch_job_id
    if row and not is_holder and row.work is StageState.WORKING and row.lease_until > table.clock():
        return
    if SilentStage(table, job_id, stage).was_ended(batch_job_id):
        return
    failure = row.failure if row and is_holder else None
    fail_job(bucket, table, job_id, stage, failure or failure_of_batch(stage, reason, exit_code))


def failure_of_batch(stage: StageName, reason: str, exit_code: int | None) -> Failure:
    """The failure behind the status reason and exit code that Batch reports."""
    setup = next((meaning for part, meaning in NOT_SET_UP.items() if part in reason), None)
    if setup:
        return failure_of(LostResource(Slug.NOT_SET_UP, stage=TITLES[stage], detail=setup))
    if "timeout" in reason.lower():
        slug = Slug.TIMED_OUT
    elif reason.startswith("Host EC2"):
        slug = Slug.MACHINE_LOST
    elif "OutOfMemory" in reason or exit_code == 137:
        slug = Slug.OUT_OF_MEMORY
    elif any(word in reason for word in NEVER_STARTED):
        slug = Slug.NEVER_STARTED
    elif exit_code == 75:
        slug = Slug.MACHINE_LOST
    else:
        slug = Slug.INTERNAL
    return failure_of(LostResource(slug, stage=TITLES[stage]))
