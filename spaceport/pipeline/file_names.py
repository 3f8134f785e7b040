"""One rule for the names of photos, from the zip to training: which are safe, and how one is cut that grew too long.

Whatever fits a file system and an S3 key is a name like any other, whether it can be printed or not: it is shown by
`text.visible`. Dangerous are paths that leave their folder, and control characters: NUL ends a name, and a line break
the record of COLMAP's text files. Standard library only: the intake function imports this too.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

MAX_PART_BYTES: Final = 255  # what Linux file systems take
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE: Final = re.compile(r"^[A-Za-z]:")


class UnsafeName(ValueError):
    """The path could leave its folder, or holds a control character."""


def relative_path(name: str) -> str:
    """The path with `/`, without empty and `.` parts; a folder keeps its final `/`.

    A backslash separates too: Windows has no other, and .NET before 4.6.1 and programs that build paths by themselves
    leave it in zips, even at the beginning, and whatever system these say they come from. On Linux it could be a
    letter; one folder more does no harm.

    Raises:
        UnsafeName: see there.
        ValueError: it is empty.
    """
    inner = name[1:] if name.startswith("\\") and name[1:2] not in ("\\", "/") else name
    path = inner.replace("\\", "/")
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or _DRIVE.match(path) or _CONTROLS.search(path):
        raise UnsafeName("it is no path below a folder")
    kept = [part for part in parts if part not in ("", ".")]
    if not kept:
        raise ValueError("it is empty")
    return "/".join(kept) + ("/" if path.endswith("/") else "")


def with_suffix(path: str, suffix: str) -> str:
    """The path with `suffix` behind it; its last part is cut, and marked, where it would be too long for a file."""
    folder, slash, part = path.rpartition("/")
    if len(part.encode()) + len(suffix.encode()) <= MAX_PART_BYTES:
        return path + suffix
    mark = f"~{zlib.crc32(part.encode()):08x}{suffix}"
    return folder + slash + part.encode()[: MAX_PART_BYTES - len(mark.encode())].decode("utf-8", "ignore") + mark
