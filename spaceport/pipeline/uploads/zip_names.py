"""The names in a zip as safe paths: their code page found, their separators told from trail bytes.

Source: PKWARE APPNOTE 6.3.10, sections 4.4.17 and 4.6.9 and appendix D. Standard library only.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.file_names import MAX_PART_BYTES, UnsafeName, relative_path, with_suffix
from spaceport.pipeline.uploads.code_pages import guess_code_page
from spaceport.pipeline.uploads.zip_records import damaged, printable

MAX_NAME_BYTES: Final = 800  # 260 letters of three bytes, as Windows takes; an S3 key holds 1,024 with our prefix
MAX_PARTS: Final = 20  # folders in folders; keeps the work per name small
UNICODE_PATH: Final = 0x7075
"""Info-ZIP's extra field: the name in UTF-8, valid as long as the checksum of the name beside it is right."""
_UNICODE_PATH_HEAD: Final = struct.Struct("<BL")
_ANY_BYTE: Final = "cp437"  # zip's own code page, in which every byte is a character
_SEPARATORS: Final = re.compile(r"([/\\])")
_FOLDER_ICON: Final = "Icon\r"  # what macOS calls the picture of a folder that has one of its own


@dataclass(frozen=True)
class StoredName:
    """A name as the zip has it: its bytes, whether a flag says that they are UTF-8, and the body of `UNICODE_PATH`."""

    raw: bytes
    utf8: bool
    unicode_path: bytes | None


def decode_names(names: list[StoredName]) -> list[str]:
    """Every name as text. Any bytes can be decoded; what no code page explains becomes the letters of cp437.

    Names without flag or extra field are taken together, since one program has written them all: as UTF-8 if all are
    (macOS does not set the flag), else in the code page that makes them most plausible.
    """
    decoded = [_marked(name) for name in names]
    unmarked = [name.raw for name, text in zip(names, decoded, strict=True) if text is None]
    code_page = _common_code_page(unmarked)
    return [_decode(name.raw, code_page) if text is None else text for name, text in zip(names, decoded, strict=True)]


def _marked(name: StoredName) -> str | None:
    """The name of which the zip says that it is UTF-8, or None."""
    if name.unicode_path and len(name.unicode_path) > _UNICODE_PATH_HEAD.size:
        version, checksum = _UNICODE_PATH_HEAD.unpack_from(name.unicode_path)
        if version == 1 and checksum == zlib.crc32(name.raw):
            return _decoded(name.unicode_path[_UNICODE_PATH_HEAD.size :], "utf-8")
    return _decoded(name.raw, "utf-8") if name.utf8 or name.raw.isascii() else None


def _common_code_page(names: Iterable[bytes]) -> str | None:
    joined = b"/".join(names)
    return "utf-8" if _decoded(joined, "utf-8") is not None else guess_code_page(joined)


def _decode(raw: bytes, code_page: str | None) -> str:
    """The name in the code page; without one as UTF-8 if it is that, else in cp437."""
    text = _decoded(raw, code_page or "utf-8")
    return "".join(map(_shortened, _SEPARATORS.split(raw.decode(_ANY_BYTE) if text is None else text)))


def _decoded(raw: bytes, code_page: str) -> str | None:
    try:
        return raw.decode(code_page)
    except UnicodeDecodeError:
        return None


def _shortened(part: str) -> str:
    """A part that grew too long as UTF-8, cut: one byte of a code page becomes up to three."""
    stem, dot, suffix = part.rpartition(".") if "." in part[-6:] else (part, "", "")
    return with_suffix(stem, dot + suffix)


def safe_path(name: str) -> str:
    """As `relative_path`, of a name in an upload.

    Raises:
        Refused: unsafe_path, where it is unsafe; damaged_zip, where it is empty, too long or too deep.
    """
    if name.rpartition("/")[2] == _FOLDER_ICON:
        name = name.removesuffix("\r")
    try:
        path = relative_path(name)
    except UnsafeName:
        raise Refused(Slug.UNSAFE_PATH, name=printable(name)) from None
    except ValueError:
        raise damaged(name) from None
    parts = path.removesuffix("/").split("/")
    if len(parts) > MAX_PARTS or len(path.encode()) > MAX_NAME_BYTES:
        raise damaged(name)
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        raise damaged(name)
    return path
