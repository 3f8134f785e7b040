"""Local files that are written whole or not at all, even if the process is killed at any moment."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to. It replaces `path` when the block ends without an error, and is removed otherwise."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill. It replaces the folder `path` when the block ends without an error, else it is removed.

    Even if this process is killed at any moment, `path` has all of the old files or all of the new ones. What a killed
    process left beside it is removed here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f".{path.name}.*.part"):
        if not _is_running(stale.name.split(".")[-2]):
            shutil.rmtree(stale, ignore_errors=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.mkdir()
    try:
        yield part
        if path.exists():
            _exchange(part, path)
        else:
            part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


_AT_FDCWD = -100  # linux/fcntl.h
_RENAME_EXCHANGE = 2  # linux/fs.h


def _exchange(one: Path, other: Path) -> None:
    """Swap the names of two folders atomically where the system can; else `other` is missing for a moment."""
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        names = os.fsencode(one), os.fsencode(other)
        if library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
            return
    backup = one.with_name(f"{one.name}.old")
    other.rename(backup)
    one.rename(other)
    shutil.rmtree(backup, ignore_errors=True)


def write_atomic(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file whole or not at all; its folder is created if missing. `mode` is subject to the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.touch(mode)
        part.write_bytes(data)
