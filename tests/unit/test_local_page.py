"""The page's server, without a cloud: who gets the files, and with which headers."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from spaceport.cli import connect
from spaceport.local.access import SECRET_HEADER, Access
from spaceport.local.address import RunningCloud
from spaceport.local.page import CONFIG_FILE, PREFIX, PageServer, write_config
from spaceport.local.sign_in import CODE_SECONDS, MAX_BODY, MAX_CODES, OneTimeCodes

PORT = 4566
OWN = {"host": f"127.0.0.1:{PORT}"}
SECRET = "the owner's"
ACCESS = Access("http://127.0.0.1:1", "http://127.0.0.1:1", SECRET)
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


def server(folder: Path) -> PageServer:
    async def door(_: Any, __: Any, send: Any) -> None:
        await send({"status": 0, "headers": []})

    return PageServer(door, PORT, folder, folder.parent / CONFIG_FILE, SECRET)


def sent(
    to: Path | PageServer, path: str, method: str = "GET", content: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; status 0 for what is passed on to the door."""
    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content.encode("latin-1")}

    all_headers = OWN | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in all_headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    asyncio.run((server(to) if isinstance(to, Path) else to)(scope, receive, send))
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


def test_texts_are_compressed_for_whoever_takes_that(folder: Path) -> None:
    name = f"{PREFIX}assets/index-AB12.js"
    status, headers, body = sent(folder, name, accept_encoding="gzip, br")
    assert (status, headers["content-encoding"], gzip.decompress(body)) == (200, "gzip", b"0")
    assert (headers["content-length"], headers["vary"]) == (str(len(body)), "accept-encoding")
    assert "content-encoding" not in sent(folder, name, accept_encoding="br")[1]
    assert gzip.decompress(sent(folder, PREFIX, accept_encoding="gzip")[2]) == b"<title>Spaceport</title>"


def test_a_refusal_is_no_compressed_file(folder: Path) -> None:
    """Nor is it kept in place of one."""
    name = f"{PREFIX}assets/index-AB12.js"
    status, headers, body = sent(folder, name, accept_encoding="gzip", host="elsewhere.test")
    assert (status, b"own address" in body) == (403, True)
    assert "content-encoding" not in headers


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
    assert json.loads(body) == {"api": "/restapis/abc123/v1/_user_request_", "link_code": True}


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


def call(page: PageServer, name: str, content: Any, **headers: str) -> tuple[int, Any]:
    body = content if isinstance(content, str) else json.dumps(content)
    status, answered, answer = sent(page, PREFIX + name, "POST", body, content_type="application/json", **headers)
    assert answered["cache-control"] == "no-store"
    return status, json.loads(answer) if answered["content-type"] == "application/json" else answer


def new_code(page: PageServer, key: str = "the key") -> str:
    status, answer = call(page, "codes", {"key": key}, **{SECRET_HEADER: SECRET})
    assert status == 201
    return str(answer["code"])


def test_a_code_gives_its_key_once(folder: Path) -> None:
    page = server(folder)
    first, second = new_code(page, "a key"), new_code(page, "another key")
    assert call(page, "sign-in", {"code": second}) == (200, {"key": "another key"})
    assert call(page, "sign-in", {"code": first}) == (200, {"key": "a key"})
    for code in (first, second, "", "x", "a key"):
        status, answer = call(page, "sign-in", {"code": code})
        assert status == 410 if code else 400
        assert not code or "`spaceport link` prints a new one" in answer["sentence"]
    assert call(server(folder), "sign-in", {"code": new_code(page)})[0] == 410, "of another start"


def test_only_the_owner_makes_codes(folder: Path) -> None:
    page = server(folder)
    assert call(page, "codes", {"key": "mine"})[0] == 403
    assert call(page, "codes", {"key": "mine"}, **{SECRET_HEADER: "a guess"})[0] == 403
    assert call(page, "codes", {"key": "mine"}, **{SECRET_HEADER: SECRET, "origin": "http://127.0.0.1:9999"})[0] == 403


def test_pages_of_strangers_exchange_no_code(folder: Path) -> None:
    page = server(folder)
    code = new_code(page)
    for headers in STRANGERS:
        assert call(page, "sign-in", {"code": code}, **headers)[0] == 403
    body = json.dumps({"code": code})
    assert sent(page, f"{PREFIX}sign-in", "POST", body, content_type="text/plain")[0] == 405, "what a form may send"
    assert sent(page, f"{PREFIX}sign-in", "GET", body, content_type="application/json")[0] == 405
    assert call(page, "sign-in", {"code": code}, origin=f"http://127.0.0.1:{PORT}")[0] == 200


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "1", '{"code": 1}', "\xff", "[" * 3000, json.dumps({"code": "x" * MAX_BODY})]
)
def test_what_is_no_body_of_a_sign_in(folder: Path, content: str) -> None:
    assert call(server(folder), "sign-in", content)[0] == 400


def test_codes_end_by_themselves_and_only_so_many_wait() -> None:
    time = 0.0
    codes = OneTimeCodes(lambda: time)
    late, early = codes.new("late"), codes.new("early")
    time = CODE_SECONDS - 1
    assert codes.take(early) == "early"
    time = CODE_SECONDS
    assert codes.take(late) is None
    waiting = [codes.new(str(number)) for number in range(MAX_CODES + 1)]
    assert [codes.take(code) for code in waiting] == [None, *map(str, range(1, MAX_CODES + 1))]


def test_without_a_page_up_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("spaceport.web.is_built", lambda: False)
    assert "make web" in connect.page_line(RunningCloud(tmp_path, ACCESS, io.StringIO()), "key")


def test_the_folder_is_named_where_it_is_not_the_usual_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert connect.state_option(tmp_path / ".spaceport") == ""
    assert connect.state_option(tmp_path / "my cloud") == f" --state '{tmp_path}/my cloud'"
