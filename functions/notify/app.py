"""A job has ended: one mail to its owner, if there is an address.

The event may come twice. Powertools keeps an idempotency record beside the job's other rows (`record` = `mail#…`), so
the second one sends nothing; a send that failed leaves no record and is tried again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent, event_source
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.clients import NAMESPACE, bucket, job_of_manifest, table
from functions.links import DAY, link_seconds, links
from functions.notify.mail import Mail, write_mail
from spaceport.pipeline.contract import AnyManifest, EndManifest
from spaceport.pipeline.jobs.recovery import read_manifests
from spaceport.pipeline.jobs.state import JobRecord, advance

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ses import SESClient

IDEMPOTENCY_SECONDS = 365 * DAY

logger = Logger(service="notify")
metrics = Metrics(namespace=NAMESPACE, service="notify")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@event_source(data_class=S3EventBridgeNotificationEvent)
def handler(event: S3EventBridgeNotificationEvent, context: LambdaContext) -> None:
    """Raises botocore's `ClientError` when SES refuses sender or receiver: a dead letter, and an alarm."""
    key = event.detail.object.key
    manifest = job_of_manifest(key)
    if manifest is None:
        logger.warning("not a manifest of a job", key=key)
        return
    job_id = manifest[0]
    logger.set_correlation_id(job_id)
    manifests = [stored.manifest for stored in read_manifests(bucket(), job_id)]
    end = manifests[-1] if manifests else None
    sender = os.environ.get("SPACEPORT_MAIL_FROM")
    if not isinstance(end, EndManifest):
        logger.warning("no end manifest")
    elif not end.request.email:
        logger.info("no mail: the job has no address", state=end.state)
    elif not sender:
        logger.warning("no mail: this deployment has no sender", state=end.state)
    else:
        address = end.request.email
        mail = _mail(end, manifests)
        message_id = _send_once(job_id, lambda job: _send(sender, address, mail, job), context)
        logger.info("mail sent", state=end.state, message_id=message_id)


def _mail(end: EndManifest, manifests: list[AnyManifest]) -> Mail:
    """From the manifests alone: the table may not have the last one yet."""
    record: JobRecord | None = None
    for manifest in manifests:
        record = advance(record, manifest)
    assert record is not None  # noqa: S101  # a manifest always makes a row
    web = os.environ.get("SPACEPORT_WEB_URL")
    page = f"{web.rstrip('/')}/?job={end.job_id}" if web else None
    return write_mail(end, record, links(manifests, end.request.name), link_seconds(), page)


def _send(sender: str, address: str, mail: Mail, job: str) -> str:
    response = _ses().send_email(
        Source=f"Spaceport <{sender}>",
        Destination={"ToAddresses": [address]},
        Tags=[{"Name": "job", "Value": job}],
        Message={
            "Subject": {"Data": mail.subject, "Charset": "UTF-8"},
            "Body": {
                "Text": {"Data": mail.text, "Charset": "UTF-8"},
                "Html": {"Data": mail.html, "Charset": "UTF-8"},
            },
        },
    )
    metrics.add_metric("Mails", MetricUnit.Count, 1)
    return response["MessageId"]


def _send_once(job_id: str, send: Callable[..., str], context: LambdaContext) -> str:
    """Send, unless the idempotency record says that it was sent. Returns the mail's id."""
    persistence = DynamoDBPersistenceLayer(
        table().table.name,
        key_attr="job_id",
        sort_key_attr="record",
        static_pk_value=job_id,
        boto3_client=_dynamodb(),
    )
    config = IdempotencyConfig(expires_after_seconds=IDEMPOTENCY_SECONDS, lambda_context=context)

    send_once = idempotent_function(
        send, data_keyword_argument="job", persistence_store=persistence, config=config, key_prefix="mail"
    )
    return str(send_once(job=job_id))


@cache
def _ses() -> SESClient:
    return boto3.client("ses")


@cache
def _dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb")
