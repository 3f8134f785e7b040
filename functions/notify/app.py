"""A job has ended: one mail to its owner, if there is an address to which its tenant may have mails sent.

The event may come twice. Powertools keeps an idempotency record beside the job's other rows (`record` = `mail#…`), so
the second one sends nothing; a send that failed leaves no record and is tried again. Nothing but the record follows the
call of SES: when a function is killed between the two, the mail is sent again (decision 15). Whether the address is
confirmed is looked up right before the mail is sent. A job whose mail is not sent is as it is; log and row say why.
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

from functions import mails
from functions.clients import NAMESPACE, bucket, job_of_manifest, table, tenants
from functions.links import DAY, Link, link_seconds, links
from functions.mails import Mail
from functions.notify.mail import write_mail
from spaceport.pipeline.addresses import is_confirmed
from spaceport.pipeline.contract import AnyManifest, EndManifest
from spaceport.pipeline.jobs.audit import audit
from spaceport.pipeline.jobs.quotas import Quotas, Reservation
from spaceport.pipeline.jobs.recovery import read_manifests
from spaceport.pipeline.jobs.state import JobRecord, advance

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

IDEMPOTENCY_SECONDS = 365 * DAY

logger = Logger(service="notify")
metrics = Metrics(namespace=NAMESPACE, service="notify")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@event_source(data_class=S3EventBridgeNotificationEvent)
def handler(event: S3EventBridgeNotificationEvent, context: LambdaContext) -> None:
    """
    Raises:
        ClientError: SES refuses sender or receiver. A dead letter, and an alarm.
        UnreadableTenants: nobody knows who may have mails. The event comes again, and is then a dead letter.
    """
    key = event.detail.object.key
    manifest = job_of_manifest(key)
    if manifest is None:
        logger.warning("not a manifest of a job", key=key)
        return
    job_id = manifest[0]
    logger.set_correlation_id(job_id)
    manifests = [stored.manifest for stored in read_manifests(bucket(), job_id)]
    end = manifests[-1] if manifests else None
    if not isinstance(end, EndManifest):
        logger.warning("no end manifest")
        return
    address, sender = end.request.email, mails.sender()
    if not address:
        logger.warning("no mail: the job has no address", state=end.state)
        return
    reason = _reason_for_no_mail(end, address) if sender else "this deployment has no sender"
    if reason or not sender:
        logger.warning("no mail", reason=reason, state=end.state)
        table().note_unsent_mail(job_id, str(reason))
        return
    file_links = links(manifests, end.request.name)
    mail = _mail(end, manifests, file_links)
    audited_as = end.request.tenant if file_links else None
    message_id = _send_once(job_id, lambda job: _send(sender, address, mail, job, audited_as), context)
    logger.info("mail sent", state=end.state, message_id=message_id)


def _reason_for_no_mail(end: EndManifest, address: str) -> str | None:
    """Why no mail may be sent; None if one may. It is then counted among the tenant's mails of today."""
    request = end.request
    tenant = tenants().of(request.tenant)
    if not is_confirmed(bucket(), request.tenant, tenant, mails.domains(), address):
        metrics.add_metric("MailsUnconfirmed", MetricUnit.Count, 1)
        return "the address is not confirmed"
    counted = Quotas(table()).reserve_mail(request.tenant, tenant.limits, f"job:{end.job_id}")
    if counted is Reservation.REFUSED:
        metrics.add_metric("MailsOverQuota", MetricUnit.Count, 1)
        return "the tenant has had all its mails of today"
    return None


def _mail(end: EndManifest, manifests: list[AnyManifest], file_links: list[Link]) -> Mail:
    """From the manifests alone: the table may not have the last one yet."""
    record: JobRecord | None = None
    for manifest in manifests:
        record = advance(record, manifest)
    assert record is not None  # noqa: S101  # a manifest always makes a row
    web = os.environ.get("SPACEPORT_WEB_URL")
    page = f"{web.rstrip('/')}/?job={end.job_id}" if web else None
    return write_mail(end, record, file_links, link_seconds(), page)


def _send(sender: str, address: str, mail: Mail, job: str, audited_as: str | None) -> str:
    """`audited_as` is the tenant that hands out links with this mail, if it does."""
    if audited_as:
        audit(table(), audited_as, "mail with links", job)
    message_id = mails.send(mail, sender, address, {"job": job})
    metrics.add_metric("Mails", MetricUnit.Count, 1)
    return message_id


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
def _dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb")
