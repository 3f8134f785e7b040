"""How a job begins: from an upload that was inspected, or from the finished stages of another job.

Only the zip's directory is read, by ranges, so a bad upload is rejected within a second and costs no machine time.
"""

from __future__ import annotations

import hashlib
import logging
import re
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spaceport.pipeline import layout
from spaceport.pipeline.contract import (
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
from spaceport.pipeline.errors import LostResource, Refused, Slug, UnknownJob
from spaceport.pipeline.jobs.ending import end_job, failure_of
from spaceport.pipeline.jobs.submission import (
    MAX_NAME,
    Submission,
    parse_metadata,
    parse_metadata_options,
    parse_options_file,
    valid_email,
)
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.options import resolve
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.uploads.photo_zip import inspect
from spaceport.pipeline.uploads.ranged_reader import open_object

MAX_CONTINUATIONS = 100

log = logging.getLogger(__name__)


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
    submission, sent = submission or Submission(), parse_metadata(metadata)
    title = submission.name or sent.name or _title_from(key)
    job_id = submission.job_id or sent.job_id or new_job_id(title, "\0".join((uploads.name, key, upload.etag, token)))
    known = _first_manifest(bucket, job_id)
    if known:
        return known
    request = Request(
        name=title[:MAX_NAME],
        email=valid_email(submission.email or sent.email),
        owner=submission.owner or sent.owner,
        upload=upload,
        received_at=now(),
    )
    try:
        options = parse_metadata_options(metadata) | submission.options
        manifest = _inspect(uploads, job_id, request, upload, options)
    except Refused as refusal:
        failure = failure_of(refusal)
        return end_job(bucket, table, job_id, JobState.REJECTED, request=request, failure=failure)
    except (BotoCoreError, ClientError):  # of AWS, not of the upload: the event comes again
        raise
    except Exception:  # whatever an upload brings about, its owner hears of it, and the next upload is not held up
        log.exception("the upload %r broke its inspection", key)
        failure = failure_of(LostResource(Slug.INTERNAL, stage="The inspection of the upload"))
        return end_job(bucket, table, job_id, JobState.FAILED, request=request, failure=failure)
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
    request = Request(
        name=submission.name or old.name,
        email=valid_email(submission.email) or old.email,
        owner=submission.owner or old.owner,
        options=resolve(submission.options) if submission.options else old.options,
        upload=old.upload,
        received_at=now(),
        continues=source,
    )
    for job_id in [submission.job_id] if submission.job_id else _continuation_ids(source):
        manifest = stored.manifest.model_copy(update={"job_id": job_id, "request": request, "created_at": now()})
        free = not _first_manifest(bucket, job_id)
        if free and bucket.put_manifest(layout.input_manifest_key(job_id, stage), manifest):
            return manifest
    raise Refused(Slug.BAD_OPTIONS, detail=f"`jobId` {submission.job_id or source} is taken")


def _inspect(
    uploads: Bucket, job_id: str, request: Request, upload: Upload, explicit: dict[str, Any]
) -> RequestManifest:
    with open_object(uploads.client, upload.bucket, upload.key, upload.bytes, upload.etag) as file:
        photo_zip = inspect(file)
    inner = parse_options_file(photo_zip.options)
    is_named = request.name != _title_from(upload.key)[:MAX_NAME]
    filled = Request(
        name=request.name if is_named else inner.name or request.name,
        email=request.email or valid_email(inner.email),
        owner=request.owner,
        options=resolve(inner.options | explicit),
        upload=upload,
        received_at=request.received_at,
    )
    return RequestManifest(job_id=job_id, created_at=now(), request=filled, photos=len(photo_zip.photos))


def _head_upload(uploads: Bucket, key: str) -> tuple[Upload, dict[str, str]]:
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
    return upload, head["Metadata"]


def _first_manifest(bucket: Bucket, job_id: str) -> RequestManifest | EndManifest | None:
    for key in (layout.request_key(job_id), layout.end_key(job_id)):
        stored = bucket.read_manifest(key)
        if stored and not isinstance(stored.manifest, StageManifest):
            return stored.manifest
    return None


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
