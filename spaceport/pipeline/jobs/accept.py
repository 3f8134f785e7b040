"""How a job begins: from an upload that was inspected, or from the finished stages of another job.

Only the zip's directory is read, by ranges, so a bad upload is rejected within a second and costs no machine time.
"""

from __future__ import annotations

import hashlib
import logging
import re
from contextlib import suppress
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from spaceport.pipeline import layout
from spaceport.pipeline.contract import (
    AnyManifest,
    Birth,
    EndManifest,
    JobState,
    Request,
    RequestManifest,
    StageManifest,
    StageName,
    Upload,
    now,
)
from spaceport.pipeline.costs import estimate_job_usd
from spaceport.pipeline.errors import Conflict, LostResource, Refused, Slug, UnknownJob
from spaceport.pipeline.jobs.births import bear, bear_of_upload, is_taken
from spaceport.pipeline.jobs.ending import end_job, failure_of
from spaceport.pipeline.jobs.multipart import metadata_of_upload
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.jobs.state import photos_of
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
from spaceport.pipeline.tenants import Limits, Tenants, read_tenants
from spaceport.pipeline.uploads.photo_zip import inspect
from spaceport.pipeline.uploads.ranged_reader import open_object

MAX_CONTINUATIONS = 100

log = logging.getLogger(__name__)


def accept_upload(
    bucket: Bucket,
    table: JobTable,
    uploads: Bucket,
    key: str,
    tenant: str,
    submission: Submission | None = None,
    version: str | None = None,
    tenants: Tenants | None = None,
) -> RequestManifest | EndManifest:
    """Begin the job of an uploaded zip, or reject it. Idempotent: one upload is one job.

    Args:
        tenant: whose the upload is.
        submission: of an API call; overrides the object's metadata, which overrides `spaceport.json` in the zip.
        version: of the upload; the latest if None.
        tenants: with the limits of all; read if None.

    Raises:
        Refused: `upload_missing`, when there is no such object and so no job to reject; `over_quota`, of a call, which
            may be made again. An event is not, so its upload is rejected.
        UnreadableTenants: nobody knows the tenant's limits.
        Conflict: the upload has its job already, and `submission` wants another; or it wants an id that is taken.
    """
    upload, metadata = _head_upload(uploads, key, version)
    metadata = metadata_of_upload(bucket, key, metadata)
    wanted, sent = submission or Submission(), parse_metadata(metadata)
    title = sent.name or _title_from(key)
    birth = bear_of_upload(bucket, upload, title, tenant, owner=wanted.owner, sent=sent.job_id, wanted=wanted.job_id)
    request = Request(
        name=(wanted.name or title)[:MAX_NAME],
        email=valid_email(wanted.email or sent.email),
        tenant=birth.tenant,
        owner=birth.owner,
        upload=upload,
        received_at=now(),
    )
    standing = _first_manifest(bucket, birth.job_id)
    if standing is None:
        limits = (tenants or read_tenants(bucket)).of(request.tenant).limits
        begun = _begin(bucket, table, uploads, birth.job_id, request, submission, metadata, limits)
        if isinstance(begun, EndManifest) or bucket.put_manifest(layout.request_key(birth.job_id), begun):
            return begun
        standing = _first_manifest(bucket, birth.job_id) or begun
    if isinstance(standing, RequestManifest):
        _check_same(uploads, standing, request, wanted, metadata)
    return standing


def _begin(
    bucket: Bucket,
    table: JobTable,
    uploads: Bucket,
    job_id: str,
    request: Request,
    submission: Submission | None,
    metadata: dict[str, str],
    limits: Limits,
) -> RequestManifest | EndManifest:
    """The request manifest that an upload deserves, or the end manifest of its rejection, which is written."""
    quotas = Quotas(table)
    try:
        quotas.reserve_upload(request.tenant, limits, job_id, request.upload.bytes if request.upload else 0)
        manifest = _inspect(uploads, job_id, request, submission or Submission(), metadata)
        usd = estimate_job_usd(manifest.request.options.train, manifest.photos)
        quotas.reserve_job(request.tenant, limits, job_id, usd)
    except Refused as refusal:
        if refusal.slug is Slug.OVER_QUOTA and submission is not None:
            raise
        failure = failure_of(refusal)
        return end_job(bucket, table, job_id, JobState.REJECTED, request=request, failure=failure)
    except (BotoCoreError, ClientError, TimeoutError):  # of AWS, not of the upload: the event comes again
        raise
    except Exception:  # whatever an upload brings about, its owner hears of it, and the next upload is not held up
        log.exception("the upload %r broke its inspection", request.upload and request.upload.key)
        failure = failure_of(LostResource(Slug.INTERNAL, stage="The inspection of the upload"))
        return end_job(bucket, table, job_id, JobState.FAILED, request=request, failure=failure)
    return manifest


def _check_same(
    uploads: Bucket, standing: RequestManifest, request: Request, wanted: Submission, metadata: dict[str, str]
) -> None:
    """Raises `Conflict` when a call wants anything else than the job that its upload has already."""
    has = standing.request
    same = wanted.name in {None, has.name} and valid_email(wanted.email) in {None, has.email}
    if same and wanted.options:
        same = _inspect(uploads, standing.job_id, request, wanted, metadata).request.options == has.options
    if not same:
        raise Conflict(
            f"This upload has its job already, {standing.job_id}, with other options, name or email. Begin another on"
            f" its photos with `continues` {standing.job_id} and `step` sfm, or stop it and upload them again."
        )


