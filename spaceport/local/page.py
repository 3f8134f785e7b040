"""Serves the page of the embedded cloud, on the cloud's own port: its calls then are those of our own origin.

So the door trusts no other origin for it, and none is left to trust when the cloud has ended and another program gets
its port. The files hold no secret: whoever is on this machine may read them, and a link from anywhere may lead to them.
What they show needs a key, which a link that `spaceport up` prints leads to, once (`sign_in.py`).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import urlopen

from spaceport.files import write_atomic
from spaceport.local.access import Access
from spaceport.local.cross_origin import is_cross_origin, is_own_host
from spaceport.local.door import App, Receive, Scope, Send, headers_of
from spaceport.local.sign_in import CALLS, NEW_CODE, OneTimeCodes, SignIn
from spaceport.web import CONFIG, INDEX
from spaceport.web.headers import EMBED, cache_rule, is_immutable, media_type, security_headers

PREFIX: Final = "/_spaceport/"
"""No bucket can have this name, and ministack answers nothing below it."""
CONFIG_FILE: Final = "page.json"
"""Of the cloud's folder: what `config.json` says, once the template is deployed."""
LINK_TIMEOUT_SECONDS: Final = 30.0
NOT_THERE: Final = b"There is no such file. The page is built by `make web`.\n"
TEXTS: Final = ("text/", "application/json", "image/svg")
"""Media types that gzip makes smaller. A cloud on another machine is looked at through a tunnel."""
STARTING: Final = b"The embedded cloud is starting. Try again in a moment.\n"


def page_link(access: Access, key: str, job_id: str | None = None) -> str:
    """A new address that opens the page, or a job, signed in, once and within `CODE_SECONDS`.

    The part after `#` is never sent; the page removes it. Raises `OSError` when the cloud does not answer.
    """
    request = access.ministack_request(PREFIX + NEW_CODE)
    request.data = json.dumps({"key": key}).encode()
    request.add_header("content-type", "application/json")
    with urlopen(request, timeout=LINK_TIMEOUT_SECONDS) as response:  # noqa: S310  http, loopback
        code = json.load(response)["code"]
    job = f"?job={job_id}" if job_id else ""
    return f"{access.endpoint}{PREFIX}{job}#code={code}"


def write_config(state: Path, api_url: str) -> None:
    """Tell the page where the API is. `api_url` as the stack's outputs have it: https://ID.execute-api.…/v1."""
    parts = urlsplit(api_url)
    api = f"/restapis/{(parts.hostname or '').split('.')[0]}{parts.path}/_user_request_"
    write_atomic(state / CONFIG_FILE, json.dumps({"api": api, "link_code": True}).encode())


class PageServer:
    """ASGI middleware that answers what is below `PREFIX`, and passes on all else.

    Args:
        app: the door, with the embedded AWS behind it.
        port: of the embedded cloud.
        folder: the page's files; only those that are there at the start are served.
        config: the file that `write_config` writes.
        secret: of the cloud's owner, who makes links that sign in.
    """

    def __init__(self, app: App, port: int, folder: Path, config: Path, secret: str) -> None:
        self._app = app
        self._port = port
        self._files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self._gzipped: dict[str, bytes] = {}
        self._config = config
        self._sign_in = SignIn(secret, OneTimeCodes())
        self._hosts = (f"http://127.0.0.1:{port}", f"http://localhost:{port}")  # links to objects name the first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        name = scope["path"].removeprefix(PREFIX) or INDEX
        if name in CALLS and may_load(headers_of(scope), self._port, name):
            status, answer = await self._sign_in.answer(name, scope, receive)
            kind, body = "application/json", json.dumps(answer).encode()
        else:
            status, kind, body = self._answer(scope, name)
        encoding = {}
        if name not in CALLS and status == 200 and takes_gzip(scope) and kind.startswith(TEXTS):
            body, encoding = self._compressed(name, body), {"content-encoding": "gzip"}
        headers = {
            "content-type": kind,
            "vary": "accept-encoding",
            **encoding,
            "content-length": str(len(body)),
            "cache-control": cache_rule(name) if status == 200 and name not in CALLS else "no-store",
        } | security_headers(name, *self._hosts)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _compressed(self, name: str, body: bytes) -> bytes:
        """With gzip; kept where a file never changes under its name, since the viewer's takes a tenth of a second."""
        if not is_immutable(name):
            return gzip.compress(body)
        if name not in self._gzipped:
            self._gzipped[name] = gzip.compress(body)
        return self._gzipped[name]

    def _answer(self, scope: Scope, name: str) -> tuple[int, str, bytes]:
        """Status, media type and body."""
        if not may_load(headers_of(scope), self._port, name):
            return 403, "text/plain", b"The page is opened by its own address only.\n"
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, "text/plain", b"GET only.\n"
        try:
            if name == CONFIG:
                return 200, "application/json", self._config.read_bytes()
            if name in self._files:
                return 200, media_type(name), self._files[name].read_bytes()
        except OSError:  # built anew since the start, or not deployed yet
            return 503, "text/plain", STARTING
        return 404, "text/plain", NOT_THERE


def takes_gzip(scope: Scope) -> bool:
    return "gzip" in headers_of(scope).get("accept-encoding", "")


def may_load(headers: Mapping[str, str], port: int, name: str) -> bool:
    """Whether a request may read a file: of our own pages, of programs, of links and allowed frames elsewhere."""
    if not is_own_host(headers.get("host", ""), port):
        return False
    shown_as = {"document", "iframe"} if name == EMBED else {"document"}
    is_shown = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") in shown_as
    return not is_cross_origin(headers, port) or (is_shown and "origin" not in headers)
