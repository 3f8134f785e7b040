"""The API: start, stop and show jobs, tell the options, sign an upload.

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

from functions.api.errors import Conflict, answer
from functions.api.start import StartJob, start
from functions.api.upload import WantUpload, sign_upload
from functions.clients import NAMESPACE, batch, bucket, queues, table
from functions.links import FILES, links
from spaceport.pipeline.contract import EndManifest, JobId, JobState
from spaceport.pipeline.errors import Refused, Slug, UnknownJob
from spaceport.pipeline.jobs.batch import terminate_jobs
from spaceport.pipeline.jobs.ending import stop_job
from spaceport.pipeline.jobs.state import END_STATES, JobRecord
from spaceport.pipeline.options import LEGACY, PRESETS, JobOptions, explain, resolve

LISTED, MOST_LISTED = 50, 200
JOB_ID: TypeAdapter[str] = TypeAdapter(JobId)

logger = Logger(service="api")
metrics = Metrics(namespace=NAMESPACE, service="api")
app = APIGatewayRestResolver(
    cors=CORSConfig(allow_origin=os.environ.get("SPACEPORT_WEB_ORIGIN", "*"), allow_headers=["x-api-key"], max_age=3600)
)


@app.post("/start-job")
def start_job() -> tuple[dict[str, Any], int] | Response[str]:
    wish = StartJob.model_validate(_body())
    manifest = start(wish, _caller())
    table().record(manifest)  # so that the caller's next question finds it; the tracker would do so a moment later
    logger.set_correlation_id(manifest.job_id)
    if isinstance(manifest, EndManifest) and manifest.failure:
        return answer(400, manifest.failure.slug, manifest.failure.sentence, jobId=manifest.job_id)
    metrics.add_metric("Started", MetricUnit.Count, 1)
    return {"jobId": manifest.job_id, "name": manifest.request.name, "status": "/jobs/" + manifest.job_id}, 202


@app.post("/stop-job")
def stop() -> dict[str, Any]:
    job_id = JOB_ID.validate_python(_body().get("jobId"))
    logger.set_correlation_id(job_id)
    end = stop_job(bucket(), table(), job_id)
    if end.state is not JobState.STOPPED:
        raise Conflict(f"Job {job_id} had ended already: {end.state}.")
    ended = terminate_jobs(batch(), table(), job_id, queues())
    logger.info("stopped", batch_jobs=ended)
    return {"jobId": job_id, "state": end.state, "message": end.message, "batchJobs": ended}


@app.get("/jobs")
def list_jobs() -> dict[str, Any]:
    told = app.current_event.query_string_parameters or {}
    limit = TypeAdapter(int).validate_python(told.get("limit", LISTED))
    limit = min(max(limit, 1), MOST_LISTED)
    rows = _rows(told.get("state"), told.get("owner"), limit)
    return {"jobs": [_shown(row) for row in rows[:limit]]}


@app.get("/jobs/<job_id>")
def show_job(job_id: str) -> dict[str, Any]:
    row = table().get(JOB_ID.validate_python(job_id))
    if row is None:
        raise UnknownJob(f"There is no job {job_id}.")
    ready = row.outputs.values() if row.state in END_STATES else ()  # a page asks often, and manifests can be megabytes
    made = [stored.manifest for key in ready if (stored := bucket().read_manifest(key))]
    offered = [link.model_dump() for link in links(made, row.name, FILES)]
    stages = {name: stage.model_dump(mode="json", exclude_none=True) for name, stage in table().stages(job_id).items()}
    return {"job": _shown(row), "stages": stages, "links": offered}


@app.get("/options")
def options() -> dict[str, Any]:
    """What a job may be told: a JSON Schema, what each preset changes, and the flat names taken from old clients."""
    return {
        "schema": JobOptions.model_json_schema(),
        "defaults": resolve({}).model_dump(mode="json"),
        "presets": PRESETS,
        "legacy": list(LEGACY),
    }


@app.post("/uploads")
def uploads() -> tuple[dict[str, Any], int]:
    return sign_upload(WantUpload.model_validate(_body()), _caller()), 201


def _refused(error: Refused) -> Response[str]:
    return answer(400, error.slug, str(error))


def _invalid(error: ValidationError) -> Response[str]:
    return _refused(Refused(Slug.BAD_OPTIONS, detail=explain(error)))


def _unknown_job(error: UnknownJob) -> Response[str]:
    return answer(404, "not_found", str(error))


def _conflict(error: Conflict) -> Response[str]:
    return answer(409, "conflict", str(error))


@app.not_found
def _no_route(_: NotFoundError) -> Response[str]:
    return answer(404, "not_found", "There is no such address. GET /options, GET /jobs and POST /start-job exist.")


def _unforeseen(error: Exception) -> Response[str]:
    logger.exception("unforeseen", exc_info=error)
    return answer(500, "internal", "Something went wrong on our side. Try again; the operator finds it in the log.")


app.exception_handler(Refused)(_refused)
app.exception_handler(ValidationError)(_invalid)
app.exception_handler(UnknownJob)(_unknown_job)
app.exception_handler(Conflict)(_conflict)
app.exception_handler(Exception)(_unforeseen)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST, clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)


def _body() -> dict[str, Any]:
    try:
        told = app.current_event.json_body
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Refused(Slug.BAD_OPTIONS, detail="the body must be a JSON object")
    return told


def _caller() -> str | None:
    """The id of the caller's API key: not a secret, and the same for all that he starts."""
    return app.current_event.request_context.identity.api_key_id


def _rows(state: str | None, owner: str | None, limit: int) -> list[JobRecord]:
    """Rows by state or by owner, the newest first."""
    if owner:
        rows = table().by_owner(_caller() or "" if owner == "me" else owner, limit)
        return [row for row in rows if state in {None, row.state.value}]
    states = [TypeAdapter(JobState).validate_python(state)] if state else list(JobState)
    found = [row for each in states for row in table().by_state(each, limit)]
    return sorted(found, key=lambda row: row.updated_at, reverse=True)


def _shown(row: JobRecord) -> dict[str, Any]:
    return row.model_dump(mode="json", exclude_none=True, exclude={"record", "facts"})
