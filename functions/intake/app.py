"""A zip was uploaded: begin its job, or reject it at once with the reason.

The event may come twice, and `start-job` may come first: one upload is one job.
"""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent, event_source
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.clients import NAMESPACE, bucket, table, tenants, uploads
from spaceport.pipeline.contract import EndManifest
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
    if not upload.key.startswith(UPLOADS):  # the rule knows only how keys end
        logger.warning("not below the uploads", key=upload.key)
        return {}
    try:
        tenant = tenants().of_upload(upload.key)
        # The embedded cloud's events do not name the version.
        version = upload.get("version-id")
        manifest = accept_upload(bucket(), table(), uploads(), upload.key, tenant, version=version)
    except Refused as refusal:  # deleted before it was inspected: there is no one to notify
        logger.warning("upload is gone", key=upload.key, slug=refusal.slug)
        return {}
    logger.set_correlation_id(manifest.job_id)
    failure = manifest.failure if isinstance(manifest, EndManifest) else None
    metrics.add_metric("Rejected" if failure else "Accepted", MetricUnit.Count, 1)
    logger.info("upload inspected", key=upload.key, outcome=manifest.kind, slug=failure.slug if failure else None)
    return {"job_id": manifest.job_id, "kind": manifest.kind}
