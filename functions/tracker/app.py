"""Records in the job table every manifest that is written and every Batch job that fails for good.

Both kinds of events come at least once and in any order; `pipeline.jobs.tracker` is idempotent and never goes back.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent, S3EventBridgeNotificationEvent, event_source
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.clients import NAMESPACE, bucket, job_of_manifest, table
from functions.tracker.measure import measure
from spaceport.pipeline.contract import EndManifest
from spaceport.pipeline.jobs.tracker import on_batch_failed, on_manifest

logger = Logger(service="tracker")
metrics = Metrics(namespace=NAMESPACE, service="tracker")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@event_source(data_class=EventBridgeEvent)
def handler(event: EventBridgeEvent, _: LambdaContext) -> None:
    """Raises `ValueError` for what is no manifest and for events that no rule sends: they become dead letters."""
    match event.detail_type:
        case "Object Created":
            _record_manifest(S3EventBridgeNotificationEvent(event.raw_event).detail.object.key)
        case "Batch Job State Change":
            _record_failure(event.detail)
        case other:
            raise ValueError(f"no rule should send {other!r}")


def _record_manifest(key: str) -> None:
    manifest = job_of_manifest(key)
    if manifest is None:
        logger.warning("not a manifest of a job", key=key)
        return
    logger.set_correlation_id(manifest[0])
    recorded = on_manifest(bucket(), table(), key)
    if recorded:
        measure(recorded)
    if isinstance(recorded, EndManifest) and recorded.failure:  # the dashboard lists these lines
        logger.warning("job failed", stage=recorded.stage, slug=recorded.failure.slug)
    metrics.add_metric("Manifests", MetricUnit.Count, 1)
    logger.info("manifest recorded", key=key)


def _record_failure(detail: dict[str, Any]) -> None:
    key = (detail.get("parameters") or {}).get("key", "")
    manifest = job_of_manifest(key)
    if manifest is None:
        logger.warning("a Batch job that is not ours failed", batch_job=detail.get("jobId"))
        return
    logger.set_correlation_id(manifest[0])
    reason, exit_code = _failure_reason(detail)
    on_batch_failed(bucket(), table(), key, detail["jobId"], reason, exit_code)
    metrics.add_metric("BatchFailed", MetricUnit.Count, 1)
    logger.warning("Batch job failed", batch_job=detail["jobId"], key=key, reason=reason, exit_code=exit_code)


def _failure_reason(detail: dict[str, Any]) -> tuple[str, int | None]:
    """Batch's reasons, of the job and then of its container, and the exit code if the container ever exited."""
    attempts = detail.get("attempts") or [{}]
    container = attempts[-1].get("container") or detail.get("container") or {}
    reasons = (detail.get("statusReason"), container.get("reason"))
    return "; ".join(reason for reason in reasons if reason), container.get("exitCode")
