"""The records of a zip, and how an untrusted file is read. Standard library only: the intake function imports this too.

Source: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from spaceport.pipeline.errors import Refused, Slug

LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")  # stands before an entry's name and bytes
CENTRAL_HEADER: Final = struct.Struct("<4s6H3L5H2L")  # stands before an entry's name in the table of contents
LOCAL_SIGNATURE: Final = b"PK\3\4"
SPLIT_SIGNATURE: Final = b"PK\7\x08"  # begins the first part of a split zip
CENTRAL_SIGNATURE: Final = b"PK\1\2"
ENCRYPTION_FLAGS: Final = 1 << 0 | 1 << 6 | 1 << 13  # classic, strong, hidden headers
WRAP: Final = 1 << 32  # programs without zip64 write lengths and offsets modulo this
DIRECTORY_NAME: Final = "its table of contents"


@dataclass(frozen=True)
class ZipEntry:
    """One entry of the zip. `name` is a safe relative path with `/`; `limit` is where the next entry begins."""

    name: str
    raw_name: bytes
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    limit: int


def read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Exactly `length` bytes from `offset`, however short each read is. Raises `Refused` where the file ends early."""
    file.seek(offset)
    chunks = []
    missing = length
    while missing > 0 and (chunk := file.read(missing)):
        chunks.append(chunk)
        missing -= len(chunk)
    if missing > 0:
        raise damaged("its end is missing")
    return b"".join(chunks)


def damaged(name: str) -> Refused:
    """The refusal of an inconsistent zip; `name` is the entry, or the part, that is wrong."""
    return Refused(Slug.DAMAGED_ZIP, name=printable(name))


def printable(name: str) -> str:
    """An untrusted name, fit for a sentence: printable and short."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:100]
