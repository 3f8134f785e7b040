"""A disk of the state folder's own, small enough to be filled: a tmpfs, where this user may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEBIBYTES = 1500


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount it on a folder for as long as the block runs. Yields False, and does nothing, where that is forbidden."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m,mode=0700", "spaceport-chaos", str(folder)]
    try:
        is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        is_mounted = False
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all that is free on a folder's disk. Returns the file that does, to be deleted."""
    path = folder / "chaos-fills-the-disk"
    with path.open("wb") as file, contextlib.suppress(OSError):
        status = os.statvfs(folder)
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize)
        while True:
            file.seek(0, os.SEEK_END)
            file.write(bytes(1 << 16))
            file.flush()
    return path
