"""Restoring what was lost: the table from the manifests, and the manifest whose event no stage received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spaceport.pipeline import layout
from spaceport.pipeline.contract import AnyManifest, EndManifest, StageName
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.jobs.table import SWAP_ATTEMPTS, JobTable
from spaceport.pipeline.storage import Bucket, StoredManifest, UnreadableManifest


@dataclass(frozen=True)
class PendingManifest:
    """The latest manifest of a job that has not ended: nothing has followed it yet."""

    job_id: str
    key: str
    etag: str
    stage: StageName | None
    """The stage that `key` wakes; None when only the end is missing."""


@dataclass(frozen=True)
class RecoveredJob:
    """A job whose row was made anew from `manifests`; or left alone, because `problem` is a sentence."""

    job_id: str
    manifests: list[StoredManifest]
    problem: str | None = None


def read_manifests(bucket: Bucket, job_id: str) -> list[StoredManifest]:
    """A job's manifests in the order in which they were made.

    Raises:
        UnreadableManifest: one of them cannot be read, or is another job's.
    """
    every = (bucket.read_manifest(layout.manifest_key(job_id, folder)) for folder in layout.MANIFEST_FOLDERS)
    return [stored for stored in every if stored]


def rebuild_table(bucket: Bucket, table: JobTable) -> list[RecoveredJob]:
    """Rebuild every job's row from its manifests, also while workers work."""
    return list(recover_jobs(bucket, table))


def recover_jobs(bucket: Bucket, table: JobTable) -> Iterator[RecoveredJob]:
    """Rebuild the rows of all jobs one by one, and count those that are open. What cannot be read is left alone."""
    for job_id in bucket.list_folders(layout.JOBS):
        try:
            manifests = _recover(bucket, table, job_id)
        except (ValueError, TypeError, TimeoutError) as error:
            yield RecoveredJob(job_id, [], str(error))
            continue
        if manifests:
            _count(table, manifests[-1].manifest)
            yield RecoveredJob(job_id, manifests)


def _count(table: JobTable, last: AnyManifest) -> None:
    """Count a job among its tenant's open ones, unless it has ended."""
    quotas, tenant = Quotas(table), last.request.tenant
    if isinstance(last, EndManifest):
        quotas.release_job(tenant, last.job_id)
    else:
        quotas.restore_jobs(tenant, {last.job_id})


def unreadable_manifests(bucket: Bucket) -> Iterator[str]:
    """A sentence for each job one of whose manifests cannot be read."""
    for job_id in bucket.list_folders(layout.JOBS):
        try:
            read_manifests(bucket, job_id)
        except UnreadableManifest as error:
            yield str(error)


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
