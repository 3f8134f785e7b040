"""The guard of the disk without a cloud: which requests are refused, and what their clients then read."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ministack.services import s3

from spaceport.local.disk import RESERVE, SMALL, DiskFull, DiskGuard

SIGNED = ("authorization", "AWS4-HMAC-SHA256 Credential=0/20260101/us-east-1/s3/aws4_request, SignedHeaders=host")
OTHER = ("authorization", SIGNED[1].replace("/s3/", "/dynamodb/"))
PRESIGNED = "X-Amz-Credential=0%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0"
FORM = ("content-type", "multipart/form-data; boundary=x")


class Server:
    """A guard before an app that reads the body and answers 200."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.guard = DiskGuard(self._app, lambda: self.free)
        self.reads = 0

    async def _app(self, _: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def status(self, method: str, size: int, *headers: tuple[str, str], query: str = "") -> int:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            self.reads += 1
            return {"type": "http.request", "body": b"x", "more_body": self.reads < 3}

        async def send(message: Any) -> None:
            sent.append(message)

        pairs = [(name.encode(), value.encode()) for name, value in (*headers, ("content-length", str(size)))]
        scope = {"type": "http", "method": method, "headers": pairs, "query_string": query.encode()}
        asyncio.run(self.guard(scope, receive, send))
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        assert isinstance(sent[1]["body"], bytes)
        return int(sent[0]["status"])


@pytest.mark.parametrize(("headers", "query"), [((SIGNED,), ""), ((), PRESIGNED), ((FORM,), "")])
def test_a_large_write_leaves_the_reserve(headers: tuple[tuple[str, str], ...], query: str) -> None:
    size = 10 << 20
    assert Server(RESERVE + size).status("POST", size, *headers, query=query) == 200
    assert Server(RESERVE + size - 1).status("POST", size, *headers, query=query) == 507


def test_a_small_write_may_use_it() -> None:
    assert Server(2 * SMALL).status("PUT", SMALL, SIGNED) == 200
    assert Server(2 * SMALL - 1).status("PUT", SMALL, SIGNED) == 507


def test_reads_and_other_services_need_no_disk() -> None:
    assert Server(0).status("GET", 0, SIGNED) == 200
    assert Server(0).status("POST", 100, OTHER) == 200
    assert Server(0).status("POST", 100) == 200, "a call of the API"


def test_a_client_can_send_all_before_it_reads_the_answer() -> None:
    server = Server(0)
    assert server.status("PUT", 100, SIGNED) == 507
    assert server.reads == 3


@pytest.mark.parametrize("former", [None, {"size": 3 * SMALL}])
def test_an_object_that_does_not_fit_is_not_listed(former: dict[str, int] | None) -> None:
    """The disk has filled up while it came, or it was copied or put together of parts."""
    objects: dict[str, Any] = {"key": {"size": SMALL}, "other": {}}
    recorded: list[str] = []
    fake = SimpleNamespace(
        _buckets={"bucket": {"objects": objects}},
        _record_object_version=lambda *words: recorded.append(words[1]),
    )
    server = Server(2 * SMALL - 1)
    server.guard.check_before_listing(fake)

    async def write(_: Any, __: Any, send: Any) -> None:
        try:
            fake._record_object_version("bucket", "key", former, objects["key"], b"x" * SMALL)
        except DiskFull:
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"ministack's own words"})

    server.guard._app = write
    assert server.status("PUT", 1, SIGNED) == 507
    assert objects == {"other": {}} | ({"key": former} if former else {})
    assert recorded == []


@pytest.mark.parametrize("failing", [".tmp", ".meta.json.tmp"])
@pytest.mark.parametrize("versioning", [None, "Enabled"])
def test_an_object_that_could_not_be_written_after_all_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, versioning: str | None
) -> None:
    """Somebody else took the room between the look at the disk and the write; ministack would answer 200."""
    for name, value in {
        "S3_PERSIST": True,
        "DATA_DIR": str(tmp_path),
        "_buckets": {"bucket": {"objects": {}}},
        "_bucket_versioning": {"bucket": versioning} if versioning else {},
        "_object_versions": {},
        "_fire_s3_event_async": lambda *_, **__: None,
    }.items():
        monkeypatch.setattr(s3, name, value)
    for name in ("_record_object_version", "_persist_object", "_atomic_write"):
        monkeypatch.setattr(s3, name, getattr(s3, name))  # the guard replaces them
    server = Server(1 << 40)
    server.guard.check_before_listing(s3)
    server.guard.check_after_writing(s3)
    is_full = False
    opened = os.open

    def full(path: Any, *arguments: Any) -> int:
        if is_full and str(path).endswith(f"a.zip{failing}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", full)

    async def put(_: Any, __: Any, send: Any) -> None:
        try:
            status = s3._put_object("bucket", "a.zip", b"zip", {"x-amz-meta-job-id": "a"})[0]
        except DiskFull:
            status = 500
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server.guard._app = put
    is_full = True
    assert server.status("PUT", 3, SIGNED) == 507
    assert s3._buckets == {"bucket": {"objects": {}}}
    assert not any(s3._object_versions.values())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    is_full = False
    assert server.status("PUT", 3, SIGNED) == 200
    is_full = True
    assert server.status("PUT", 3, SIGNED) == 507
    assert list(s3._buckets["bucket"]["objects"]) == ["a.zip"], "the former one stays"
    versions = s3._object_versions.get(("bucket", "a.zip"), [])
    assert [version["is_latest"] for version in versions] == ([True] if versioning else [])
