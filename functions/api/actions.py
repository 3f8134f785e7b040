"""What a caller does to a job: stop it, or go on from one of its stages in a job of its own."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BaseModel, ConfigDict, Field

from functions.api.access import JOB_ID, job_to_handle
from functions.api.caller import audit_call, current_caller, current_event, json_body
from functions.clients import NAMESPACE, batch, bucket, queues, table
from spaceport.pipeline.contract import JobId, JobState, StageName
from spaceport.pipeline.errors import Conflict
from spaceport.pipeline.jobs.accept import continue_job
from spaceport.pipeline.jobs.batch import terminate_jobs
from spaceport.pipeline.jobs.ending import stop_job
from spaceport.pipeline.jobs.submission import Submission

logger = Logger(service="api")
metrics = Metrics(namespace=NAMESPACE, service="api")
router = Router()  # type: ignore[no-untyped-call]


class RetryRequest(BaseModel):
    """The body of `POST /jobs/ID/retry`."""

    model_config = ConfigDict(extra="forbid")

    stage: StageName = Field(alias="from")
    options: dict[str, Any] = {}
    """All options of the new job; none: those of the job that it goes on from."""
    job_id: JobId | None = Field(None, alias="jobId")
    """Of the new job: with it the same call again is the same job."""


@router.post("/jobs/<job_id>/stop")
def stop_one(job_id: str) -> dict[str, Any]:
    return stop(job_id)


@router.post("/stop-job")
def stop_by_body() -> dict[str, Any]:
    return stop(JOB_ID.validate_python(json_body(current_event(router)).get("jobId")))


def stop(job_id: str) -> dict[str, Any]:
    """End a job and its Batch jobs. Raises `Conflict` when it had ended otherwise."""
    event = current_event(router)
    caller = current_caller()
    job_to_handle(caller, job_id)
    audit_call(event, caller, job_id)
    logger.set_correlation_id(job_id)
    end = stop_job(bucket(), table(), job_id)
    if end.state is not JobState.STOPPED:
        raise Conflict(f"Job {job_id} had ended already: {end.state}.")
    ended = terminate_jobs(batch(), table(), job_id, queues())
    logger.info("stopped", batch_jobs=ended)
    return {"jobId": job_id, "state": end.state, "message": end.message, "batchJobs": ended}


@router.post("/jobs/<job_id>/retry")
def retry(job_id: str) -> tuple[dict[str, Any], int]:
    event = current_event(router)
    caller = current_caller()
    request = RetryRequest.model_validate(json_body(event))
    job_to_handle(caller, job_id)
    audit_call(event, caller, job_id)
    wanted = Submission(owner=caller.key, options=request.options, job_id=request.job_id)
    manifest = continue_job(bucket(), table(), job_id, request.stage, wanted)
    table().record(manifest)  # so that the caller's next request finds it
    logger.set_correlation_id(manifest.job_id)
    metrics.add_metric("Started", MetricUnit.Count, 1)
    return {"jobId": manifest.job_id, "name": manifest.request.name, "status": "/jobs/" + manifest.job_id}, 202
