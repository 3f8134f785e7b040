"""How a job begins: from an upload that was inspected, or from the finished stages of another job.

Only the zip's directory is read, by ranges, so a bad upload is rejected within a second and costs no machine time.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from spaceport.pipeline import layout
from spaceport.pipeline.contract import (
    JOB_ID_PATTERN,
    AnyManifest,
    EndManifest,
    JobState,
    Request,
    RequestManifest,
    StageManifest,
    StageName,
    Upload,
    now,
)
from spaceport.pipeline.errors import Refused, Slug, UnknownJob
from spaceport.pipeline.jobs.ending import end_job, failure_of
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.options import JobOptions, resolve
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.uploads.photo_zip import inspect
from spaceport.pipeline.uploads.ranged_reader import open_object

MAX_CONTINUATIONS = 100
_JOB_ID = re.compile(JOB_ID_PATTERN)
_EMAIL = re.compile(r"[^@\s<>\"',;:]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


@dataclass(frozen=True)
class Submission:
    """What a user submits along with the zip. Everything is untrusted and may be missing."""

    name: str | None = None
    email: str | None = None
    owner: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    job_id: str | None = None


def accept_upload(
    bucket: Bucket, table: JobTable, uploads: Bucket, key: str, token: str, submission: Submission | None = None
) -> RequestManifest | EndManifest:
    """Begin a job for an uploaded zip, or reject it. Idempotent: the same `token` gives one job.

    Args:
        token: the idempotency token: the event's sequencer, or a digest of the API call.
        submission: of the API call; overrides the object's metadata, which overrides `spaceport.json` in the zip.

    Raises:
        Refused: `upload_missing`, when there is no such object and so no job to reject.
    """
    upload, metadata = _head_upload(uploads, key)
    submission = submission or Submission()
    title = submission.name or metadata.name or _title_from(key)
    job_id = (
        submission.job_id or metadata.job_id or new_job_id(title, "\0".join((uploads.name, key, upload.etag, token)))
    )
    known = _first_manifest(bucket, job_id)
    if known:
        return known
    request = Request(
        name=title[:200],
        email=_valid_email(submission.email or metadata.email),
        owner=submission.owner or metadata.owner,
        upload=upload,
        received_at=now(),
    )
    try:
        manifest = _inspect(uploads, job_id, request, metadata.options | submission.options)
    except Refused as refusal:
        failure = failure_of(refusal)
        return end_job(bucket, table, job_id, JobState.REJECTED, request=request, failure=failure)
    bucket.put_manifest(layout.request_key(job_id), manifest)
    return manifest


def continue_job(bucket: Bucket, source: str, stage: StageName, submission: Submission | None = None) -> AnyManifest:
    """Begin a job that starts at `stage` on what job `source` has made, by pointing at its artefacts.

    Raises:
        UnknownJob: `source` has no manifest for that stage to start from.
        Refused: `bad_options`.
    """
    stored = bucket.read_manifest(layout.input_manifest_key(source, stage))
    if stored is None:
        raise UnknownJob(f"There is no job {source} with anything from which {stage} could start.")
    submission = submission or Submission()
    old = stored.manifest.request
    changes: dict[str, Any] = {
        "name": submission.name or old.name,
        "email": _valid_email(submission.email) or old.email,
        "owner": submission.owner or old.owner,
        "options": resolve(submission.options) if submission.options else old.options,
        "received_at": now(),
        "continues": source,
    }
    request = old.model_copy(update=changes)
    for job_id in [submission.job_id] if submission.job_id else _continuation_ids(source):
        manifest = stored.manifest.model_copy(update={"job_id": job_id, "request": request, "created_at": now()})
        free = not _first_manifest(bucket, job_id)
        if free and bucket.put_manifest(layout.input_manifest_key(job_id, stage), manifest):
            return manifest
    raise Refused(Slug.BAD_OPTIONS, detail=f"`jobId` {submission.job_id or source} is taken")


def _inspect(uploads: Bucket, job_id: str, request: Request, explicit: dict[str, Any]) -> RequestManifest:
    assert request.upload is not None  # noqa: S101  # this module has just made it
    upload = request.upload
    with open_object(uploads.client, upload.bucket, upload.key, upload.bytes, upload.etag) as file:
        photo_zip = inspect(file)
    inner = _parse_options(photo_zip.options)
    options: JobOptions = resolve((inner.pop("options", None) or {}) | explicit)
    filled = request.model_copy(
        update={
            "options": options,
            "email": request.email or _valid_email(inner.get("email")),
            "name": request.name
            if request.name != _title_from(upload.key)
            else str(inner.get("name") or request.name)[:200],
        }
    )
    return RequestManifest(job_id=job_id, created_at=now(), request=filled, photos=len(photo_zip.photos))


def _parse_options(raw: bytes | None) -> dict[str, Any]:
    """`spaceport.json`: `{"name", "email", "options": {…}}`, or the options alone."""
    if raw is None:
        return {}
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused(Slug.BAD_OPTIONS, detail="`spaceport.json` is not valid JSON") from None
    if not isinstance(document, dict):
        raise Refused(Slug.BAD_OPTIONS, detail="`spaceport.json` must hold an object")
    if "options" not in document:
        about = {name: document.pop(name) for name in ("name", "email") if name in document}
        return about | {"options": document}
    return document


def _head_upload(uploads: Bucket, key: str) -> tuple[Upload, Submission]:
    try:
        head = uploads.client.head_object(Bucket=uploads.name, Key=key)
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
            raise Refused(Slug.UPLOAD_MISSING, name=key) from None
        raise
    upload = Upload(
        bucket=uploads.name,
        key=key,
        etag=head["ETag"].strip('"'),
        bytes=head["ContentLength"],
        version_id=head.get("VersionId"),
    )
    return upload, _submission_from(head["Metadata"])


def _submission_from(metadata: dict[str, str]) -> Submission:
    """`x-amz-meta-email`, `-owner`, `-job-name`, `-job-id`, `-options` (JSON). Names are percent-encoded."""
    try:
        options = json.loads(metadata.get("options") or "{}")
    except (ValueError, RecursionError):
        options = {"options": "not JSON"}  # `resolve` refuses it by name
    job_id = metadata.get("job-id", "")
    return Submission(
        name=unquote_plus(metadata.get("job-name", "")) or None,
        email=metadata.get("email"),
        owner=metadata.get("owner", "")[:254] or None,
        options=options if isinstance(options, dict) else {"options": "not an object"},
        job_id=job_id if _JOB_ID.fullmatch(job_id) else None,
    )


def _first_manifest(bucket: Bucket, job_id: str) -> RequestManifest | EndManifest | None:
    for key in (layout.request_key(job_id), layout.end_key(job_id)):
        stored = bucket.read_manifest(key)
        if stored and not isinstance(stored.manifest, StageManifest):
            return stored.manifest
    return None


def _valid_email(text: object) -> str | None:
    """An address that SES accepts, or None: a job is not refused for a mistyped address."""
    return text if isinstance(text, str) and len(text) <= 254 and _EMAIL.fullmatch(text) else None


def _title_from(key: str) -> str:
    name = key.rsplit("/", 1)[-1]
    return name[: -len(".zip")] if name.lower().endswith(".zip") and len(name) > len(".zip") else name or "survey"


def new_job_id(title: str, token: str) -> str:
    """Readable and unique: the title in plain letters, then ten hex digits of a hash of `token`."""
    plain = re.sub(r"[^a-z0-9]+", "-", title.lower())[:40].strip("-") or "survey"
    return f"{plain}-{hashlib.sha256(token.encode()).hexdigest()[:10]}"


def _continuation_ids(source: str) -> list[str]:
    base = re.sub(r"-r\d{1,3}$", "", source)[:58]
    return [f"{base}-r{number}" for number in range(1, MAX_CONTINUATIONS)]
