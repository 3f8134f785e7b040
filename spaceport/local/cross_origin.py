"""Refuses cross-origin requests to the embedded cloud.

It checks no signatures, so any page open in a browser on this machine could otherwise write objects, deploy a function
and so run code here: loopback does not protect against a browser. Browsers send the origin of a request in headers that
pages cannot forge. Programs (boto3, curl, the stages) send no such headers and are allowed.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REFUSAL = "The embedded cloud serves programs and pages of this machine only."


def is_cross_origin(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a page that another machine served. `headers` have lower-case names.

    - `Host` names another machine: its name was made to resolve to 127.0.0.1 (DNS rebinding);
    - `Origin` is another machine's, or `null`: a script or a form of its page;
    - `Sec-Fetch-Site: cross-site` without an origin: an image, a frame or a link of its page.
    """
    if "host" in headers and not _is_local(f"//{headers['host']}"):
        return True
    if "origin" in headers:
        return not _is_local(headers["origin"])
    return headers.get("sec-fetch-site") == "cross-site" and not _is_local(headers.get("referer", ""))


def _is_local(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return host in {"127.0.0.1", "localhost"} or host.endswith(".localhost")


class CrossOriginGuard:
    """ASGI middleware that refuses cross-origin requests."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}
        if scope["type"] == "lifespan" or not is_cross_origin(headers):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            json_type = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 403, "headers": json_type})
            await send({"type": "http.response.body", "body": json.dumps({"message": REFUSAL}).encode()})
