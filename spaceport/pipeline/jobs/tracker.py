"""What the tracker does with news: manifests into the table, and the end of a job when its last word is said."""

from __future__ import annotations

from spaceport.pipeline import layout
from spaceport.pipeline.contract import TITLES, Failure, JobState, StageManifest, StageName
from spaceport.pipeline.errors import LostResource, Slug
from spaceport.pipeline.jobs.ending import DEGRADED, UNCOMPRESSED, end_job, fail_job, failure_of, read_end
from spaceport.pipeline.jobs.state import Work
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

# What Batch writes when it gives up a job that waited: the queue's JobStateTimeLimitActions name these causes.
NEVER_STARTED = ("RUNNABLE", "CAPACITY", "MISCONFIGURATION")


def on_manifest(bucket: Bucket, table: JobTable, key: str) -> None:
    """Record a manifest. The last one of a job ends it.

    Raises `ValueError` when the object is no manifest: the event belongs in the dead-letter queue.
    """
    stored = bucket.read_manifest(key)
    if stored is None:  # expired or deleted since: nothing to tell
        return
    table.record(stored.manifest)
    if isinstance(stored.manifest, StageManifest):
        _complete(bucket, table, stored.manifest)


def _complete(bucket: Bucket, table: JobTable, manifest: StageManifest) -> None:
    wants_sog = manifest.request.options.compress_enabled
    if manifest.stage is StageName.TRAIN and not wants_sog:
        end_job(bucket, table, manifest.job_id, JobState.COMPLETED, request=manifest.request, message=UNCOMPRESSED)
    if manifest.stage is not StageName.COMPRESS:
        return
    if failure := manifest.outcome.degraded:
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
    """A Batch job has failed for good, after all its tries. `key` is the manifest that woke it.

    Ignored when the job has ended, when the stage's manifest is there all the same, and when the stage is in the
    hands of another Batch job (this one was a duplicate).
    """
    job_id, stage = layout.stage_woken_by(key)
    if read_end(bucket, job_id) or bucket.exists(layout.stage_manifest_key(job_id, stage)):
        return
    row = table.stages(job_id).get(stage)
    mine = row is None or row.holder == batch_job_id
    if row and not mine and row.work is Work.WORKING and row.lease_until > table.clock():
        return
    failure = row.failure if row and mine else None
    fail_job(bucket, table, job_id, stage, failure or explain(stage, reason, exit_code))


def explain(stage: StageName, reason: str, exit_code: int | None) -> Failure:
    """The slug for what Batch says of a dead job."""
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
