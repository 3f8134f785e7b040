"""Uploads in parts: of large zips, over lines that break. S3 keeps the parts, and says which of them are there.

The row `upload` under the job's id says whose the upload is, for as long as S3 keeps unfinished parts. What its owner
wants of the job is settled last, when S3 takes no more metadata: `jobs/ID/submission.json`, written once, right before
the parts become the object whose event wakes intake. It is no row, since a job that was begun outlives the table.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from math import ceil
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spaceport.pipeline import layout
from spaceport.pipeline.aws_errors import error_code
from spaceport.pipeline.contract import JOB_ID_PATTERN, SCHEMA_VERSION, JobId, TenantName, now
from spaceport.pipeline.errors import Conflict, Refused, Slug, UnknownJob
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

RECORD: Final = "upload"
KEEP: Final = timedelta(days=2)
"""As the lifecycle rule of the uploads bucket keeps unfinished parts."""
PART_BYTES: Final = 16 << 20
MAX_PARTS: Final = 1_100
"""Of 16 MiB: the largest zip that intake accepts, with room for its directory. S3 takes 10,000."""
MAX_SUBMISSION_BYTES: Final = 64 << 10
APART: Final = "submission"
"""Name in the metadata of an object whose submission lies beside its job's birth."""
CHANGED: Final = "The parts of the upload {job_id} changed while they were put together. Complete it again."

_JOB_ID: Final = re.compile(JOB_ID_PATTERN)


class Part(BaseModel):
    """One part as S3 has it."""

    model_config = ConfigDict(frozen=True)

    n: int
    """From 1 on."""
    bytes: int
    crc32: str
    """Of its bytes, as S3 writes it: base64."""
    etag: str


class MultipartUpload(BaseModel):
    """The row of an upload in parts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: JobId
    tenant: TenantName
    owner: str
    name: str
    key: str
    upload_id: str
    bytes: int
    part_bytes: int = PART_BYTES
    created_at: datetime

    @property
    def parts(self) -> int:
        return ceil(self.bytes / self.part_bytes)

    def bytes_of(self, n: int) -> int:
        """Of part `n`, from 1 on. The last is what is left."""
        return min(self.part_bytes, self.bytes - (n - 1) * self.part_bytes)

    def missing(self, parts: list[Part]) -> list[int]:
        """Numbers of the parts that are not there as they should be."""
        there = {part.n: part.bytes for part in parts}
        return [n for n in range(1, self.parts + 1) if there.get(n) != self.bytes_of(n)]


class UploadSubmission(BaseModel):
    """`jobs/ID/submission.json`: what the owner of an upload in parts wants of its job."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = SCHEMA_VERSION
    key: str
    """Of the upload."""
    email: Annotated[str, Field(max_length=254)] | None = None
    options: dict[str, Any] = {}


def begin_upload(
    uploads: Bucket, table: JobTable, job_id: str, key: str, *, name: str, size: int, tenant: str, owner: str
) -> MultipartUpload:
    """Begin an upload of `size` bytes under an id that was taken for it."""
    response = uploads.client.create_multipart_upload(
        Bucket=uploads.name,
        Key=key,
        ContentType="application/zip",
        ChecksumAlgorithm="CRC32",
        Metadata={"job-id": job_id, "job-name": quote(name), APART: "1"},
    )
    upload = MultipartUpload(
        job_id=job_id,
        tenant=tenant,
        owner=owner,
        name=name,
        key=key,
        upload_id=response["UploadId"],
        bytes=size,
        created_at=now(),
    )
    expiration = int((upload.created_at + KEEP).timestamp())
    row = upload.model_dump(mode="json") | {"record": RECORD, "expiration": expiration}
    table.table.put_item(Item=row, ConditionExpression="attribute_not_exists(job_id)")
    return upload


def read_upload(table: JobTable, job_id: str) -> MultipartUpload | None:
    """The upload of an id; None when there is none, or S3 keeps its parts no longer."""
    item = table.table.get_item(Key={"job_id": job_id, "record": RECORD}, ConsistentRead=True).get("Item")
    upload = MultipartUpload.model_validate(item) if item else None
    return upload if upload and now() < upload.created_at + KEEP else None  # the table deletes rows when it likes


