"""`cloud.json`: how to reach the embedded cloud that runs on a folder, for the other processes of its owner.

It is locked for as long as the cloud runs, so that the one that a killed cloud left is never taken for a running one's.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import IO

from spaceport.files import write_atomic
from spaceport.local.access import Access
from spaceport.local.state import try_lock

ADDRESS = "cloud.json"
ENVIRONMENT = "aws.env"
"""The same for a shell: `. ~/.spaceport/aws.env`."""
PRIVATE_FILE = 0o600


class PublishedAddress:
    """The address of a cloud that runs, until it is closed. Only who has locked the folder may publish one."""

    def __init__(self, state: Path, access: Access) -> None:
        self._state = state
        part = state / f".{ADDRESS}.part"
        part.unlink(missing_ok=True)
        self._file = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "w")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        json.dump(asdict(access), self._file)
        self._file.flush()
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in access.environment().items()]
        write_atomic(state / ENVIRONMENT, "".join(lines).encode(), PRIVATE_FILE)
        part.replace(state / ADDRESS)

    def close(self) -> None:
        for name in (ADDRESS, ENVIRONMENT):
            (self._state / name).unlink(missing_ok=True)
        self._file.close()


class RunningCloud:
    """An embedded cloud of another process, which may end at any time."""

    def __init__(self, state: Path, access: Access, file: IO[str]) -> None:
        self.state = state
        self.access = access
        self._file = file

    def is_running(self) -> bool:
        return not try_lock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        self._file.close()


def attach(state: Path) -> RunningCloud | None:
    """The embedded cloud that runs on `state`, or None when there is none, or none that can be reached yet."""
    try:
        file = (state / ADDRESS).open()
    except OSError:
        return None
    try:
        cloud = RunningCloud(state, Access(**json.load(file)), file)
    except (OSError, ValueError, TypeError):  # somebody else's file, or damaged
        file.close()
        return None
    if not cloud.is_running():
        cloud.close()
        return None
    return cloud


def running(state: Path) -> Access | None:
    """How to reach the embedded cloud that runs on `state`, or None when there is none."""
    cloud = attach(state.resolve())
    if cloud is None:
        return None
    cloud.close()
    return cloud.access
