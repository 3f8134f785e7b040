"""Who calls, with what, and the row in the audit log that says so."""

from __future__ import annotations

from typing import Any, cast

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from functions.clients import table, tenants
from spaceport.pipeline.jobs.audit import NOBODY, audit
from spaceport.pipeline.jobs.submission import parse_json_object
from spaceport.pipeline.tenants import Caller


def current_event(router: Router) -> APIGatewayProxyEvent:
    """The call that is being answered."""
    return cast("APIGatewayProxyEvent", router.current_event)


def caller_of(event: APIGatewayProxyEvent) -> Caller:
    """Whose API key a call has. Raises `UnreadableTenants`."""
    return tenants().caller(event.request_context.identity.api_key_id or "")


def source_ip(event: APIGatewayProxyEvent) -> str:
    return event.request_context.identity.source_ip or NOBODY


def json_body(event: APIGatewayProxyEvent) -> dict[str, Any]:
    """Raises `Refused`: bad_options."""
    return parse_json_object(event.decoded_body or "", "the body")


def audit_call(event: APIGatewayProxyEvent, caller: Caller, subject: str) -> None:
    """Add a row for a call that is about to write, or to give links. Raises `ClientError`: then it must not."""
    action = f"{event.http_method} {event.path}"
    audit(table(), caller.tenant, action, subject, key=caller.key or NOBODY, source=source_ip(event))
