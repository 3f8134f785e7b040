"""The door of the embedded cloud: whoever is on this machine may knock, and only who has its secret is let in.

The embedded AWS checks no signatures but those of URLs, so any user of the machine, and any page in a browser on it,
could otherwise write objects, deploy a function, and so run code as the owner of the cloud. Let in are:

- requests that are signed with the secret of this start, as boto3, the AWS CLI and the stages sign them;
- presigned URLs of S3, and forms for S3 with a signed policy;
- calls of the API, whose keys the embedded API Gateway checks;
- ministack's own addresses, with the secret in a header.

And none of these from a page that another origin has served.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

from spaceport.local.access import SECRET_HEADER
from spaceport.local.cross_origin import is_cross_origin, is_own_host
from spaceport.local.signatures import Credentials, SignedRequest, is_presigned, is_signed_by_header, is_signed_form

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REFUSAL: Final = "The embedded cloud serves its owner only. Its address and its secret are in cloud.json of its folder."
MAX_SIGNED_BODY: Final = (
    64 << 20
)  # without its hash in a header: calls of other services than S3, whose bodies are small
MAX_FORM_HEAD: Final = 64 << 10  # all fields but the file; S3 allows 20 KB
_DECISIVE: Final = frozenset({"host", "origin", "authorization", "content-type", SECRET_HEADER})
_API: Final = re.compile(r"/restapis/[a-z0-9]+/[A-Za-z0-9_-]+/_user_request_(/[^?#]*)?")
_UP: Final = re.compile(r"(\.|%2e){2}", re.IGNORECASE)
_FILE: Final = re.compile(rb'content-disposition:[^\r\n]{0,200};\s*name="file"', re.IGNORECASE)


class Door:
    """ASGI middleware that refuses whoever has no right to enter."""

    def __init__(self, app: App, port: int, credentials: Credentials) -> None:
        self._app = app
        self._port = port
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            body = Body(receive)
            if await self._may_enter(scope, body):
                await self._app(scope, body.receive, send)
            else:
                await _refuse(send)

    async def _may_enter(self, scope: Scope, body: Body) -> bool:
        headers = headers_of(scope)
        if _has_twins(scope["headers"]) or is_cross_origin(headers, self._port):
            return False
        request = _signed_request(scope, headers)
        if request.method == "OPTIONS" and "access-control-request-method" in headers:
            return True  # a preflight of our own pages
        if "authorization" in headers:
            return await self._is_signed_by_header(request, body)
        if SECRET_HEADER in headers:
            return hmac.compare_digest(headers[SECRET_HEADER].encode(), self._credentials.secret.encode())
        if "X-Amz-Signature" in request.query:
            return is_presigned(request, self._credentials)
        return self._is_call_of_the_api(request) or await self._is_signed_form(request, body)

    async def _is_signed_by_header(self, request: SignedRequest, body: Body) -> bool:
        data = b"" if "x-amz-content-sha256" in request.headers else await body.read(MAX_SIGNED_BODY)
        return data is not None and is_signed_by_header(request, data, self._credentials)

    def _is_call_of_the_api(self, request: SignedRequest) -> bool:
        """Whether it can be nothing but a call of the API, by whatever else the embedded AWS goes by."""
        is_api = _API.fullmatch(request.raw_path) is not None and _UP.search(request.raw_path) is None
        return is_api and is_own_host(request.headers["host"], self._port) and not _names_a_service(request)

    async def _is_signed_form(self, request: SignedRequest, body: Body) -> bool:
        content_type = request.headers.get("content-type", "")
        if request.method != "POST" or not content_type.startswith("multipart/form-data") or _names_a_service(request):
            return False
        head = await body.read_until(_FILE, MAX_FORM_HEAD)
        return head is not None and is_signed_form(content_type, head, self._credentials)


class Body:
    """A request's body, whose beginning can be read before it is passed on whole."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[Message] = []

    async def receive(self) -> Message:
        return self._read.pop(0) if self._read else await self._receive()

    async def read(self, most: int) -> bytes | None:
        """All of it; None if it is longer than `most`, or the client has gone."""
        data: bytes = b""
        while True:
            message = await self._receive()
            self._read.append(message)
            data += message.get("body", b"")
            if message["type"] != "http.request" or len(data) > most:
                return None
            if not message.get("more_body"):
                return data

    async def read_until(self, pattern: re.Pattern[bytes], most: int) -> bytes | None:
        """All up to the end of the first match of `pattern`; None if that is longer than `most` or does not come."""
        data: bytes = b""
        while True:
            message = await self._receive()
            self._read.append(message)
            data += message.get("body", b"")
            if match := pattern.search(data[: most + 1024]):
                return data[: match.end()]
            if message["type"] != "http.request" or len(data) > most or not message.get("more_body"):
                return None


def headers_of(scope: Scope) -> dict[str, str]:
    """A request's headers, by their names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _signed_request(scope: Scope, headers: dict[str, str]) -> SignedRequest:
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    raw_path = scope.get("raw_path") or scope["path"].encode()
    return SignedRequest(scope["method"], raw_path.decode("latin-1").split("?")[0], query, headers)


def _names_a_service(request: SignedRequest) -> bool:
    """Whether a header or a parameter of AWS's own is there, by which the embedded AWS chooses a service."""
    names = [*request.headers, *map(str.lower, request.query)]
    return any(name.startswith("x-amz-") or name == "action" for name in names)


def _has_twins(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a header that decides stands there twice: the embedded AWS might read the other one."""
    names = [name.decode("latin-1").lower() for name, _ in headers]
    twins = {name for name in names if names.count(name) > 1}
    return any(name in _DECISIVE or name.startswith("x-amz-") for name in twins)


async def _refuse(send: Send) -> None:
    json_type = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 403, "headers": json_type})
    await send({"type": "http.response.body", "body": json.dumps({"message": REFUSAL}).encode()})
