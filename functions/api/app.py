"""The API: start, stop, show, share and delete jobs, list the options, sign an upload.

Every caller has an API key, and sees the jobs of its tenant and nothing of any other; `access.py` says who may stop and
continue which. A job that is started here is its key's.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, TypeAdapter, ValidationError

from functions.api import actions, addresses, confirm, estimate, job, model, multipart, shares
from functions.api.addresses import Unconfirmed, check_email, keep_if_own
from functions.api.caller import audit_call, current_caller, json_body, require_caller
from functions.api.errors import Forbidden, error_response
from functions.api.job import public
from functions.api.previews import preview_addresses
from functions.api.start import StartJob, start
from functions.api.upload import UploadRequest, sign_upload
from functions.clients import NAMESPACE, table, tenants
from spaceport.pipeline.contract import EndManifest, JobState
from spaceport.pipeline.errors import Conflict, Refused, Slug, UnknownJob
from spaceport.pipeline.jobs.cursor import Cursor
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.options import LEGACY, PRESETS, JobOptions, resolve, validation_message
from spaceport.pipeline.tenants import KeyId, UnreadableTenants
from spaceport.pipeline.uploads.kinds import PHOTO_SUFFIXES, VIDEO_SUFFIXES
from spaceport.pipeline.uploads.photo_zip import MAX_TOTAL_BYTES, MIN_PHOTOS
from spaceport.pipeline.uploads.zip_directory import MAX_ENTRIES

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
STATES: TypeAdapter[list[JobState]] = TypeAdapter(Annotated[list[JobState], Field(max_length=len(JobState))])
OWNER: TypeAdapter[KeyId | None] = TypeAdapter(KeyId | None)

logger = Logger(service="api")
metrics = Metrics(namespace=NAMESPACE, service="api")


def cors(origin: str) -> CORSConfig | None:
    """Which pages may call the API from a browser: those of `origin`; empty: none."""
    headers, exposed = (
        ["x-api-key", "authorization", "content-type", "if-none-match", "x-share-token"],
        ["ETag", "Retry-After"],
    )
    config = CORSConfig(allow_origin=origin, allow_headers=headers, expose_headers=exposed, max_age=3600)
    return config if origin else None


app = APIGatewayRestResolver(cors=cors(os.environ.get("SPACEPORT_WEB_ORIGIN", "")))
app.use([require_caller])
app.include_router(actions.router)
app.include_router(addresses.router)
app.include_router(confirm.router)
app.include_router(estimate.router)
app.include_router(job.router)
app.include_router(model.router)
app.include_router(multipart.router)
app.include_router(shares.router)


@app.post("/start-job")
def start_job() -> tuple[dict[str, Any], int] | Response[str]:
    caller = current_caller()
    body = StartJob.model_validate(json_body(app.current_event))
    check_email(body.email, caller)
    audit_call(app.current_event, caller, body.subject())
    keep_if_own(body.email, caller)
    manifest = start(body, caller)
    table().record(manifest)  # so that the caller's next request finds it; the tracker does so only a moment later
    logger.set_correlation_id(manifest.job_id)
    if isinstance(manifest, EndManifest) and manifest.failure:
        return error_response(400, manifest.failure.slug, manifest.failure.sentence, jobId=manifest.job_id)
    metrics.add_metric("Started", MetricUnit.Count, 1)
    return {"jobId": manifest.job_id, "name": manifest.request.name, "status": "/jobs/" + manifest.job_id}, 202


@app.get("/jobs")
def list_jobs() -> dict[str, Any]:
    """The jobs that the caller sees, the newest first; by `state`, one or more with commas between them, and by
    `owner`, an API key's id or `me`; with small pictures of their models if `previews` is `true`."""
    caller = current_caller()
    query = app.current_event.query_string_parameters or {}
    limit = TypeAdapter(int).validate_python(query.get("limit", DEFAULT_LIMIT))
    states = STATES.validate_python(query["state"].split(",")) if query.get("state") else []
    is_own = query.get("owner") == "me" or not caller.sees_all
    owner = caller.key if is_own else OWNER.validate_python(query.get("owner"))
    after = Cursor.parse(query["cursor"]) if query.get("cursor") else None
    size = min(max(limit, 1), MAX_LIMIT)
    rows, cursor = table().page_of_tenant(caller.tenant, size, after, states=states, owner=owner)
    previews = preview_addresses(app.current_event, caller, rows) if query.get("previews") == "true" else {}
    shown = [public(row) | ({"preview": previews[row.job_id]} if row.job_id in previews else {}) for row in rows]
    return {"jobs": shown} | ({"cursor": str(cursor)} if cursor else {})


