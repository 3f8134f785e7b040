"""Forgetting a job for good: its upload, its files and its rows, in every version, and its id.

For whoever asks to be erased. The order is such that a run that was killed can be repeated: what names the rest goes
last. The audit log keeps the job's id and what was done to it, for as long as it keeps anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from boto3.dynamodb.conditions import Attr, Key

from spaceport.pipeline import layout
from spaceport.pipeline.contract import JobState, Request
from spaceport.pipeline.errors import Conflict, UnknownJob
from spaceport.pipeline.jobs.births import erase_birth_of_upload
from spaceport.pipeline.jobs.recovery import read_manifests
from spaceport.pipeline.jobs.state import END_STATES, JobRecord
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

MAX_ROWS: Final = 1_000_000


@dataclass(frozen=True)
class Forgotten:
    """What was removed."""

    job_id: str
    objects: int
    rows: int


def forget_job(bucket: Bucket, uploads: Bucket, table: JobTable, job_id: str) -> Forgotten:
    """Remove a job that has ended, with its upload unless another job was made of it too.

    Raises:
        UnknownJob: nothing of it is there.
        Conflict: it has not ended; or another job builds on its files.
    """
    row = table.get(job_id)
    if row and row.state not in END_STATES:
        raise Conflict(f"Job {job_id} has not ended ({row.state}). Stop it first.")
    request = _request_of(bucket, job_id)
    tenant = row.tenant if row else request.tenant if request else None
    built = sorted(jobs_built_on(table, tenant, job_id)) if tenant else []
    if built:
        raise Conflict(f"Job {job_id} holds files of {', '.join(built)}. Forget these first.")
    objects = _forget_upload(bucket, uploads, job_id, request) if request else 0
    prefix = layout.job_prefix(job_id)
    manifests = {layout.manifest_key(job_id, folder) for folder in layout.MANIFEST_FOLDERS}
    objects += bucket.erase(prefix, keep=manifests | {layout.birth_key(job_id)})
    objects += bucket.erase(prefix)
    rows = table.erase(job_id)
    if not objects and not rows:
        raise UnknownJob(f"There is no job {job_id}.")
    return Forgotten(job_id, objects, rows)


def jobs_built_on(table: JobTable, tenant: str, job_id: str, *, with_deleted: bool = True) -> Iterator[str]:
    """Ids of the jobs that build on the files of a job; they have its tenant.

    Args:
        with_deleted: also those that are to be deleted, and are not yet.
    """
    condition: Any = Attr("continues").eq(job_id)
    if not with_deleted:
        condition &= Attr("deleted_at").not_exists()
    more: dict[str, Any] = {}
    while True:
        response = table.table.query(
            IndexName="by_tenant",
            KeyConditionExpression=Key("tenant").eq(tenant),
            FilterExpression=condition,
            ProjectionExpression="job_id",
            **more,
        )
        yield from (str(item["job_id"]) for item in response["Items"])
        if "LastEvaluatedKey" not in response:
            return
        more = {"ExclusiveStartKey": response["LastEvaluatedKey"]}


def jobs_of_email(table: JobTable, email: str) -> list[JobRecord]:
    """The jobs whose mails go to an address, those that build on others first.

    Reads the rows of all jobs, once: an index by address would keep addresses in one more place.
    """
    rows = [row for row in _all_rows(table) if row.email and row.email.lower() == email.lower()]
    return sorted(rows, key=lambda row: row.created_at, reverse=True)


def _all_rows(table: JobTable) -> Iterator[JobRecord]:
    for state in JobState:
        yield from table.by_state(state, MAX_ROWS)


def _request_of(bucket: Bucket, job_id: str) -> Request | None:
    manifests = read_manifests(bucket, job_id)
    return manifests[0].manifest.request if manifests else None


def _forget_upload(bucket: Bucket, uploads: Bucket, job_id: str, request: Request) -> int:
    """Remove the version of the upload that the job was made of, and what is kept of the job's birth under it."""
    upload = request.upload
    if upload is None or request.continues:  # the job that it continues has it
        return 0
    is_there = uploads.head(upload.key, upload.version_id) is not None
    if is_there:
        uploads.delete(upload.key, upload.version_id)
    return is_there + erase_birth_of_upload(bucket, job_id, upload)