def list_parts(uploads: Bucket, upload: MultipartUpload) -> list[Part] | None:
    """The parts that are there; None when the upload was completed or aborted."""
    pages = uploads.client.get_paginator("list_parts").paginate(
        Bucket=uploads.name, Key=upload.key, UploadId=upload.upload_id
    )
    try:
        return [
            Part(n=each["PartNumber"], bytes=each["Size"], crc32=each.get("ChecksumCRC32", ""), etag=each["ETag"])
            for page in pages
            for each in page.get("Parts", [])
        ]
    except ClientError as error:
        if error_code(error) != "NoSuchUpload":
            raise
        return None


def abort_upload(uploads: Bucket, upload: MultipartUpload) -> None:
    """Drop the parts. Idempotent.

    Raises:
        Conflict: they are an object already.
    """
    try:
        uploads.client.abort_multipart_upload(Bucket=uploads.name, Key=upload.key, UploadId=upload.upload_id)
    except ClientError as error:
        if error_code(error) != "NoSuchUpload":
            raise
    if uploads.exists(upload.key):
        raise Conflict(f"The upload {upload.job_id} is complete, and its job has begun. Stop the job instead.")


def complete_upload(
    bucket: Bucket, uploads: Bucket, upload: MultipartUpload, parts: list[Part] | None, wanted: UploadSubmission
) -> None:
    """Make an object of the parts, all of which are there, and so begin the job. Idempotent.

    Args:
        parts: as S3 lists them; None when they are an object, or gone.

    Raises:
        UnknownJob: they are gone.
        Conflict: it was completed with another submission; or a part changed just now.
    """
    if parts is None and not uploads.exists(upload.key):
        raise no_upload(upload.job_id)
    if _put_submission(bucket, upload.job_id, wanted) != wanted:
        raise Conflict(
            f"The upload {upload.job_id} was completed with other options or another email. Begin another job on its"
            f" photos with `continues` {upload.job_id} and `step` sfm."
        )
    if parts is None:
        return
    try:
        uploads.client.complete_multipart_upload(
            Bucket=uploads.name,
            Key=upload.key,
            UploadId=upload.upload_id,
            MultipartUpload={
                "Parts": [{"PartNumber": part.n, "ETag": part.etag, "ChecksumCRC32": part.crc32} for part in parts]
            },
        )
    except ClientError as error:
        if error_code(error) in {"InvalidPart", "BadDigest"}:
            raise Conflict(CHANGED.format(job_id=upload.job_id)) from None
        if error_code(error) != "NoSuchUpload" or not uploads.exists(upload.key):  # else another call came first
            raise


def metadata_of_upload(bucket: Bucket, key: str, metadata: dict[str, str]) -> dict[str, str]:
    """The metadata of an object of the uploads bucket, with what came apart from it."""
    job_id = metadata.get("job-id", "")
    if APART not in metadata or not _JOB_ID.fullmatch(job_id):
        return metadata
    submission = read_submission(bucket, job_id)
    if submission is None or submission.key != key:  # another's: metadata may say anything
        return metadata
    wanted = {"options": json.dumps(submission.options)} if submission.options else {}
    return metadata | wanted | ({"email": submission.email} if submission.email else {})


def read_submission(bucket: Bucket, job_id: str) -> UploadSubmission | None:
    """Raises `ValueError` for one that cannot be read."""
    raw = bucket.read_small(layout.submission_key(job_id), MAX_SUBMISSION_BYTES)
    return None if raw is None else UploadSubmission.model_validate_json(raw)


def no_upload(job_id: str) -> UnknownJob:
    """One sentence for all uploads that are not the caller's: never begun, too old, aborted, another's."""
    return UnknownJob(f"There is no upload {job_id}.")


def _put_submission(bucket: Bucket, job_id: str, wanted: UploadSubmission) -> UploadSubmission:
    """Write what is wanted, once. Returns what stands."""
    body = wanted.model_dump_json().encode()
    if len(body) > MAX_SUBMISSION_BYTES:
        raise Refused(Slug.BAD_OPTIONS, detail="they are too long")
    if bucket.put_once(layout.submission_key(job_id), body):
        return wanted
    try:
        return read_submission(bucket, job_id) or wanted
    except ValidationError:
        raise Conflict(f"What the upload {job_id} was completed with cannot be read.") from None
