"""Making good what was lost: the table from the manifests, and the event that a stage never heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spaceport.pipeline import layout
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.jobs.table import SWAP_TRIES, JobTable
from spaceport.pipeline.storage import Bucket, Stored

FOLDERS = (layout.REQUEST, *(layout.PLACES[stage].home for stage in StageName), layout.END)


@dataclass(frozen=True)
class Waiting:
    """A job that has not ended, and its latest manifest: the one to which nobody has answered yet."""

    job_id: str
    key: str
    etag: str
    stage: StageName | None
    """The stage that `key` wakes; None when only the end is missing."""


def manifests(bucket: Bucket, job_id: str) -> list[Stored]:
    """A job's manifests in the order in which they were made."""
    found = (bucket.read_manifest(layout.manifest_key(job_id, folder)) for folder in FOLDERS)
    return [stored for stored in found if stored]


def rebuild_table(bucket: Bucket, table: JobTable) -> int:
    """Make every job's row again from its manifests, also while workers work. Returns the number of jobs."""
    return sum(1 for _ in recover_jobs(bucket, table))


def recover_jobs(bucket: Bucket, table: JobTable) -> Iterator[list[Stored]]:
    """Make the rows of all jobs again, one by one; yields the manifests that each was made from."""
    for job_id in bucket.folders(layout.JOBS):
        if found := _recover(bucket, table, job_id):
            yield found


def _recover(bucket: Bucket, table: JobTable, job_id: str) -> list[Stored]:
    """Asks again when there was news of the job between the look at its manifests and the writing of its row."""
    for _ in range(SWAP_TRIES):
        version = table.version(job_id)
        found = manifests(bucket, job_id)
        if not found or table.replace(job_id, [stored.manifest for stored in found], version):
            return found
    raise TimeoutError(f"the row of {job_id} changed {SWAP_TRIES} times while it was being made again")


def waiting_for(bucket: Bucket, job_id: str) -> Waiting | None:
    """What a job waits for, or None when it has ended or never began."""
    found = manifests(bucket, job_id)
    return waiting_among(found) if found else None


def waiting_among(found: list[Stored]) -> Waiting | None:
    """What the job of these manifests waits for, or None when it has ended."""
    last = found[-1]
    if last.manifest.kind == "end":
        return None
    job_id = last.manifest.job_id
    woken = {layout.input_manifest_key(job_id, stage): stage for stage in StageName}
    return Waiting(job_id, last.key, last.etag, woken.get(last.key))


def uploads_taken(found: list[Stored]) -> set[str]:
    """Keys of the uploads from which the job of these manifests was begun, or that were rejected."""
    return {upload.key for stored in found if (upload := stored.manifest.request.upload)}