def continue_job(
    bucket: Bucket,
    table: JobTable,
    source: str,
    stage: StageName,
    submission: Submission | None = None,
    tenants: Tenants | None = None,
) -> AnyManifest:
    """Begin a job that starts at `stage` on what job `source` has made, by pointing at its artefacts.

    With an id in the submission, the same call again gives the same job. `tenants` are read if None.

    Raises:
        UnknownJob: `source` has no manifest for that stage to start from.
        Refused: `bad_options`; `over_quota`.
        UnreadableTenants: nobody knows the tenant's limits.
        Conflict: the id in the submission is taken.
    """
    stored = bucket.read_manifest(layout.input_manifest_key(source, stage))
    if stored is None:
        raise UnknownJob(f"There is no job {source} with anything from which {stage} could start.")
    submission = submission or Submission()
    old = stored.manifest.request
    request = Request(
        name=submission.name or old.name,
        email=valid_email(submission.email) or old.email,
        tenant=old.tenant,
        owner=submission.owner or old.owner,
        options=resolve(submission.options) if submission.options else old.options,
        upload=old.upload,
        received_at=now(),
        continues=source,
    )
    limits, quotas = (tenants or read_tenants(bucket)).of(request.tenant).limits, Quotas(table)
    if not submission.job_id:
        quotas.check_place(request.tenant, limits)  # before an id is taken for nothing
    birth = _bear_continuation(bucket, stored.key, request, submission.job_id)
    key = layout.input_manifest_key(birth.job_id, stage)
    standing = bucket.read_manifest(key) if submission.job_id else None
    if standing:
        return standing.manifest
    usd = estimate_job_usd(request.options.train, photos_of(stored.manifest), stage)
    quotas.reserve_job(request.tenant, limits, birth.job_id, usd)
    manifest = stored.manifest.model_copy(update={"job_id": birth.job_id, "request": request, "created_at": now()})
    if not bucket.put_manifest(key, manifest):
        standing = bucket.read_manifest(key)
        return standing.manifest if standing else manifest
    return manifest


def _bear_continuation(bucket: Bucket, key: str, request: Request, wanted: str | None) -> Birth:
    """Take the id `wanted`, or else the first free one with a number."""
    wishes = request.model_dump_json(exclude={"received_at"})
    if wanted:
        source = f"continue:{key}#{hashlib.sha256(wishes.encode()).hexdigest()}"
        return bear(bucket, wanted, source, request.tenant, request.owner)
    for job_id in _continuation_ids(str(request.continues)):
        if not is_taken(bucket, job_id):
            with suppress(Conflict):  # of another call at the same time
                return bear(bucket, job_id, f"continue:{key}#{uuid4()}", request.tenant, request.owner)
    raise Conflict(f"{request.continues} was continued {MAX_CONTINUATIONS} times. Choose a new id as `jobId`.")


def _inspect(
    uploads: Bucket, job_id: str, request: Request, wanted: Submission, metadata: dict[str, str]
) -> RequestManifest:
    """Raises `Refused`."""
    explicit = parse_metadata_options(metadata) | wanted.options
    upload = request.upload
    assert upload is not None  # noqa: S101  # accept_upload has set it
    with open_object(uploads.client, upload) as file:
        photo_zip = inspect(file)
    inner = parse_options_file(photo_zip.options)
    is_named = request.name != _title_from(upload.key)[:MAX_NAME]
    filled = Request(
        name=request.name if is_named else inner.name or request.name,
        email=request.email or valid_email(inner.email),
        tenant=request.tenant,
        owner=request.owner,
        options=resolve(inner.options | explicit),
        upload=upload,
        received_at=request.received_at,
    )
    return RequestManifest(job_id=job_id, created_at=now(), request=filled, photos=len(photo_zip.photos))


def _head_upload(uploads: Bucket, key: str, version: str | None) -> tuple[Upload, dict[str, str]]:
    head = uploads.head(key, version)
    if head is None:
        raise Refused(Slug.UPLOAD_MISSING, name=key)
    upload = Upload(bucket=uploads.name, key=key, etag=head.etag, bytes=head.bytes, version_id=head.version)
    return upload, head.metadata


def _first_manifest(bucket: Bucket, job_id: str) -> RequestManifest | EndManifest | None:
    for key in (layout.request_key(job_id), layout.end_key(job_id)):
        stored = bucket.read_manifest(key)
        if stored and not isinstance(stored.manifest, StageManifest):
            return stored.manifest
    return None


def _title_from(key: str) -> str:
    name = key.rsplit("/", 1)[-1]
    return name[: -len(".zip")] if name.lower().endswith(".zip") and len(name) > len(".zip") else name or "survey"


def _continuation_ids(source: str) -> list[str]:
    base = re.sub(r"-r\d{1,3}$", "", source)[:58]
    return [f"{base}-r{number}" for number in range(1, MAX_CONTINUATIONS)]
