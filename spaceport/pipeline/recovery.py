"""Making good what was lost: the table from the manifests, and the event that a stage never heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spaceport.pipeline import layout
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.job_table import JobTable
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
    """Make every job's row again from its manifests. Returns the number of jobs. Claims are forgotten."""
    count = 0
    for job_id in bucket.folders(layout.JOBS):
        if found := manifests(bucket, job_id):
            table.clear(job_id)
            for stored in found:
                table.record(stored.manifest)
            count += 1
    return count


def unfinished(bucket: Bucket) -> Iterator[Waiting]:
    """Jobs whose latest manifest has no successor."""
    for job_id in bucket.folders(layout.JOBS):
        if waiting := waiting_for(bucket, job_id):
            yield waiting


def waiting_for(bucket: Bucket, job_id: str) -> Waiting | None:
    """What a job waits for, or None when it has ended or never began."""
    found = manifests(bucket, job_id)
    if not found or found[-1].manifest.kind == "end":
        return None
    last = found[-1]
    woken = {layout.input_manifest_key(job_id, stage): stage for stage in StageName}
    return Waiting(job_id, last.key, last.etag, woken.get(last.key))


def uploads_taken(bucket: Bucket) -> set[str]:
    """Keys of the uploads from which a job was begun, or that were rejected."""
    taken = set()
    for job_id in bucket.folders(layout.JOBS):
        for stored in manifests(bucket, job_id):
            if upload := stored.manifest.request.upload:
                taken.add(upload.key)
    return taken
