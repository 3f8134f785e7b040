"""`POST /uploads`: a form that lets a browser put one zip into the uploads bucket, and nothing else."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any, Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from functions.clients import bucket, s3, tenants, uploads
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.births import bear, new_job_id, signed_source
from spaceport.pipeline.options import resolve
from spaceport.pipeline.tenants import Caller

EXPIRES_SECONDS = 3600
MAX_BYTES: Final = 5 * 2**30  # the limit of a single-part upload; larger zips go through the command line, in parts
MAX_METADATA = 1900  # S3 accepts 2 KB of names and values


class UploadRequest(BaseModel):
    """What the page says about the zip. Its job begins by itself as soon as the last byte has arrived."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    bytes: Annotated[int, Field(ge=1, le=MAX_BYTES)]
    email: Annotated[str, Field(max_length=254)] | None = None
    options: dict[str, Any] = {}


def sign_upload(request: UploadRequest, caller: Caller) -> dict[str, Any]:
    """The address and the form fields for one upload of exactly `bytes` bytes, and the id of the job it begins.

    Send the fields in this order as multipart/form-data and the zip as the last field, `file`.

    Raises:
        Refused: `bad_options`, so that no one uploads in vain.
    """
    resolve(request.options)
    job_id = new_job_id(request.name, os.urandom(16).hex())
    metadata = {"job-id": job_id, "job-name": quote(request.name)}
    if request.options:
        metadata["options"] = json.dumps(request.options, separators=(",", ":"))
    if request.email:
        metadata["email"] = request.email
    if sum(len(name) + len(value.encode()) for name, value in metadata.items()) > MAX_METADATA:
        raise Refused(Slug.BAD_OPTIONS, detail="name and options together are too long for an upload")
    fields = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
    fields["Content-Type"] = "application/zip"
    conditions: list[Any] = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", request.bytes, request.bytes])
    key = f"{tenants().uploads_prefix(caller.tenant)}{job_id}.zip"
    bear(bucket(), job_id, signed_source(uploads().name, key), caller.tenant, caller.key)
    form = s3().generate_presigned_post(uploads().name, key, fields, conditions, ExpiresIn=EXPIRES_SECONDS)
    return {"jobId": job_id, "key": key, "url": form["url"], "fields": form["fields"], "seconds": EXPIRES_SECONDS}
