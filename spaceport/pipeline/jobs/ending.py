"""How a job ends: one end manifest, written once. Whoever writes it first decides; all others read how it ended."""

from __future__ import annotations

from spaceport.pipeline import layout
from spaceport.pipeline.contract import AnyManifest, EndManifest, Failure, JobState, Request, StageName, now
from spaceport.pipeline.errors import SpaceportError, UnknownJob
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.jobs.state import MESSAGES
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

DEGRADED = "Your 3D model is ready, but not compressed."
UNCOMPRESSED = "Your 3D model is ready!"
STOPPED = "The job was stopped on request."


def end_job(
    bucket: Bucket,
    table: JobTable,
    job_id: str,
    state: JobState,
    *,
    request: Request | None = None,
    stage: StageName | None = None,
    failure: Failure | None = None,
    message: str | None = None,
) -> EndManifest:
    """End a job, unless it has ended already. Returns the end manifest that stands.

    Raises:
        UnknownJob: there is no such job, and no `request` to make its end manifest from.
    """
    end = EndManifest(
        job_id=job_id,
        created_at=now(),
        state=state,
        request=request or request_of(bucket, job_id),
        stage=stage,
        failure=failure,
        message=message or (failure.sentence if failure else MESSAGES[state]),
    )
    end = _put_end(bucket, end)
    record_manifest(table, end)
    return end


def record_manifest(table: JobTable, manifest: AnyManifest) -> None:
    """Record a manifest. An end gives the job's place among its tenant's open jobs back. Idempotent."""
    table.record(manifest)
    if isinstance(manifest, EndManifest):
        Quotas(table).release_job(manifest.request.tenant, manifest.job_id)


def fail_job(
    bucket: Bucket, table: JobTable, job_id: str, stage: StageName, failure: Failure, *, release: bool = True
) -> EndManifest:
    """End a job after a stage failed for good. A trained model is delivered even if it cannot be compressed.

    Args:
        release: give the job's place among its tenant's open ones back now. A stage may not touch what tenants use, and
            leaves that to the tracker, which the end manifest wakes.
    """
    is_delivered = stage is StageName.COMPRESS
    end = EndManifest(
        job_id=job_id,
        created_at=now(),
        state=JobState.COMPLETED_DEGRADED if is_delivered else JobState.FAILED,
        request=request_of(bucket, job_id),
        stage=stage,
        failure=failure,
        message=f"{DEGRADED} {failure.sentence}" if is_delivered else failure.sentence,
    )
    end = _put_end(bucket, end)
    if release:
        record_manifest(table, end)
    else:
        table.record(end)
    return end


def stop_job(bucket: Bucket, table: JobTable, job_id: str) -> EndManifest:
    """Stop a job on its owner's request. Ending its Batch jobs is up to the caller.

    A worker looks for the end manifest right before it writes its own, so a stopped job gets none afterwards.
    Raises `UnknownJob` when there is no such job.
    """
    row = table.get(job_id)
    return end_job(bucket, table, job_id, JobState.STOPPED, stage=row.stage if row else None, message=STOPPED)


def _put_end(bucket: Bucket, end: EndManifest) -> EndManifest:
    """Write an end, unless there is one. Returns the one that stands."""
    is_first = bucket.put_manifest(layout.end_key(end.job_id), end)
    return end if is_first else read_end(bucket, end.job_id) or end


def read_end(bucket: Bucket, job_id: str) -> EndManifest | None:
    """How a job ended, or None while it goes on."""
    stored = bucket.read_manifest(layout.end_key(job_id))
    if stored is None:
        return None
    if not isinstance(stored.manifest, EndManifest):
        raise TypeError(f"{stored.key} is no end manifest")
    return stored.manifest


def request_of(bucket: Bucket, job_id: str) -> Request:
    """A job's request, from its first manifest. Raises `UnknownJob` when the job has none."""
    for folder in layout.MANIFEST_FOLDERS:
        stored = bucket.read_manifest(layout.manifest_key(job_id, folder))
        if stored:
            return stored.manifest.request
    raise UnknownJob(f"There is no job {job_id}.")


def failure_of(error: SpaceportError) -> Failure:
    return Failure(slug=error.slug, sentence=str(error)[:1000])
