"""A full disk under the embedded S3: a write that does not fit is refused with 507 before anything is acknowledged.

The embedded AWS answers 200, sends the event, and then only logs that it could not write: the object would be gone
after the next start. So each write is checked. When it arrives, by its length: a large one must leave `RESERVE`,
which is for what ends jobs in order, manifests and logs. And when all of it is known, before the object is listed: its
very bytes. If the write fails all the same, the object is taken off the list again. botocore sends a request that was
answered 507 only once.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from spaceport.local.door import App, Message, Receive, Scope, Send, headers_of

RESERVE: Final = 128 << 20
SMALL: Final = 1 << 20
"""Bytes of a write that may use the reserve, and what even such a one has to leave."""
FULL: Final = "InsufficientStorage"
_refused: ContextVar[list[str]] = ContextVar("refused")
_listed: ContextVar[tuple[dict[str, Any] | None] | None] = ContextVar("listed", default=None)
"""What this request's object displaced, once it is listed."""
_unwritten: ContextVar[bool] = ContextVar("unwritten", default=False)
"""Whether a file of this request's object could not be written."""


class DiskFull(Exception):
    """A write does not fit. `str` is a sentence for people."""


def free_bytes(folder: Path) -> int:
    """What this user may still write to the disk of `folder`, in bytes."""
    return shutil.disk_usage(folder).free


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


class DiskWatch:
    """Says once that a disk is nearly full, and once that there is room again."""

    def __init__(self, free: Callable[[], int]) -> None:
        self._free = free
        self._is_low = False

    def check(self) -> str | None:
        """A sentence when that has changed. There is room again well above the limit, or each byte would be news."""
        free = self._free()
        if not self._is_low and free < RESERVE:
            self._is_low = True
            return (
                f"The disk of the embedded cloud is full: {megabytes(free)} are free. Uploads are refused until there"
                f" are {megabytes(RESERVE)}. Delete something."
            )
        if self._is_low and free > RESERVE + RESERVE // 8:
            self._is_low = False
            return f"There is room again on the disk of the embedded cloud: {megabytes(free)}."
        return None


class DiskGuard:
    """ASGI middleware: answers writes of S3 that do not fit with 507.

    Args:
        app: the embedded AWS.
        free: the free bytes of the disk that its objects are on.
    """

    def __init__(self, app: App, free: Callable[[], int]) -> None:
        self._app = app
        self._free = free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_write_to_s3(scope):
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)
        size = int(headers.get("content-length", "0"))
        free = self._free()
        if free < size + (RESERVE if size > SMALL else SMALL):
            await _drain(receive)  # clients read no answer before they have sent all
            await _answer(send, sentence(size, free))
            return
        refused: list[str] = []
        _refused.set(refused)
        try:
            await self._app(scope, receive, _Sender(send, refused))
        except DiskFull as error:  # before ministack had a handler for it
            await _answer(send, str(error))

    def check_before_listing(self, s3: Any) -> None:
        """Let ministack's module `s3` raise `DiskFull` for an object that does not fit.

        It calls `_record_object_version` for each write once the object is whole, and before it sends the event.
        """
        record = s3._record_object_version

        @functools.wraps(record)
        def checked(bucket: str, key: str, former: Any, written: dict[str, Any], data: bytes) -> Any:
            free = self._free()
            size = 0 if getattr(data, "spool", None) else len(data)  # a large one is in a file, which is only moved
            if free >= size + (former or {}).get("size", 0) + SMALL:  # the former version is written again
                _listed.set((former,))
                return record(bucket, key, former, written, data)
            _list_former(s3, bucket, key, former)
            raise refuse(len(data), free)

        s3._record_object_version = checked

    def check_after_writing(self, s3: Any) -> None:
        """Let ministack's module `s3` raise `DiskFull` for an object that could not be written to its file after all.

        Others use the disk too: what was free when it was checked may be gone. Its event is on its way by then: whoever
        gets it finds no object, as if it had been deleted.
        """
        persist, write = s3._persist_object, s3._atomic_write

        @functools.wraps(write)
        def noted(*arguments: Any, **named: Any) -> None:
            try:
                write(*arguments, **named)
            except OSError:
                _unwritten.set(True)
                raise

        @functools.wraps(persist)
        def persisted(bucket: str, key: str, written: Any) -> None:
            _unwritten.set(False)
            persist(bucket, key, written)  # it only logs what goes wrong
            listed = _listed.get()
            if listed is None or not _unwritten.get():
                return
            (former,) = listed
            _forget_version(s3._object_versions.get((bucket, key), []), written)
            _list_former(s3, bucket, key, former)
            if former is None:
                s3._remove_key_files(s3._object_disk_path(bucket, key))
            raise refuse(written["size"], self._free())

        s3._atomic_write = noted
        s3._persist_object = persisted


def _list_former(s3: Any, bucket: str, key: str, former: dict[str, Any] | None) -> None:
    """List an object as it was before the write that is refused."""
    objects = s3._buckets[bucket]["objects"]
    del objects[key]
    if former is not None:
        objects[key] = former


def _forget_version(versions: list[dict[str, Any]], written: dict[str, Any]) -> None:
    """Of a bucket with versions, those of one key: the last one is not to be."""
    if versions and versions[-1]["version_id"] == written.get("version_id"):
        del versions[-1]
        for version in versions[-1:]:
            version["is_latest"] = True


def refuse(size: int, free: int) -> DiskFull:
    """What to raise for a write of `size` bytes; whatever ministack makes of it, the answer is 507."""
    text = sentence(size, free)
    _refused.get([]).append(text)
    return DiskFull(text)


def sentence(size: int, free: int) -> str:
    return (
        f"The disk of the embedded cloud is full: {megabytes(size)} do not fit into the {megabytes(free)} that are"
        " free. Delete something, or name a folder on another disk with --state. Nothing of this upload was kept."
    )


class _Sender:
    """Passes the app's answer on, unless the write was refused: then the refusal."""

    def __init__(self, send: Send, refused: list[str]) -> None:
        self._send = send
        self._refused = refused

    async def __call__(self, message: Message) -> None:
        if not self._refused:
            await self._send(message)
        elif message["type"] == "http.response.start":
            await _answer(self._send, self._refused[0])


def _is_write_to_s3(scope: Scope) -> bool:
    """Whether it is signed for S3, as a request, a URL or a form. Calls of other services write nothing to the disk."""
    if scope["method"] not in {"PUT", "POST"}:
        return False
    headers = headers_of(scope)
    query = parse_qs(scope["query_string"].decode("latin-1"))
    credential = headers.get("authorization", "") + "".join(query.get("X-Amz-Credential", []))
    return "/s3/aws4_request" in credential or headers.get("content-type", "").startswith("multipart/form-data")


async def _drain(receive: Receive) -> None:
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


async def _answer(send: Send, text: str) -> None:
    error = f"<Error><Code>{FULL}</Code><Message>{escape(text)}</Message></Error>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'.encode()
    headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 507, "headers": headers})
    await send({"type": "http.response.body", "body": body})
