"""A zip was uploaded: begin its job, or reject it at once with the reason.

The event may come twice, and `start-job` may come first: one upload is one job.
"""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent, event_source
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.clients import NAMESPACE, bucket, table, tenants, uploads
from spaceport.pipeline.contract import EndManifest, RequestManifest
from spaceport.pipeline.errors import Refused
from spaceport.pipeline.jobs.accept import accept_upload
from spaceport.pipeline.layout import UPLOADS

logger = Logger(service="intake")
metrics = Metrics(namespace=NAMESPACE, service="intake")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@event_source(data_class=S3EventBridgeNotificationEvent)
def handler(event: S3EventBridgeNotificationEvent, _: LambdaContext) -> dict[str, str]:
    """Returns the job's id and the kind of its first manifest.

    Raises:
        UnreadableTenants: nobody knows whose the upload is. The event comes again, and is then a dead letter.
    """
    upload = event.detail.object
    # EventBridge sends keys as they are, S3's other notifications encoded, as powertools reads them. `a+b.zip` must not
    # vanish, whichever of the two is meant.
    for key in dict.fromkeys((str(upload["key"]), upload.key)):
        manifest = _accept(key, upload.get("version-id"))
        if manifest:
            return {"job_id": manifest.job_id, "kind": manifest.kind}
    return {}


def _accept(key: str, version: str | None) -> RequestManifest | EndManifest | None:
    """The first manifest of an upload's job; None where there is no such upload.

    Args:
        version: the embedded cloud's events do not name it.
    """
    if not key.startswith(UPLOADS):  # the rule knows only how keys end
        logger.warning("not below the uploads", key=key)
        return None
    try:
        known = tenants()
        manifest = accept_upload(
            bucket(), table(), uploads(), key, known.of_upload(key), version=version, tenants=known
        )
    except Refused as refusal:  # deleted before it was inspected: there is no one to notify
        logger.warning("upload is gone", key=key, slug=refusal.slug)
        return None
    logger.set_correlation_id(manifest.job_id)
    failure = manifest.failure if isinstance(manifest, EndManifest) else None
    metrics.add_metric("Rejected" if failure else "Accepted", MetricUnit.Count, 1)
    logger.info("upload inspected", key=key, outcome=manifest.kind, slug=failure.slug if failure else None)
    return manifest
