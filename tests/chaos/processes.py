"""The processes of an embedded cloud: what each of them is, and how much memory they take together. Linux only."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from spaceport.local.ministack import descendants


class Role(StrEnum):
    """What a process is in the embedded cloud."""

    UP = "spaceport up"
    GUARD = "guard"
    AWS = "embedded AWS"
    FUNCTION = "Lambda worker"
    STAGE = "Batch job"
    CHILD = "child of a Batch job"
    OTHER = "other"


CLOUD = frozenset({Role.UP, Role.AWS})
"""Without these, the whole cloud ends."""
_MARKS = (  # parts of the command line, the first that matches
    ("chaos/up.py", Role.UP),
    ("guard.py", Role.GUARD),
    ("spaceport.local.serve", Role.AWS),
    ("_worker.py", Role.FUNCTION),
    ("--key", Role.STAGE),
    ("services.", Role.CHILD),
)


@dataclass(frozen=True)
class Process:
    """One process, which its start time tells from a later one with the same number."""

    pid: int
    started: int
    role: Role
    command: str

    @property
    def is_alive(self) -> bool:
        return _started(self.pid) == self.started

    @property
    def batch_id(self) -> str:
        """The Batch job that it works for; empty when there is none."""
        with contextlib.suppress(OSError):
            for item in Path(f"/proc/{self.pid}/environ").read_bytes().split(b"\0"):
                name, _, value = item.partition(b"=")
                if name == b"AWS_BATCH_JOB_ID":
                    return value.decode()
        return ""

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this very process. False when it has ended."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.is_alive:
                return False
            signal.pidfd_send_signal(handle, number)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True


def tree(root: int) -> list[Process]:
    """`root` and all processes below it that have not ended."""
    return [process for pid in descendants(root) if (process := process_of(pid))]


def process_of(pid: int) -> Process | None:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        command = " ".join(word.decode(errors="replace") for word in words if word)
        started = _started(pid)
        if command and started is not None:  # a zombie has no command line
            return Process(pid, started, _role(command), command)
    return None


def memory_bytes(processes: list[Process]) -> int:
    """Proportional set size: pages that several processes share are counted once in all."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) << 10
    return total


def _role(command: str) -> Role:
    return next((role for mark, role in _MARKS if mark in command), Role.OTHER)


def _started(pid: int) -> int | None:
    """When a process began, in ticks since the boot; None when it has ended, even if nobody has reaped it yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
