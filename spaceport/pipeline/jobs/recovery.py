"""Restoring what was lost: the table from the manifests, and the manifest whose event no stage received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spaceport.pipeline import layout
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.jobs.table import SWAP_ATTEMPTS, JobTable
from spaceport.pipeline.storage import Bucket, StoredManifest


@dataclass(frozen=True)
class PendingManifest:
    """The latest manifest of a job that has not ended: nothing has followed it yet."""

    job_id: str
    key: str
    etag: str
    stage: StageName | None
    """The stage that `key` wakes; None when only the end is missing."""


def read_manifests(bucket: Bucket, job_id: str) -> list[StoredManifest]:
    """A job's manifests in the order in which they were made."""
    every = (bucket.read_manifest(layout.manifest_key(job_id, folder)) for folder in layout.MANIFEST_FOLDERS)
    return [stored for stored in every if stored]


def rebuild_table(bucket: Bucket, table: JobTable) -> int:
    """Rebuild every job's row from its manifests, also while workers work. Returns the number of jobs."""
    return sum(1 for _ in recover_jobs(bucket, table))


def recover_jobs(bucket: Bucket, table: JobTable) -> Iterator[list[StoredManifest]]:
    """Rebuild the rows of all jobs, one by one; yields the manifests that each was made from."""
    for job_id in bucket.list_folders(layout.JOBS):
        manifests = _recover(bucket, table, job_id)
        if manifests:
            yield manifests


def _recover(bucket: Bucket, table: JobTable, job_id: str) -> list[StoredManifest]:
    """Starts over when the row changed between reading the manifests and writing it."""
    for _ in range(SWAP_ATTEMPTS):
        version = table.version(job_id)
        manifests = read_manifests(bucket, job_id)
        if not manifests or table.replace(job_id, [stored.manifest for stored in manifests], version):
            return manifests
    raise TimeoutError(f"the row of {job_id} changed {SWAP_ATTEMPTS} times while it was being rebuilt")


def pending_manifest(bucket: Bucket, job_id: str) -> PendingManifest | None:
    """The manifest on which a job waits, or None when it has ended or never began."""
    manifests = read_manifests(bucket, job_id)
    return pending_among(manifests) if manifests else None


def pending_among(manifests: list[StoredManifest]) -> PendingManifest | None:
    """The one of a job's manifests on which it waits, or None when the job has ended."""
    last = manifests[-1]
    if last.manifest.kind == "end":
        return None
    job_id = last.manifest.job_id
    stages = {layout.input_manifest_key(job_id, stage): stage for stage in StageName}
    return PendingManifest(job_id, last.key, last.etag, stages.get(last.key))


def accepted_uploads(manifests: list[StoredManifest]) -> set[str]:
    """Keys of the uploads for which these manifests are an answer: a job was begun from them, or they were rejected."""
    return {stored.manifest.request.upload.key for stored in manifests if stored.manifest.request.upload}
