"""Who calls, with what, and the row in the audit log that says so."""

from __future__ import annotations

import hashlib
import os
import re
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final, cast

from aws_lambda_powertools.event_handler import ApiGatewayResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from functions.api.errors import Forbidden
from functions.clients import table, tenants
from spaceport.pipeline.jobs.audit import NOBODY, audit
from spaceport.pipeline.jobs.submission import parse_json_object, valid_email
from spaceport.pipeline.tenants import GROUP, USER, Caller

DERIVED_DIGITS: Final = 32
OPEN_ROUTES: Final = frozenset(
    {("GET", "/confirm"), ("POST", "/confirm"), ("GET", "/shared"), ("GET", "/shared/model")}  # a token opens each
)
PREFLIGHT: Final = "OPTIONS"
"""The method of a browser's question whether it may call, which no route of ours answers."""
_CALLER: Final[ContextVar[Caller]] = ContextVar("caller")


def current_event(router: Router) -> APIGatewayProxyEvent:
    """The call that is being answered."""
    return cast("APIGatewayProxyEvent", router.current_event)


def require_caller(app: ApiGatewayResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Middleware of all routes: who calls is known before a route reads anything, or no route is called.

    Raises: as `caller_of`.
    """
    event = cast("APIGatewayProxyEvent", app.current_event)
    if event.http_method != PREFLIGHT and (event.http_method, event.path) not in OPEN_ROUTES:
        token = _CALLER.set(caller_of(event))
        try:
            return next_middleware(app)
        finally:
            _CALLER.reset(token)
    return next_middleware(app)


def current_caller() -> Caller:
    """Who makes the call that is being answered. Raises `LookupError` in an open route, whose caller nobody knows."""
    return _CALLER.get()


def caller_of(event: APIGatewayProxyEvent) -> Caller:
    """Who makes a call: a person whose sign-in API Gateway has verified, or whoever has an API key.

    Raises:
        Forbidden: it has no API key; or the sign-in was for something else.
        UnreadableTenants: nobody knows whose key it is.
    """
    if claims := (event.request_context.get("authorizer") or {}).get("claims"):
        return _person(claims)
    key = event.request_context.identity.api_key_id
    if not key:  # the embedded API Gateway checks the key and does not say which it is
        secret = event.headers.get("x-api-key")
        if not secret:
            raise Forbidden("This call has no API key. Send yours in the header `x-api-key`.")
        key = derived_key_id(secret)
    return tenants().caller(key)


def _person(claims: dict[str, str]) -> Caller:
    """Who has signed in. API Gateway checks signature, issuer and time, but not for which app of the pool a token is.

    Nobody can put himself into a group, as he could change other attributes of his own.
    """
    client = os.environ.get("SPACEPORT_USER_POOL_CLIENT")
    if not client or claims.get("aud") != client or claims.get("token_use") != "id":
        raise Forbidden("This sign-in is not for this API. Sign in on its page, and send the identity token.")
    groups = re.split(r"[,\s]+", claims.get("cognito:groups", "").strip("[]"))  # `a,b`; `[a b]` of other kinds of APIs
    caller = tenants().caller(f"{USER}{claims['sub']}", *(f"{GROUP}{name}" for name in groups if name))
    is_verified = claims.get("email_verified") == "true"  # Cognito takes it back with each change of the address
    return replace(caller, email=valid_email(claims.get("email"))) if is_verified else caller


def derived_key_id(secret: str) -> str:
    """An id for an API key that does not give the key away."""
    return hashlib.sha256(secret.encode()).hexdigest()[:DERIVED_DIGITS]


def source_ip(event: APIGatewayProxyEvent) -> str:
    return event.request_context.identity.source_ip or NOBODY


def json_body(event: APIGatewayProxyEvent) -> dict[str, Any]:
    """Raises `Refused`: bad_options."""
    return parse_json_object(event.decoded_body or "", "the body")


def audit_call(event: APIGatewayProxyEvent, caller: Caller, subject: str) -> None:
    """Add a row for a call that is about to write, or to give links. Raises `ClientError`: then it must not."""
    action = f"{event.http_method} {event.path}"
    audit(table(), caller.tenant, action, subject, key=caller.key or NOBODY, source=source_ip(event))
