"""The folder of an embedded cloud: made private, locked, and a sentence for everything that may be wrong with it.

lock        held by the cloud that runs here
users       held by every command that uses this cloud (`daemon.py`)
cloud.json  how to reach the cloud, as long as it runs (`address.py`)
aws.env     the same for a shell
s3          its objects: all that matters, and all that survives
logs, work, tmp
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from spaceport.local.disk import RESERVE, free_bytes, megabytes
from spaceport.local.errors import StateInUse, StateUnusable
from spaceport.pipeline.text import visible

PRIVATE: Final = 0o700
FOLDERS: Final = ("s3", "logs", "work", "tmp")
LONGEST: Final = 1000
"""Bytes of the folder's path: keys of objects, of 1,024 bytes each, must fit behind it."""
NEEDED: Final = 2 * RESERVE
LOCK: Final = "lock"
LOCK_SECONDS: Final = 1.0
"""Who looks whether a lock is held, holds it for a moment."""
HOME: Final = Path("~/.spaceport")
"""Where the embedded cloud keeps its buckets and its table, unless a command names another folder."""


def locate(state: Path) -> Path:
    """`state` as an absolute path without `~`. Raises `StateUnusable` without a home, and for links in a circle."""
    try:
        return state.expanduser().resolve()
    except RuntimeError as error:
        raise StateUnusable(f"{visible(str(state))} is nowhere: {error}. Name another folder with --state.") from None


@contextmanager
def as_state_unusable(state: Path) -> Iterator[None]:
    """Turn what the system says about `state` and its files, or about ports, into `StateUnusable`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in {errno.EADDRINUSE, errno.EADDRNOTAVAIL}:
            raise StateUnusable(
                f"The embedded cloud found no free port: {reason}. End programs that hold many, and try again."
            ) from error
        name = error.filename2 or error.filename or state
        where = visible(os.fsdecode(name)) if isinstance(name, str | bytes | os.PathLike) else visible(str(state))
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "it is a file, and must be a folder"
        elif isinstance(error, IsADirectoryError):
            reason = "it is a folder, and must be a file"
        raise StateUnusable(
            f"The embedded cloud cannot use {where}: {reason}. Mend that, or name another folder with --state."
        ) from error


def prepare(state: Path) -> None:
    """Make the folder and its subfolders, for its owner alone.

    Raises:
        StateUnusable: it cannot be made, belongs to somebody else, has a path that is too long or a file where a folder
            must be, or its disk is full.
    """
    if len(os.fsencode(state)) > LONGEST:
        raise StateUnusable(
            f"The path {visible(str(state), 80)} is longer than {LONGEST} bytes. Name a shorter one with --state."
        )
    with as_state_unusable(state):
        state.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        if os.geteuid() not in {0, state.stat().st_uid}:
            raise StateUnusable(
                f"{visible(str(state))} belongs to another user. Name a folder of your own with --state."
            )
        state.chmod(PRIVATE)  # its photos, its models and its secret are nobody else's
        for name in FOLDERS:
            (state / name).mkdir(exist_ok=True)
    check_room(state, NEEDED)


def check_room(state: Path, needed: int) -> None:
    """Raises `StateUnusable` when fewer than `needed` bytes are free for `state`, which need not exist yet."""
    with as_state_unusable(state):
        folder = next(each for each in (state, *state.absolute().parents) if each.exists())
        free = free_bytes(folder)
    if free < needed:
        raise StateUnusable(
            f"Only {megabytes(free)} are free on the disk of {visible(str(state))}; {megabytes(needed)} are needed."
            " Delete something, or name a folder on another disk with --state."
        )


def lock(state: Path) -> IO[str]:
    """Lock the folder for a cloud. The lock ends with the process, however it ends.

    Raises:
        StateInUse: another cloud runs on it.
    """
    file = (state / LOCK).open("a")
    deadline = time.monotonic() + LOCK_SECONDS
    while not try_lock(file, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            file.close()
            raise StateInUse(
                f"Another embedded cloud runs on {visible(str(state))}. Use it, stop it, or name another --state."
            )
        time.sleep(0.02)
    return file


def is_locked(state: Path) -> bool:
    """Whether a cloud runs on the folder, or is starting there. Raises `StateUnusable`."""
    with as_state_unusable(state), (state / LOCK).open("a") as file:
        return not try_lock(file, fcntl.LOCK_SH)


def try_lock(file: IO[str], kind: int) -> bool:
    """Lock an open file, or change its lock, to `kind` (`LOCK_EX`, `LOCK_SH`) unless somebody else's prevents it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
