"""Keeps large objects of the embedded S3 in files, on their way in and out: ministack holds each in memory many times.

`install` replaces functions of the exactly pinned ministack; `tests/contract/test_ministack_large_objects.py` says what
they rely on. A body is written to a file of the scratch folder as it arrives, mapped into memory, and handed on in the
place of `bytes`; hashes go over the mapping piece by piece, and the file itself becomes the object's. Reads map the
object's file. What is not replaced here sees a buffer like any other. Bodies that the client frames itself
(`aws-chunked`; boto3 does so over TLS only) take ministack's own way.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import b64encode
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import parse_qs

import ministack.app
from ministack.core.router import detect_service
from ministack.services import s3

from spaceport.local.door import App, Receive, Scope, Send, headers_of
from spaceport.local.mapped import MappedFile, Spool, is_mapped, pieces
from spaceport.local.patching import edit, replace

LARGE: Final = 1 << 20
_large_body: ContextVar[int] = ContextVar("_large_body", default=0)
"""The length of the body of this request if it is a large object's, else 0."""

# CompleteMultipartUpload joins the parts in memory. Nothing around that is to change, so these expressions are.
COMPLETE_EDITS: Final = {
    'hashlib.md5(stored["body"]).digest()': "bytes.fromhex(stored['etag'].strip('\"'))",
    'combined_parts.append(stored["body"])': "combined_parts.append(stored)",
    'len(stored["body"])': 'stored["size"]',
    "sum(len(part_body) for part_body in combined_parts)": 'sum(part["size"] for part in combined_parts)',
    'b"".join(combined_parts)': "_join_parts(combined_parts)",
}


class LargeObjects:
    """ASGI middleware: notes which requests bring a large object."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _large_body.set(_large_object(scope) if scope["type"] == "http" else 0)
        await self._app(scope, receive, send)


def _large_object(scope: Scope) -> int:
    """The length of the object that a request brings, if it is large; a form's counts with its fields."""
    headers = headers_of(scope)
    length = headers.get("content-length", "0").strip()
    is_form = scope["method"] == "POST" and headers.get("content-type", "").startswith("multipart/form-data")
    if not (length.isdecimal() and int(length) >= LARGE and (scope["method"] == "PUT" or is_form)):
        return 0
    if "aws-chunked" in headers.get("content-encoding", "") or "x-amz-decoded-content-length" in headers:
        return 0
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return int(length) if detect_service(scope["method"], scope["path"], headers, query) == "s3" else 0


def install(app: App) -> App:
    """Replace ministack's functions, once in a process. Returns `app`, ministack's, in the middleware that they need.

    Raises:
        RuntimeError: ministack is not the one that this was written for.
    """
    for module, name, replacement in (
        (ministack.app, "_read_request_body", _read_request_body),
        (ministack.app, "_routing_params", _routing_params),
        (ministack.app, "_send_response", _send_response),
        (s3, "md5_hash", _md5_hash),
        (s3, "_compute_s3_checksum", _compute_s3_checksum),
        (s3, "_parse_multipart_form", _parse_multipart_form),
        (s3, "_upload_part", _upload_part),
        (s3, "_atomic_write", _atomic_write),
        (s3, "_persist_object", _persist_object),
        (s3, "_read_body", _read_body),
        (s3, "_version_body", _version_body),
        (s3, "_get_object_data", _get_object_data),
    ):
        replace(module, name, replacement)
    s3._join_parts = _join_parts
    edit(s3, "_complete_multipart_upload", COMPLETE_EDITS)
    return LargeObjects(app)


async def _read_request_body(original: Any, receive: Receive, method: str, headers: dict[str, str]) -> Any:
    length = _large_body.get()
    if not length:
        return await original(receive, method, headers)
    spool = Spool()
    size = 0
    with spool.file:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ministack.app._RequestBodyDisconnected
            size += spool.write(message.get("body", b""), length)
            if not message.get("more_body"):
                break
    if size != length:
        error = ministack.app._IncompleteRequestBody("Content-Length does not match request body")
        error.body = b""
        raise error
    return spool.map()


def _routing_params(
    original: Any, method: str, path: str, headers: dict[str, str], body: Any, query: dict[str, Any]
) -> dict[str, Any]:
    """A large object is none of the forms that name what a service should do, whatever its content type says."""
    params: dict[str, Any] = query if is_mapped(body) else original(method, path, headers, body, query)
    return params


async def _send_response(
    original: Any, send: Send, status: int, headers: dict[str, Any], body: Any, *, head: bool = False
) -> None:
    if not is_mapped(body):
        await original(send, status, headers, body, head=head)
        return
    headers.setdefault("Content-Length", str(len(body)))
    header_list = ministack.app._asgi_header_list(headers)
    await send({"type": "http.response.start", "status": status, "headers": header_list})
    for piece in pieces(body):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _digest(algorithm: str, body: Any) -> Any:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for piece in pieces(body):
        digest.update(piece)
    return digest


