"""A job has ended: one mail to its owner, if there is an address to which its tenant may have mails sent.

The event may come twice. Powertools keeps an idempotency record beside the job's other rows (`record` = `mail#…`), so
the second one sends nothing; a send that failed leaves no record and is tried again. Nothing but the record follows the
call of SES: when a function is killed between the two, the mail is sent again (decision 15). A mail that has a share
is known by that, which is saved between the two: so a job has one such share, and it works. Whether the address is
confirmed is looked up right before the mail is sent. A job whose mail is not sent is as it is; log and row say why.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from functions.links import DAY, MAILED, POSTER, artefacts_of_tenant, link_seconds, links
from functions.mails import Mail
from functions.notify.mail import Pages, write_mail
from spaceport.pipeline.addresses import is_confirmed
from spaceport.pipeline.contract import AnyManifest, EndManifest, JobState, StageManifest
from spaceport.pipeline.jobs.audit import audit
from spaceport.pipeline.jobs.quotas import Quotas, Reservation
from spaceport.pipeline.jobs.recovery import read_manifests
from spaceport.pipeline.jobs.shares import (
    DEFAULT_DAYS,
    Scope,
    Share,
    draft_share,
    has_mailed_share,
    save_share,
)
from spaceport.pipeline.jobs.state import JobRecord, advance
from spaceport.pipeline.jobs.table import KEEP_DAYS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

IDEMPOTENCY_SECONDS = 365 * DAY
SUCCESSES = {JobState.COMPLETED, JobState.COMPLETED_DEGRADED}
SHARE_LABEL = "In the mail at the job's end"
SENT_BEFORE = "sent before"
MAX_PICTURE_BYTES = 200_000
JPEG = b"\xff\xd8\xff"

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
    draft = _Draft.of(end, manifests)
    message_id = _send_once(job_id, lambda job: _send(job, sender, address, draft), context)
    logger.info("mail sent", state=end.state, message_id=message_id)


@dataclass(frozen=True)
class _Draft:
    """A mail, and what it hands out."""

    end: EndManifest
    mail: Mail
    share: Share | None
    """Of the mail's link; saved when the mail has left."""
    hands_out: bool

    @classmethod
    def of(cls, end: EndManifest, manifests: list[AnyManifest]) -> _Draft:
        """From the manifests alone: the table may not have the last one yet."""
        record: JobRecord | None = None
        for manifest in manifests:
            record = advance(record, manifest)
        assert record is not None  # noqa: S101  # a manifest always makes a row
        file_links = links(manifests, end.request.name, MAILED)
        web = os.environ.get("SPACEPORT_WEB_URL", "").rstrip("/")
        share, pages = None, Pages()
        if web:
            pages = Pages(job=f"{web}/?job={end.job_id}")
            if end.state in SUCCESSES:
                share, token = draft_share(end.job_id, _share_days(), Scope.REPORT, SHARE_LABEL, mailed=True)
                pages = replace(pages, share=f"{web}/share.html#{token}", share_days=_share_days())
        mail = write_mail(end, record, file_links, link_seconds(), pages, _poster(manifests))
        return cls(end, mail, share, hands_out=bool(file_links or share))


def _share_days() -> int:
    return min(DEFAULT_DAYS, int(float(os.environ.get(KEEP_DAYS) or DEFAULT_DAYS)))


def _poster(manifests: list[AnyManifest]) -> bytes | None:
    """The picture of the model; None without one that a mail can hold."""
    stages = [manifest for manifest in manifests if isinstance(manifest, StageManifest)]
    for artefact in (each for stage in stages for each in artefacts_of_tenant(stage, (f"/{POSTER}",))):
        try:
            raw = bucket().read_small(artefact.key, MAX_PICTURE_BYTES)
        except ValueError:
            logger.warning("the picture is too large for a mail", key=artefact.key)
            return None
        return raw if raw and raw.startswith(JPEG) else None
    return None


def _reason_for_no_mail(end: EndManifest, address: str) -> str | None:
    """Why no mail may be sent; None if one may. It is then counted among the tenant's mails of today."""
    request = end.request
    tenant = tenants().of(request.tenant)
    if not is_confirmed(bucket(), request.tenant, tenant, mails.domains(), address, request.owner):
        metrics.add_metric("MailsUnconfirmed", MetricUnit.Count, 1)
        return "the address is not confirmed"
    counted = Quotas(table()).reserve_mail(request.tenant, tenant.limits, f"job:{end.job_id}")
    if counted is Reservation.REFUSED:
        metrics.add_metric("MailsOverQuota", MetricUnit.Count, 1)
        return "the tenant has had all its mails of today"
    return None


def _send(job_id: str, sender: str, address: str, draft: _Draft) -> str:
    """Send it, unless its share says that an earlier invocation did, and died before that was recorded."""
    if draft.share and has_mailed_share(bucket(), job_id):
        return SENT_BEFORE
    if draft.hands_out:
        audit(table(), draft.end.request.tenant, "mail with links", job_id)
    message_id = mails.send(draft.mail, sender, address, {"job": job_id})
    if draft.share:
        save_share(bucket(), draft.share)
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
