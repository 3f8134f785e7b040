"""The page's server, without a cloud: who gets the files, and with which headers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from spaceport.cli import connect
from spaceport.local.access import Access
from spaceport.local.page import CONFIG_FILE, PREFIX, PageServer, page_link, write_config

PORT = 4566
OWN = {"host": f"127.0.0.1:{PORT}"}
API = "https://abc123.execute-api.us-east-1.amazonaws.com/v1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>Spaceport</title>")
    (folder / "embed.html").write_text("<title>Model</title>")
    (folder / "assets" / "index-AB12.js").write_text("0")
    (tmp_path / "secret").write_text("secret")
    return folder


def sent(folder: Path, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; status 0 for what is passed on to the door."""
    messages: list[dict[str, Any]] = []

    async def door(*_: Any) -> None:
        messages.append({"status": 0, "headers": []})

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    all_headers = OWN | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in all_headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    server = PageServer(door, PORT, folder, folder.parent / CONFIG_FILE)
    asyncio.run(server(scope, receive, send))
    first = messages[0]
    body = b"".join(message.get("body", b"") for message in messages)
    return first["status"], {name.decode(): value.decode() for name, value in first["headers"]}, body


def test_the_page_and_its_files(folder: Path) -> None:
    status, headers, body = sent(folder, PREFIX)
    assert (status, body) == (200, b"<title>Spaceport</title>")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    status, headers, _ = sent(folder, f"{PREFIX}assets/index-AB12.js")
    assert (status, headers["content-type"]) == (200, "text/javascript")
    assert headers["cache-control"].endswith("immutable")
    assert sent(folder, f"{PREFIX}index.html", "HEAD")[2] == b""


def test_all_else_goes_to_the_door(folder: Path) -> None:
    for path in ("/", "/bucket/_spaceport/", "/restapis/abc/v1/_user_request_/jobs", "/_spaceport"):
        assert sent(folder, path)[0] == 0


@pytest.mark.parametrize("name", ["../secret", "assets/../../secret", "assets//../index.html", "/etc/passwd", "assets"])
def test_nothing_outside_the_folder_is_served(folder: Path, name: str) -> None:
    assert sent(folder, PREFIX + name)[0] == 404


def test_nothing_is_written(folder: Path) -> None:
    assert sent(folder, PREFIX, "POST")[0] == 405
    assert sent(folder, PREFIX, "PUT")[0] == 405


def test_the_page_knows_where_the_api_is_once_it_is_deployed(folder: Path) -> None:
    assert sent(folder, f"{PREFIX}config.json")[0] == 503
    write_config(folder.parent, API)
    status, headers, body = sent(folder, f"{PREFIX}config.json")
    assert (status, headers["cache-control"]) == (200, "no-cache")
    assert json.loads(body) == {"api": "/restapis/abc123/v1/_user_request_", "link_key": True}


STRANGERS = [
    {"host": "evil.example"},
    {"host": f"evil.example:{PORT}", "sec-fetch-site": "same-origin"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "null", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
]


@pytest.mark.parametrize("headers", STRANGERS)
def test_pages_of_strangers_get_nothing(folder: Path, headers: dict[str, str]) -> None:
    assert sent(folder, PREFIX, **headers)[0] == 403


def test_a_link_from_anywhere_opens_it(folder: Path) -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert sent(folder, PREFIX, **link)[0] == 200
    assert sent(folder, PREFIX, sec_fetch_site="none")[0] == 200


def test_pages_of_others_may_frame_the_embedded_viewer_and_nothing_else(folder: Path) -> None:
    frame = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    status, headers, _ = sent(folder, f"{PREFIX}embed.html", **frame)
    assert status == 200
    assert "frame-ancestors *" in headers["content-security-policy"]
    assert sent(folder, f"{PREFIX}embed.html", **frame, origin="null")[0] == 403
    assert sent(folder, f"{PREFIX}embed.html", **frame | {"sec_fetch_mode": "no-cors"})[0] == 403
    for name in ("", "index.html", "config.json", "assets/index-AB12.js"):
        status, headers, _ = sent(folder, PREFIX + name, **frame)
        assert (status, "frame-ancestors 'none'" in headers["content-security-policy"]) == (403, True)


def test_the_key_in_the_link_is_never_sent() -> None:
    link = page_link("http://127.0.0.1:4566", "a key&more")
    assert link == "http://127.0.0.1:4566/_spaceport/#key=a%20key%26more"


def test_without_a_page_up_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaceport.web.is_built", lambda: False)
    assert "make web" in connect.page_line(Access("http://127.0.0.1:1", "http://127.0.0.1:1", "secret"), "key")
