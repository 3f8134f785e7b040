"""`/confirm`: the page behind the link in a mail. It asks for a click, for scanners of mail open links by themselves.

Its reader has no API key. The token of the link is all that lets anyone in, and nobody but the mail's reader has it.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final
from urllib.parse import parse_qs

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router

from functions.api.caller import current_event, source_ip
from functions.clients import bucket, table
from spaceport.pipeline.addresses import Address, InvalidLink, address_of_link, confirm
from spaceport.pipeline.jobs.audit import audit

MAX_FORM: Final = 1024  # characters
STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:3em auto;padding:0 1em}button{font:inherit}"
)
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none';"
    f" style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with none at all, a browser sends the form with the origin `null`
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

router = Router()  # type: ignore[no-untyped-call]


@router.get("/confirm")
def show_page() -> Response[str]:
    event = current_event(router)
    token = (event.query_string_parameters or {}).get("token", "")
    try:
        address = address_of_link(bucket(), token)
    except InvalidLink:
        return _invalid_link()
    form = (
        '<form method="post" action="confirm">'
        f'<input type="hidden" name="token" value="{escape(token)}"><button>Confirm</button></form>'
    )
    return _page(200, "Confirm this address", _about(address, "May mails about {models} go to {email}?"), form)


@router.post("/confirm")
def confirm_address() -> Response[str]:
    event = current_event(router)
    try:
        token = _token_in_form(event.decoded_body or "")
        address = address_of_link(bucket(), token)
        audit(table(), address.tenant, "POST /confirm", address.email, source=source_ip(event))
        confirm(bucket(), address)
    except (InvalidLink, ValueError):  # which any stranger can send: not to be an error of the server
        return _invalid_link()
    return _page(200, "Confirmed", _about(address, "Mails about {models} will go to {email}. You can close this page."))


def _token_in_form(body: str) -> str:
    """Raises `ValueError` for what is no form."""
    if len(body) > MAX_FORM:
        raise ValueError("too long")
    return parse_qs(body, strict_parsing=True, max_num_fields=4).get("token", [""])[0]


def _about(address: Address, text: str) -> str:
    return text.format(models=f"the 3D models of the team “{address.tenant}”", email=address.email)


def _invalid_link() -> Response[str]:
    text = "It was used already, or is too old. Whoever had it sent can have another sent a week after the last."
    return _page(404, "This link does not work", text)


def _page(status: int, title: str, text: str, form: str = "") -> Response[str]:
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1><p>{escape(text)}</p>{form}</body></html>"
    )
    return Response(status_code=status, content_type="text/html; charset=utf-8", body=body, headers=dict(HEADERS))
