"""Runs one command, none of whose processes outlives the process that started the guard.

Started by path as `python -I -S guard.py LIFE_FD GRACE COMMAND…`, so it may import the standard library only.
It ends the command and everything the command started when

- it gets SIGTERM: the command gets SIGTERM and GRACE seconds, then SIGKILL;
- the other end of the pipe LIFE_FD closes, which happens even when the parent is killed with -9: SIGKILL at once;
- the command ends by itself: what it left running is killed, as the end of a container would.

It exits with the command's exit code, or 128 + the signal that ended it, as a container does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # Linux only; elsewhere the process group has to do
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _execute(command: list[str], life: int) -> NoReturn:
    """In the forked child: become the command, in a session of its own."""
    try:
        os.close(life)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # should the guard itself be killed
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606  no shell is wanted
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def _children() -> list[int]:
    me = os.getpid()
    with contextlib.suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()]
    return []


def _end_the_rest(group: int) -> None:
    """Kill what is left. As a subreaper we inherit orphans one generation after another, so repeat until none."""
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in _children():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


def _reap(main: int) -> int | None:
    """Reap ended children; the wait status of `main` once it is among them."""
    main_status: int | None = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
            if ended[0] == main:
                main_status = ended[1]
    return main_status


def guard(life: int, grace: float, command: list[str]) -> int:
    """Run `command` until it ends, SIGTERM comes, or `life` closes. Returns the exit code."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    terminations: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: terminations.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us in order
    main = os.fork()
    if main == 0:
        _execute(command, life)
    deadline: float | None = None
    while (status := _reap(main)) is None:
        if terminations and deadline is None:
            deadline = time.monotonic() + grace
            os.kill(main, signal.SIGTERM)
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([life, wake_read], [], [], left)
        if wake_read in ready:
            os.read(wake_read, 4096)
        if life in ready or left == 0.0:
            os.kill(main, signal.SIGKILL)
            status = os.waitpid(main, 0)[1]
            break
    _end_the_rest(main)
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    sys.exit(guard(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