def _md5_hash(original: Any, body: Any) -> str:
    return str(_digest("md5", body).hexdigest() if is_mapped(body) else original(body))


def _compute_s3_checksum(original: Any, algorithm: str, body: Any) -> str | None:
    name = (algorithm or "").upper().replace("_", "")
    if not is_mapped(body) or name not in {"CRC32", "SHA1", "SHA256"}:
        checksum: str | None = original(algorithm, body)
        return checksum
    if name != "CRC32":
        return b64encode(_digest(name.lower(), body).digest()).decode()
    crc = 0
    for piece in pieces(body):
        crc = zlib.crc32(piece, crc)
    return b64encode(crc.to_bytes(4, "big")).decode()


def _parse_multipart_form(original: Any, content_type: str, body: Any) -> list[tuple[Any, ...]]:
    """A form's fields as ministack reads them, and its file as a view. S3 wants the file to be the last part."""
    if not is_mapped(body):
        parts: list[tuple[Any, ...]] = original(content_type, body)
        return parts
    match = re.search(r'boundary=("?)([^";\s]+)\1', content_type, re.IGNORECASE)
    if match is None:
        return []
    boundary = b"--" + match[2].encode()
    head_end = _start_of_file(body)
    file_end = body.rfind(b"\r\n" + boundary + b"--")
    if not 0 <= head_end <= file_end:
        return []
    *fields, (name, filename, headers, _) = original(content_type, bytes(body[:head_end]) + b"\r\n" + boundary + b"--")
    return [*fields, (name, filename, headers, body[head_end:file_end])]


def _start_of_file(body: MappedFile) -> int:
    """Where the file's bytes begin in a form, -1 if nowhere."""
    file = re.compile(rb'content-disposition:[^\r\n]{0,200};\s*name="?file"?[;\r]', re.IGNORECASE).search(body)
    end = body.find(b"\r\n\r\n", file.start()) if file else -1
    return end + 4 if end >= 0 else -1


def _upload_part(
    original: Any, bucket: str, key: str, body: Any, query: dict[str, Any], headers: dict[str, str]
) -> Any:
    response = original(bucket, key, body, query, headers)
    if response[0] == 200 and isinstance(body, MappedFile):
        part = s3._multipart_uploads[s3._qp(query, "uploadId")]["parts"][int(s3._qp(query, "partNumber"))]
        part["body"] = body.spool  # ten thousand mappings would need as many file handles
    return response


def _join_parts(parts: list[dict[str, Any]]) -> Any:
    """The object of a multipart upload."""
    size = sum(part["size"] for part in parts)
    if size < LARGE:
        return b"".join(bytes(_content(part["body"])) for part in parts)
    return _copy(size, *(part["body"] for part in parts)).map()


def _content(body: Any) -> Any:
    return MappedFile.of(body.path) if isinstance(body, Spool) else body


def _copy(size: int, *bodies: Any) -> Spool:
    """Bodies of so many bytes in one new file."""
    spool = Spool()
    with spool.file:
        for body in map(_content, bodies):
            for piece in pieces(body) if is_mapped(body) else (body,):
                spool.write(piece, size)
    return spool


def _atomic_write(original: Any, path: str, body: Any, *, text: bool = False) -> None:
    if is_mapped(body):
        own = body.spool if isinstance(body, MappedFile) else None
        (own or _copy(len(body), body)).move(path)  # a form's file and a copy of an object have no file yet
    else:
        original(path, body, text=text)


def _persist_object(original: Any, bucket: str, key: str, record: Any) -> None:
    """Once an object is in its file, its version needs no copy in memory: reads of both go to the file."""
    original(bucket, key, record)
    if isinstance(record, dict) and record.get("body") is None:
        for version in s3._object_versions.get((bucket, key)) or []:
            if version["version_id"] == record.get("version_id"):
                version["data"] = None


def _read_body(original: Any, bucket: str, key: str, record: dict[str, Any]) -> Any:
    if record.get("body") is None and record.get("size", 0) >= LARGE:
        with suppress(OSError, ValueError):
            return MappedFile.of(s3._object_disk_path(bucket, key))
    return original(bucket, key, record)


def _version_body(original: Any, bucket: dict[str, Any], name: str, key: str, version: dict[str, Any]) -> Any:
    if version.get("data") is None and version.get("size", 0) >= LARGE:
        with suppress(OSError, ValueError, TypeError):
            return MappedFile.of(s3._version_disk_path(name, key, version["version_id"]))
    return original(bucket, name, key, version)


def _get_object_data(original: Any, *arguments: Any, **named: Any) -> bytes | None:
    """For other services than S3, which expect bytes."""
    data = original(*arguments, **named)
    return bytes(data) if is_mapped(data) else data
