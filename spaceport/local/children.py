"""Child processes of the embedded cloud. Each runs under a guard, so it dies with us even after kill -9."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

MARK = "SPACEPORT_EMBEDDED_STATE"
"""In the environment of every child: its state folder, by which survivors of a crash are recognised."""

DAEMON = "spaceport.local.daemon"
"""The module that `daemon.py` is, as it stands in a command line."""

_GUARD = str(Path(__file__).with_name("guard.py"))


class Child:
    """One guarded command. Its output goes to `log`; its own children end with it."""

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes], folder: Path, grace: float
    ) -> None:
        life, self._life = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # commands of our own template
                [sys.executable, "-I", "-S", _GUARD, str(life), str(grace), *command],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(life,),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._life)
            raise
        finally:
            os.close(life)

    @property
    def pid(self) -> int:
        """Of the guard; the command is its child."""
        return self._process.pid

    def wait(self, timeout: float | None = None) -> int | None:
        """The command's exit code, or None while it still runs after `timeout`.

        128 + the signal that ended it, or its guard: then the command was killed with it, as with its machine.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        return 128 - code if code < 0 else code

    def stop(self) -> None:
        """Ask the command to end: SIGTERM, and SIGKILL after the grace period. Returns at once; `wait` for it."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the command and all that it started, now."""
        with contextlib.suppress(OSError):
            os.close(self._life)
        self._life = -1

    def close(self) -> None:
        """End the command if it still runs, and release its resources."""
        self.kill()
        self._process.wait()


def survivors(state: Path, command: str = "") -> list[int]:
    """Processes of this user that still run for `state`, left by a killed embedded cloud. Linux only.

    With `command`, only those whose command line contains it.
    """
    mark = os.fsencode(f"{MARK}={state}")
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = mark in (entry / "environ").read_bytes().split(b"\0")
            if ours and (not command or command.encode() in (entry / "cmdline").read_bytes()):
                pids.append(int(entry.name))
    return pids


def end_survivors(state: Path, timeout: float = 5.0) -> int:
    """Kill what a crashed embedded cloud left running on `state`. Returns how many processes there were.

    Daemons are spared: who has the lock is one itself, and another one will not get it.

    A process is held by a pidfd before its environment is read again, so a reused pid is never hit.

    Raises:
        TimeoutError: some did not end.
    """
    ended = set()
    deadline = time.monotonic() + timeout
    while pids := set(survivors(state)) - set(survivors(state, DAEMON)) - {os.getpid()}:
        for pid in pids:
            _kill_if_ours(pid, state)
            ended.add(pid)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(pids)} of a previous embedded cloud in {state} do not end")
        time.sleep(0.02)
    return len(ended)


def _kill_if_ours(pid: int, state: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            if os.fsencode(f"{MARK}={state}") in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
