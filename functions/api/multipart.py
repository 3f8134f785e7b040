"""`/uploads/ID…`: a zip in parts, each signed for exactly the bytes that were announced, by length and checksum.

Whose an upload is, its row says: another's does not exist for a caller, be it of another tenant or of another key.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from pydantic import BaseModel, ConfigDict, Field

from functions.api.access import JOB_ID
from functions.api.addresses import check_email, keep_if_own
from functions.api.caller import audit_call, current_caller, current_event, json_body
from functions.api.errors import error_response
from functions.clients import bucket, s3, table, tenants, uploads
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.births import bear, new_job_id, signed_source
from spaceport.pipeline.jobs.multipart import (
    MAX_PARTS,
    PART_BYTES,
    MultipartUpload,
    UploadSubmission,
    abort_upload,
    begin_upload,
    complete_upload,
    list_parts,
    no_upload,
    read_upload,
)
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.options import resolve
from spaceport.pipeline.tenants import Caller

MAX_BYTES: Final = MAX_PARTS * PART_BYTES
MAX_SIGNED: Final = 32
SECONDS: Final = 900
"""For which a part's address works."""
MAX_MISSING: Final = 32
MAX_QUOTED_NAME: Final = 1800  # S3 accepts 2 KB of metadata
CHECKSUM: Final = "x-amz-checksum-crc32"

router = Router()  # type: ignore[no-untyped-call]


class MultipartRequest(BaseModel):
    """The body of `POST /uploads` for an upload in parts."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    bytes: Annotated[int, Field(ge=1, le=MAX_BYTES)]
    multipart: Literal[True]


class PartToSign(BaseModel):
    """A part that is about to be sent."""

    model_config = ConfigDict(extra="forbid")

    n: Annotated[int, Field(ge=1, le=MAX_PARTS)]
    bytes: Annotated[int, Field(ge=1, le=PART_BYTES)]
    crc32: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{5}[AQgw]==$")]
    """Base64 of four bytes."""


class PartsRequest(BaseModel):
    """The body of `POST /uploads/ID/parts`."""

    model_config = ConfigDict(extra="forbid")

    parts: Annotated[list[PartToSign], Field(min_length=1, max_length=MAX_SIGNED)]


class CompleteRequest(BaseModel):
    """The body of `POST /uploads/ID/complete`."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=254)] | None = None
    options: dict[str, Any] = {}


def begin(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Answer `POST /uploads` for an upload in parts. Its job begins when it is completed."""
    event = current_event(router)
    request, caller = MultipartRequest.model_validate(body), current_caller()
    if len(quote(request.name)) > MAX_QUOTED_NAME:
        raise Refused(Slug.BAD_OPTIONS, detail="the name is too long for an upload")
    Quotas(table()).check_upload(caller.tenant, tenants().of(caller.tenant).limits, request.bytes)
    job_id = new_job_id(request.name, os.urandom(16).hex())
    key = f"{tenants().uploads_prefix(caller.tenant)}{job_id}.zip"
    audit_call(event, caller, job_id)
    bear(bucket(), job_id, signed_source(uploads().name, key), caller.tenant, caller.key)
    upload = begin_upload(
        uploads(),
        table(),
        job_id,
        key,
        name=request.name,
        size=request.bytes,
        tenant=caller.tenant,
        owner=caller.key,
    )
    return {"jobId": job_id, "key": key, "partBytes": upload.part_bytes, "parts": upload.parts}, 201


@router.post("/uploads/<job_id>/parts")
def sign_parts(job_id: str) -> dict[str, Any]:
    event = current_event(router)
    upload, caller = _upload_of_caller(job_id)
    parts = PartsRequest.model_validate(json_body(event)).parts
    for part in parts:
        if part.n > upload.parts or part.bytes != upload.bytes_of(part.n):
            raise Refused(Slug.BAD_OPTIONS, detail=f"part {part.n} is none of {part.bytes} bytes of this upload")
    audit_call(event, caller, upload.job_id)
    return {"parts": [_signed(upload, part) for part in parts], "seconds": SECONDS}


@router.get("/uploads/<job_id>")
def show_upload(job_id: str) -> dict[str, Any]:
    upload, _ = _upload_of_caller(job_id)
    parts = list_parts(uploads(), upload)
    if parts is None and not uploads().exists(upload.key):
        raise no_upload(job_id)
    return {
        "jobId": upload.job_id,
        "name": upload.name,
        "bytes": upload.bytes,
        "partBytes": upload.part_bytes,
        "parts": upload.parts,
        "uploaded": [part.model_dump(exclude={"etag"}) for part in parts or []],
        "state": "COMPLETE" if parts is None else "UPLOADING",
    }


@router.delete("/uploads/<job_id>")
def abort(job_id: str) -> dict[str, Any]:
    upload, caller = _upload_of_caller(job_id)
    audit_call(current_event(router), caller, upload.job_id)
    abort_upload(uploads(), upload)
    return {"jobId": upload.job_id, "state": "ABORTED"}


@router.post("/uploads/<job_id>/complete")
def complete(job_id: str) -> tuple[dict[str, Any], int] | Response[str]:
    event = current_event(router)
    upload, caller = _upload_of_caller(job_id)
    request = CompleteRequest.model_validate(json_body(event))
    resolve(request.options)  # a mistake here must not reject the upload for good
    check_email(request.email, caller)
    parts = list_parts(uploads(), upload)
    missing = upload.missing(parts) if parts is not None else []
    if missing:
        sentence = f"{len(missing)} of the upload's {upload.parts} parts are not there. Send them, then complete it."
        return error_response(409, "parts_missing", sentence, missing=missing[:MAX_MISSING])
    audit_call(event, caller, upload.job_id)
    keep_if_own(request.email, caller)
    wanted = UploadSubmission(key=upload.key, email=request.email, options=request.options)
    complete_upload(bucket(), uploads(), upload, parts, wanted)
    return {"jobId": upload.job_id, "status": "/jobs/" + upload.job_id}, 202


def _upload_of_caller(job_id: str) -> tuple[MultipartUpload, Caller]:
    """The upload, and who calls; an admin without his own address, which counts for jobs that he began alone.

    Raises `UnknownJob` in the same words, and after the same one read, for all that is not the caller's.
    """
    caller = current_caller()
    upload = read_upload(table(), JOB_ID.validate_python(job_id))
    if upload is None or upload.tenant != caller.tenant or not (upload.owner == caller.key or caller.is_admin):
        raise no_upload(job_id)
    return upload, caller if upload.owner == caller.key else replace(caller, email=None)


def _signed(upload: MultipartUpload, part: PartToSign) -> dict[str, Any]:
    """Where to PUT a part, and the headers beside its length, which are signed too."""
    url = s3().generate_presigned_url(
        "upload_part",
        Params={
            "Bucket": uploads().name,
            "Key": upload.key,
            "UploadId": upload.upload_id,
            "PartNumber": part.n,
            "ContentLength": part.bytes,
            "ChecksumCRC32": part.crc32,
        },
        ExpiresIn=SECONDS,
    )
    return {"n": part.n, "url": url, "headers": {CHECKSUM: part.crc32}}