@app.get("/options")
def options() -> dict[str, Any]:
    """The options of a job: a JSON Schema, what each preset changes, flat names of old clients; and limits of a zip."""
    return {
        "schema": JobOptions.model_json_schema(),
        "defaults": resolve({}).model_dump(mode="json"),
        "presets": PRESETS,
        "legacy": list(LEGACY),
        "limits": {
            "bytes_unpacked": MAX_TOTAL_BYTES,
            "files": MAX_ENTRIES,
            "upload_bytes": multipart.MAX_BYTES,
            "min_photos": MIN_PHOTOS,
            "photo_suffixes": sorted(PHOTO_SUFFIXES),
            "video_suffixes": sorted(VIDEO_SUFFIXES),
        },
    }


@app.post("/uploads")
def uploads() -> tuple[dict[str, Any], int]:
    caller = current_caller()
    body = json_body(app.current_event)
    if "multipart" in body:
        return multipart.begin(body)
    request = UploadRequest.model_validate(body)
    check_email(request.email, caller)
    Quotas(table()).check_upload(caller.tenant, tenants().of(caller.tenant).limits, request.bytes)
    form = sign_upload(request, caller)
    audit_call(app.current_event, caller, form["jobId"])
    keep_if_own(request.email, caller)
    return form, 201


def _refused(error: Refused) -> Response[str]:
    return error_response(429 if error.slug is Slug.OVER_QUOTA else 400, error.slug, str(error))


def _invalid(error: ValidationError) -> Response[str]:
    return _refused(Refused(Slug.BAD_OPTIONS, detail=validation_message(error)))


def _unknown_job(error: UnknownJob) -> Response[str]:
    return error_response(404, "not_found", str(error))


def _conflict(error: Conflict) -> Response[str]:
    return error_response(409, "conflict", str(error))


def _unconfirmed(error: Unconfirmed) -> Response[str]:
    return error_response(403, "address_unconfirmed", str(error))


def _forbidden(error: Forbidden) -> Response[str]:
    return error_response(403, "forbidden", str(error))


def _unreadable_tenants(error: UnreadableTenants) -> Response[str]:
    logger.error("nobody is let in", reason=str(error))
    return error_response(
        503,
        "unavailable",
        "The list of this deployment's tenants cannot be read, so nobody is let in. Ask the operator, to whom"
        " `spaceport doctor` says why.",
    )


@app.not_found
def _no_route(_: NotFoundError) -> Response[str]:
    return error_response(404, "not_found", "There is no such address. Try GET /options, GET /jobs or POST /start-job.")


def _unforeseen(error: Exception) -> Response[str]:
    logger.exception("unforeseen", exc_info=error)
    return error_response(
        500, "internal", "Something went wrong on our side. Try again; the operator can find it in the log."
    )


app.exception_handler(Refused)(_refused)
app.exception_handler(ValidationError)(_invalid)
app.exception_handler(UnknownJob)(_unknown_job)
app.exception_handler(Unconfirmed)(_unconfirmed)
app.exception_handler(Conflict)(_conflict)
app.exception_handler(Forbidden)(_forbidden)
app.exception_handler(UnreadableTenants)(_unreadable_tenants)
app.exception_handler(Exception)(_unforeseen)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST, clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
