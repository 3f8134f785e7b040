"""`/addresses`: to whom mails of the caller's tenant may go, and the one mail that asks a reader for confirmation."""

from __future__ import annotations

import os
from html import escape
from typing import Annotated, Any
from urllib.parse import quote

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field

from functions import mails
from functions.api.caller import audit_call, current_caller, current_event, json_body
from functions.api.errors import Forbidden
from functions.clients import bucket, table, tenants
from functions.mails import Mail
from spaceport.pipeline.addresses import (
    VALID,
    Address,
    forget_link,
    is_confirmed,
    keep_own_address,
    list_addresses,
    new_link,
    read_address,
)
from spaceport.pipeline.contract import now
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.quotas import Quotas, Reservation
from spaceport.pipeline.jobs.submission import valid_email
from spaceport.pipeline.tenants import Caller

PENDING = "A mail with a link is on its way. Its reader has {days} days to follow it; until then no other is sent."
CONFIRMED = "Mails of your jobs may go to this address."
NO_SENDER = "this deployment sends no mails, so no address can be confirmed"
ONE_A_DAY = "one mail a day to an address that is not confirmed. Ask for it again tomorrow (UTC)"
TOO_MANY = "{limit} mails a day. Ask for it again tomorrow (UTC)"

router = Router()  # type: ignore[no-untyped-call]


class Unconfirmed(Exception):
    """403: mails may not go to an address. `str(error)` is a sentence."""

    def __init__(self, email: str) -> None:
        super().__init__(
            f"Nobody has confirmed that mails of your jobs may go to {email}. Send it to POST /addresses, follow the"
            " link in the mail that then arrives there, and try again; or leave out `email`."
        )


class AddressRequest(BaseModel):
    """The body of `POST /addresses`."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=254)]


def check_email(email: str | None, caller: Caller) -> None:
    """Refuse a job whose mail could not be sent. An address that is none is no reason, nor is one where none is sent.

    Raises:
        Unconfirmed: nobody has confirmed the address for the caller's tenant.
    """
    address = valid_email(email)
    if address and mails.sender() and not _is_confirmed(caller, address):
        raise Unconfirmed(address)


@router.post("/addresses")
def ask_for_confirmation() -> tuple[dict[str, Any], int]:
    event = current_event(router)
    caller = current_caller()
    email = valid_email(AddressRequest.model_validate(json_body(event)).email)
    if email is None:
        raise Refused(Slug.BAD_OPTIONS, detail="`email` is no address")
    if _is_confirmed(caller, email):
        return {"email": email, "state": "CONFIRMED", "message": CONFIRMED}, 200
    address = read_address(bucket(), caller.tenant, email)
    if address is None or not address.is_pending(now()):
        _send_link(event, caller, email)
    return {"email": email, "state": "PENDING", "message": PENDING.format(days=VALID.days)}, 202


@router.get("/addresses")
def show_addresses() -> dict[str, Any]:
    """Those that were sent a link, and those that the operator lists and that need none."""
    caller = current_caller()
    if not caller.sees_all:
        raise Forbidden("The addresses of a team are shown to its API keys and its admins.")
    addresses = [_public(address) for address in list_addresses(bucket(), caller.tenant)]
    listed = sorted(tenants().of(caller.tenant).mail)
    return {"addresses": addresses, "listed": listed, "domains": mails.domains()}


def _public(address: Address) -> dict[str, Any]:
    state = "CONFIRMED" if address.confirmed_at else "PENDING" if address.is_pending(now()) else "EXPIRED"
    return {"email": address.email, "state": state}


def keep_if_own(email: str | None, caller: Caller) -> None:
    """Record for the mail at a job's end that its address is the caller's own, if it is. Last: the job is audited."""
    address = valid_email(email)
    if address and _is_own(caller, address):
        keep_own_address(bucket(), caller.tenant, address, caller.key)


def _is_confirmed(caller: Caller, email: str) -> bool:
    tenant = tenants().of(caller.tenant)
    return _is_own(caller, email) or is_confirmed(bucket(), caller.tenant, tenant, mails.domains(), email)


def _is_own(caller: Caller, email: str) -> bool:
    return caller.email is not None and caller.email.lower() == email.lower()


def _send_link(event: APIGatewayProxyEvent, caller: Caller, email: str) -> None:
    """Send the mail with the link, counted among the tenant's of today and one a day for the address.

    Raises:
        Refused: `bad_options`, when this deployment has no sender; `over_quota`.
        ClientError: SES refuses to send it. Another may be asked for tomorrow.
    """
    sender = mails.sender()
    if sender is None:
        raise Refused(Slug.BAD_OPTIONS, detail=NO_SENDER)
    limits = tenants().of(caller.tenant).limits
    counted = Quotas(table()).reserve_mail(caller.tenant, limits, f"confirm:{email.lower()}")
    if counted is not Reservation.MADE:
        full = TOO_MANY.format(limit=limits.mails_per_day) if counted is Reservation.REFUSED else ONE_A_DAY
        raise Refused(Slug.OVER_QUOTA, detail=full)
    audit_call(event, caller, email)
    token = new_link(bucket(), caller.tenant, email)
    try:
        mails.send(
            write_confirmation(caller.tenant, f"{_api_url(event)}/confirm?token={quote(token)}"), sender, email, {}
        )
    except ClientError:
        forget_link(bucket(), caller.tenant, email)
        raise


def write_confirmation(tenant: str, link: str) -> Mail:
    """The one mail that a stranger can be sent. It holds no word of whoever asked for it."""
    lines = [
        f"The team “{tenant}” turns drone photos into 3D models with Spaceport, and wants to have mails about them sent"
        " to this address: one for each model, with links to its files.",
        f"If that is right, open this page within {VALID.days} days and confirm it:",
        link,
        "If it is not, do nothing. Nothing else will be sent here without your confirmation.",
    ]
    paragraphs = "".join(
        f'<p><a href="{escape(line)}">Confirm this address</a></p>' if line is link else f"<p>{escape(line)}</p>"
        for line in lines
    )
    html = f'<!doctype html><html lang="en"><body>{paragraphs}</body></html>'
    return Mail("Confirm this address for Spaceport", "\n\n".join(lines) + "\n", html)


def _api_url(event: APIGatewayProxyEvent) -> str:
    """The address under which this API was called. No header says so: whoever calls would choose where links lead."""
    context = event.request_context
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:  # the embedded cloud's, which does not name the domain
        return f"{endpoint}/restapis/{context.api_id}/{context.stage}/_user_request_"
    return f"https://{context.domain_name}{context.path.removesuffix('/addresses')}"
