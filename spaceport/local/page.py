"""Serves the page of the embedded cloud, on the cloud's own port: its calls then are those of our own origin.

So the door trusts no other origin for it, and none is left to trust when the cloud has ended and another program gets
its port. The files hold no secret: whoever is on this machine may read them, and a link from anywhere may lead to them.
What they show needs the key in the link that `spaceport up` prints.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote, urlsplit

from spaceport.files import write_atomic
from spaceport.local.cross_origin import is_cross_origin, is_own_host
from spaceport.local.door import App, Receive, Scope, Send, headers_of
from spaceport.web import CONFIG, INDEX, content_security_policy

PREFIX: Final = "/_spaceport/"
"""No bucket can have this name, and ministack answers nothing below it."""
CONFIG_FILE: Final = "page.json"
"""Of the cloud's folder: what `config.json` says, once the template is deployed."""
YEAR_SECONDS: Final = 365 * 24 * 3600
NOT_THERE: Final = b"There is no such file. The page is built by `make web`.\n"
STARTING: Final = b"The embedded cloud is starting. Try again in a moment.\n"


def page_link(endpoint: str, key: str) -> str:
    """The address that opens the page signed in. The part after `#` is never sent, and the page removes it."""
    return f"{endpoint}{PREFIX}#key={quote(key, safe='')}"


def write_config(state: Path, api_url: str) -> None:
    """Tell the page where the API is. `api_url` as the stack's outputs have it: https://ID.execute-api.…/v1."""
    parts = urlsplit(api_url)
    api = f"/restapis/{(parts.hostname or '').split('.')[0]}{parts.path}/_user_request_"
    write_atomic(state / CONFIG_FILE, json.dumps({"api": api, "link_key": True}).encode())


class PageServer:
    """ASGI middleware that answers what is below `PREFIX`, and passes on all else.

    Args:
        app: the door, with the embedded AWS behind it.
        port: of the embedded cloud.
        folder: the page's files; only those that are there at the start are served.
        config: the file that `write_config` writes.
    """

    def __init__(self, app: App, port: int, folder: Path, config: Path) -> None:
        self._app = app
        self._port = port
        self._files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self._config = config
        hosts = (f"http://127.0.0.1:{port}", f"http://localhost:{port}")  # links to objects name the first
        self._policy = content_security_policy(*hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        status, kind, body = self._answer(scope)
        headers = {
            "content-type": kind,
            "content-length": str(len(body)),
            "content-security-policy": self._policy,
            "cache-control": _cache_rule(scope["path"]) if status == 200 else "no-store",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, scope: Scope) -> tuple[int, str, bytes]:
        """Status, media type and body."""
        if not may_load(headers_of(scope), self._port):
            return 403, "text/plain", b"The page is opened by its own address only.\n"
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, "text/plain", b"GET only.\n"
        name = scope["path"].removeprefix(PREFIX) or INDEX
        try:
            if name == CONFIG:
                return 200, "application/json", self._config.read_bytes()
            if name in self._files:
                return 200, _media_type(name), self._files[name].read_bytes()
        except OSError:  # built anew since the start, or not deployed yet
            return 503, "text/plain", STARTING
        return 404, "text/plain", NOT_THERE


def may_load(headers: Mapping[str, str], port: int) -> bool:
    """Whether a request may read the page's files: our own pages, programs, and links that lead here from elsewhere."""
    if not is_own_host(headers.get("host", ""), port):
        return False
    is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return not is_cross_origin(headers, port) or (is_link and "origin" not in headers)


def _cache_rule(path: str) -> str:
    is_hashed = PurePosixPath(path).parent.name == "assets"
    return f"public, max-age={YEAR_SECONDS}, immutable" if is_hashed else "no-cache"


def _media_type(name: str) -> str:
    types = {".js": "text/javascript", ".html": "text/html; charset=utf-8", ".txt": "text/plain; charset=utf-8"}
    suffix = PurePosixPath(name).suffix
    return types.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
