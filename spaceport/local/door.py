"""Keeps web pages out of the embedded cloud.

It asks for no signature, so a page from anywhere, open in a browser on this machine, could otherwise write objects,
deploy a function and so run code here: loopback is no border for a browser. Browsers say for whom they ask, and cannot
be made to lie about it. Programs (boto3, curl, the stages) say nothing of the kind and are let in.
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


def turned_away(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a page that another machine served. `headers` have lower-case names.

    - `Host` names another machine: its name was bent to 127.0.0.1 (DNS rebinding);
    - `Origin` is another machine's, or `null`: a script or a form of its page;
    - `Sec-Fetch-Site: cross-site` without such an origin: an image, a frame or a link of its page.
    """
    if "host" in headers and not _here(f"//{headers['host']}"):
        return True
    if "origin" in headers:
        return not _here(headers["origin"])
    return headers.get("sec-fetch-site") == "cross-site" and not _here(headers.get("referer", ""))


def _here(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return host in {"127.0.0.1", "localhost"} or host.endswith(".localhost")


class Door:
    """An ASGI application behind the door."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}
        if scope["type"] == "lifespan" or not turned_away(headers):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            plain = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 403, "headers": plain})
            await send({"type": "http.response.body", "body": json.dumps({"message": REFUSAL}).encode()})
