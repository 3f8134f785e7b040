"""The door of the embedded cloud: whoever is on this machine may knock, and only who has its secret is let in.

The embedded AWS checks no signatures but those of URLs, so any user of the machine, and any page in a browser on it,
could otherwise write objects, deploy a function, and so run code as the owner of the cloud. Let in are:

- requests that are signed with the secret of this start, as boto3 and the AWS CLI sign them; and those that functions
  and stages sign with the secrets of their roles, if the role's policies allow them (`roles.py`);
- presigned URLs of S3, and forms for S3 with a signed policy: what they may is what their signer may;
- calls of the API, whose keys the embedded API Gateway checks;
- ministack's own addresses, with the secret in a header.

And none of these from a page that another origin has served.
"""

from __future__ import annotations

import hmac
import json
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from ministack.core.iam_actions import access_denied_response

from spaceport.local.access import SECRET_HEADER
from spaceport.local.calls import (
    LIST,
    OBJECT_READS,
    Call,
    PartitionKey,
    bucket_arn,
    delete_calls,
    form_calls,
    is_delete_objects,
    json_calls,
    s3_calls,
)
from spaceport.local.cross_origin import is_cross_origin, is_own_host
from spaceport.local.roles import Roles
from spaceport.local.signatures import (
    Credentials,
    SignedRequest,
    Signer,
    signed_form,
    signer_of_header,
    signer_of_url,
)

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


@dataclass(frozen=True)
class Entry:
    """Who enters, and what for. Whoever is no role may do anything that is let in."""

    role: str | None = None
    service: str = ""
    calls: tuple[Call, ...] = ()


class Door:
    """ASGI middleware that refuses whoever has no right to enter.

    Args:
        roles: of the functions and stages.
        partition_key: of the tables behind the door.
    """

    def __init__(
        self, app: App, port: int, credentials: Credentials, roles: Roles, partition_key: PartitionKey
    ) -> None:
        self._app = app
        self._port = port
        self._credentials = credentials
        self._roles = roles
        self._partition_key = partition_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        body = Body(receive)
        entry = await self._entry(scope, body)
        if entry is None:
            await _refuse(send)
        elif entry.role is None:
            await self._app(scope, body.receive, send)
        elif call := self._roles.refused(entry.role, entry.calls):
            await _deny(send, entry, call)
        else:
            await self._app(scope, body.receive, self._hiding(entry, send))

    def _hiding(self, entry: Entry, send: Send) -> Send:
        """As S3: a role that may not list the bucket does not hear that an object is missing."""
        (call, *_) = entry.calls
        if call.action not in OBJECT_READS:
            return send
        listing = Call(LIST, bucket_arn(call.resource.removeprefix(bucket_arn("")).partition("/")[0]))
        is_hidden = False

        async def hide(message: Message) -> None:
            nonlocal is_hidden
            if message.get("status") == 404 and not self._roles.allows(str(entry.role), listing):
                is_hidden = True
                await _deny(send, entry, listing)
            elif not is_hidden:
                await send(message)

        return hide

    async def _entry(self, scope: Scope, body: Body) -> Entry | None:
        headers = headers_of(scope)
        if _has_twins(scope["headers"]) or is_cross_origin(headers, self._port):
            return None
        request = _signed_request(scope, headers)
        if request.method == "OPTIONS" and "access-control-request-method" in headers:
            return Entry()  # a preflight of our own pages
        if "authorization" in headers:
            return await self._entry_by_header(request, body)
        if SECRET_HEADER in headers:
            is_ours = hmac.compare_digest(headers[SECRET_HEADER].encode(), self._credentials.secret.encode())
            return Entry() if is_ours else None
        if "X-Amz-Signature" in request.query:
            signer = signer_of_url(request, self._credentials)
            return self._entry_of(signer, s3_calls(request)) if signer else None
        return Entry() if self._is_call_of_the_api(request) else await self._entry_by_form(request, body)

    async def _entry_by_header(self, request: SignedRequest, body: Body) -> Entry | None:
        is_hashed = "x-amz-content-sha256" in request.headers
        data = b"" if is_hashed else await body.read(MAX_SIGNED_BODY)
        signer = None if data is None else signer_of_header(request, data, self._credentials)
        if signer is None or signer.access_key == self._credentials.access_key:
            return Entry() if signer else None
        if signer.service == "s3" and not is_delete_objects(request):
            return self._entry_of(signer, s3_calls(request))
        if is_hashed:
            data = await body.read(MAX_SIGNED_BODY)
        try:
            if signer.service == "s3":
                return self._entry_of(signer, delete_calls(request, data or b""))
            return self._entry_of(signer, json_calls(request, signer.service, data or b"", self._partition_key))
        except (ValueError, TypeError, AttributeError, KeyError):
            return None

    def _entry_of(self, signer: Signer, calls: list[Call]) -> Entry:
        if signer.access_key == self._credentials.access_key:
            return Entry()
        return Entry(signer.access_key, signer.service, tuple(calls))

    def _is_call_of_the_api(self, request: SignedRequest) -> bool:
        """Whether it can be nothing but a call of the API, by whatever else the embedded AWS goes by."""
        is_api = _API.fullmatch(request.raw_path) is not None and _UP.search(request.raw_path) is None
        return is_api and is_own_host(request.headers["host"], self._port) and not _names_a_service(request)

    async def _entry_by_form(self, request: SignedRequest, body: Body) -> Entry | None:
        content_type = request.headers.get("content-type", "")
        if request.method != "POST" or not content_type.startswith("multipart/form-data") or _names_a_service(request):
            return None
        head = await body.read_until(_FILE, MAX_FORM_HEAD)
        form = None if head is None else signed_form(content_type, head, self._credentials)
        return self._entry_of(form[0], form_calls(request, form[1])) if form else None


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


async def _deny(send: Send, entry: Entry, call: Call) -> None:
    """As AWS answers a role that lacks a right, in the protocol of its service."""
    status, headers, body = access_denied_response(entry.service, call.action, str(entry.role), str(uuid.uuid4()))
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
