"""The API: start, stop and show jobs, list the options, sign an upload.

Every caller has an API key and sees every job of this deployment; a job started here is marked with the caller's key.
"""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import TypeAdapter, ValidationError

from functions.api import addresses, confirm
from functions.api.addresses import Unconfirmed, check_email
from functions.api.caller import caller_of
from functions.api.errors import error_response
from functions.api.start import StartJob, start
from functions.api.upload import UploadRequest, sign_upload
from functions.clients import NAMESPACE, batch, bucket, queues, table
from functions.links import FILES, links
from spaceport.pipeline.contract import EndManifest, JobId, JobState
from spaceport.pipeline.errors import Conflict, Refused, Slug, UnknownJob
from spaceport.pipeline.jobs.batch import terminate_jobs
from spaceport.pipeline.jobs.ending import stop_job
from spaceport.pipeline.jobs.state import END_STATES, JobRecord
from spaceport.pipeline.jobs.submission import parse_json_object
from spaceport.pipeline.options import LEGACY, PRESETS, JobOptions, resolve, validation_message

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
JOB_ID: TypeAdapter[str] = TypeAdapter(JobId)

logger = Logger(service="api")
metrics = Metrics(namespace=NAMESPACE, service="api")
app = APIGatewayRestResolver(
    cors=CORSConfig(allow_origin=os.environ.get("SPACEPORT_WEB_ORIGIN", "*"), allow_headers=["x-api-key"], max_age=3600)
)


app.include_router(addresses.router)
app.include_router(confirm.router)


@app.post("/start-job")
def start_job() -> tuple[dict[str, Any], int] | Response[str]:
    body = StartJob.model_validate(_json_body())
    check_email(body.email, caller_of(app.current_event))
    manifest = start(body, _caller())
    table().record(manifest)  # so that the caller's next request finds it; the tracker does so only a moment later
    logger.set_correlation_id(manifest.job_id)
    if isinstance(manifest, EndManifest) and manifest.failure:
        return error_response(400, manifest.failure.slug, manifest.failure.sentence, jobId=manifest.job_id)
    metrics.add_metric("Started", MetricUnit.Count, 1)
    return {"jobId": manifest.job_id, "name": manifest.request.name, "status": "/jobs/" + manifest.job_id}, 202


@app.post("/stop-job")
def stop() -> dict[str, Any]:
    job_id = JOB_ID.validate_python(_json_body().get("jobId"))
    logger.set_correlation_id(job_id)
    end = stop_job(bucket(), table(), job_id)
    if end.state is not JobState.STOPPED:
        raise Conflict(f"Job {job_id} had ended already: {end.state}.")
    ended = terminate_jobs(batch(), table(), job_id, queues())
    logger.info("stopped", batch_jobs=ended)
    return {"jobId": job_id, "state": end.state, "message": end.message, "batchJobs": ended}


@app.get("/jobs")
def list_jobs() -> dict[str, Any]:
    query = app.current_event.query_string_parameters or {}
    limit = TypeAdapter(int).validate_python(query.get("limit", DEFAULT_LIMIT))
    limit = min(max(limit, 1), MAX_LIMIT)
    rows = _list_rows(query.get("state"), query.get("owner"), limit)
    return {"jobs": [_public(row) for row in rows[:limit]]}


@app.get("/jobs/<job_id>")
def show_job(job_id: str) -> dict[str, Any]:
    row = table().get(JOB_ID.validate_python(job_id))
    if row is None:
        raise UnknownJob(f"There is no job {job_id}.")
    keys = row.outputs.values() if row.state in END_STATES else ()  # the page polls, and manifests can be megabytes
    manifests = [stored.manifest for stored in map(bucket().read_manifest, keys) if stored]
    file_links = [link.model_dump() for link in links(manifests, row.name, FILES)]
    stages = {name: stage.model_dump(mode="json", exclude_none=True) for name, stage in table().stages(job_id).items()}
    return {"job": _public(row), "stages": stages, "links": file_links}


@app.get("/options")
def options() -> dict[str, Any]:
    """The options of a job: a JSON Schema, what each preset changes, and the flat names accepted from old clients."""
    return {
        "schema": JobOptions.model_json_schema(),
        "defaults": resolve({}).model_dump(mode="json"),
        "presets": PRESETS,
        "legacy": list(LEGACY),
    }


@app.post("/uploads")
def uploads() -> tuple[dict[str, Any], int]:
    request = UploadRequest.model_validate(_json_body())
    check_email(request.email, caller_of(app.current_event))
    return sign_upload(request, _caller()), 201


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
app.exception_handler(Exception)(_unforeseen)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST, clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)


def _json_body() -> dict[str, Any]:
    return parse_json_object(app.current_event.decoded_body or "", "the body")


def _caller() -> str | None:
    """The id of the caller's API key: not a secret, and the same for every job started with it."""
    return app.current_event.request_context.identity.api_key_id


def _list_rows(state: str | None, owner: str | None, limit: int) -> list[JobRecord]:
    """Rows by state or by owner, the newest first."""
    if owner:
        rows = table().by_owner(_caller() or "" if owner == "me" else owner, limit)
        return [row for row in rows if state in {None, row.state.value}]
    states = [TypeAdapter(JobState).validate_python(state)] if state else list(JobState)
    rows = [row for each in states for row in table().by_state(each, limit)]
    return sorted(rows, key=lambda row: row.updated_at, reverse=True)


def _public(row: JobRecord) -> dict[str, Any]:
    return row.model_dump(mode="json", exclude_none=True, exclude={"record", "facts"})
