"""What an upload is that is no zip, by its first bytes, in words for its sender. Standard library only.

Source of the signatures: the `file` command's names for them, and each format's own specification.
"""

from __future__ import annotations

import zlib
from typing import Final

HEAD_BYTES: Final = 512
UNKNOWN: Final = "of an unknown kind, such as a middle part of a split archive"

ARCHIVE_SUFFIXES: Final = frozenset(
    {".zip", ".zipx", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".lzh", ".cab", ".alz", ".egg"}
)
_TAR_AT: Final = 257
_TRAILER_BYTES: Final = 512  # of a disk image of macOS
_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (_TAR_AT, b"ustar", "a tar archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an XZ archive"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (0, b"MSCF", "a cabinet archive (CAB)"),
    (2, b"-lh", "an LZH archive"),
    (0, b"ALZ\1", "an ALZ archive"),
    (0, b"EGGA", "an EGG archive"),
    (0, b"SIT!", "a StuffIt archive"),
    (0, b"StuffIt", "a StuffIt archive"),
    (0, b"\xff\xd8\xff", "a single JPEG photo"),
    (0, b"\x89PNG", "a single PNG picture"),
    (0, b"II*\0", "a single TIFF or DNG photo"),
    (0, b"MM\0*", "a single TIFF or DNG photo"),
    (4, b"ftypheic", "a single HEIC photo"),
    (4, b"ftypmif1", "a single HEIC photo"),
    (4, b"ftyp", "a single video"),
    (0, b"%PDF", "a PDF"),
    (0, b"ply\n", "a PLY model"),
    (0, b"ply\r", "a PLY model"),
    (0, b"MZ", "a Windows program"),
)
_WEB_PAGES: Final = (b"<!doctype html", b"<html")


def identify(head: bytes, tail: bytes = b"") -> str:
    """What a file is that begins with `head` and ends with `tail`: "a RAR archive", or `UNKNOWN`."""
    if not head:
        return "an empty file"
    if not head.strip(b"\0"):
        return "a file of zeros, as a broken download leaves"
    if head[:3] == b"\x1f\x8b\x08":
        return _identify_gzip(head)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower().startswith(_WEB_PAGES):
        return "a web page, as a download link gives that needs a login"
    if tail[-_TRAILER_BYTES:].startswith(b"koly"):
        return "a disk image of macOS (DMG)"
    return next((what for at, signature, what in _SIGNATURES if head.startswith(signature, at)), UNKNOWN)


def _identify_gzip(head: bytes) -> str:
    try:
        inner = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
    except zlib.error:
        inner = b""
    return "a tar.gz archive" if inner.startswith(b"ustar", _TAR_AT) else "a gzip archive"
