"""Zips for the tests of `photo_zip`: honest ones, and ones with a single field changed."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.uploads.photo_zip import ExtractResult, PhotoZip, extract, inspect

THREE = {f"{letter}.jpg": letter.encode() * 300 for letter in "abc"}
CENTRAL, END = b"PK\1\2", b"PK\5\6"


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.comment = comment
        for name, body in files.items():
            archive.writestr(name, body)
    return out


def with_entry(name: str = "d.jpg", mode: int = 0, **fields: Any) -> io.BytesIO:
    """Three good photos and one entry with this name, Unix mode and ZipInfo fields."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for good, body in THREE.items():
            archive.writestr(good, body)
        info = zipfile.ZipInfo("placeholder")
        info.filename = name  # the constructor cuts at NUL
        info.external_attr = mode << 16
        archive.writestr(info, b"content")
        for field, value in fields.items():
            setattr(info, field, value)
    return out


def patched(file: io.BytesIO, signature: bytes, at: int, layout: str, value: int, nth: int = 0) -> io.BytesIO:
    """The same bytes, one field of the n-th record with this signature replaced."""
    data, position = bytearray(file.getvalue()), -1
    for _ in range(nth + 1):
        position = data.index(signature, position + 1)
    struct.pack_into(layout, data, position + at, value)
    return io.BytesIO(bytes(data))


def slug_of(file: BinaryIO) -> Slug:
    return refusal_of(file)[0]


def refusal_of(file: BinaryIO) -> tuple[Slug, str]:
    """The slug and the sentence with which a zip is refused."""
    with pytest.raises(Refused) as caught:
        inspect(file)
    assert "{" not in str(caught.value)
    return caught.value.slug, str(caught.value)


def unpacked(file: BinaryIO, folder: Path) -> dict[str, ExtractResult]:
    seen: list[ExtractResult] = []
    results = extract(file, inspect(file).photos, folder, seen.append)
    assert seen == results
    return {result.name: result for result in results}


def as_zip64(file: io.BytesIO, *, count: int = 3, length_more: int = 0) -> io.BytesIO:
    """Rewrite the end of the zip in its 64-bit form, with saturated 32-bit fields."""
    data = file.getvalue()
    end = data.rindex(b"PK\5\6")
    _, _, _, _, _, length, start, _ = struct.unpack("<4s4H2LH", data[end:])
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length + length_more, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    short = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return io.BytesIO(data[:end] + end64 + locator + short)


def claiming(file: io.BytesIO, size: int) -> io.BytesIO:
    """The first entry's size, moved into a zip64 extra field that says `size`."""
    data = file.getvalue()
    entry, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    fields = list(struct.unpack_from("<4s6H3L5H2L", data, entry))
    extra = struct.pack("<2HQ", 1, 8, size)
    fields[9], fields[11] = 2**32 - 1, len(extra)
    name_end = entry + 46 + fields[10]
    head = struct.pack("<4s6H3L5H2L", *fields) + data[entry + 46 : name_end] + extra
    tail = list(struct.unpack("<4s4H2LH", data[end:]))
    tail[5] += len(extra)
    return io.BytesIO(data[:entry] + head + data[name_end:end] + struct.pack("<4s4H2LH", *tail))


class Counting(io.BytesIO):
    """Counts like a file whose every read is a request to S3."""

    calls = 0
    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.calls += 1
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def check_harmless(file: BinaryIO, tmp_path: Path) -> None:
    jail = tmp_path / "jail"
    jail.mkdir(exist_ok=True)
    before = {path for path in tmp_path.rglob("*") if jail not in path.parents}
    try:
        photo_zip: PhotoZip = inspect(file)
        results = extract(file, photo_zip.photos, jail, lambda _: None)
    except Refused:
        return
    for photo, result in zip(photo_zip.photos, results, strict=True):
        if result.path is not None:
            assert result.path.resolve().is_relative_to(jail.resolve())
            assert zlib.crc32(result.path.read_bytes()) == photo.crc
    assert {path for path in tmp_path.rglob("*") if jail not in path.parents} == before
