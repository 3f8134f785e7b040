"""The embedded cloud as a process of its own: the first command that needs it starts it, it ends after the last.

Every command that uses the cloud holds a shared lock on the file `users` of its folder, which the kernel takes away
however the command ends. The daemon shuts down as soon as it can lock that file for itself, and keeps it until all has
ended: who comes meanwhile waits, and then starts the next one. So no command ends another's job, not even by kill -9.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Final

from spaceport.local.address import RunningCloud, attach
from spaceport.local.children import DAEMON, MARK, end_survivors
from spaceport.local.cloud import EmbeddedCloud
from spaceport.local.disk import DiskWatch, free_bytes
from spaceport.local.errors import CloudDied, StateInUse, StateUnusable
from spaceport.local.state import as_state_unusable, is_locked, prepare, try_lock
from spaceport.pipeline.text import visible

USERS: Final = "users"
LOG: Final = Path("logs", "daemon.log")
"""What the process itself prints: why it ended. What it warns of is in `cloud.log`."""
MAX_LOG: Final = 1 << 20
IN_USE: Final = 75
"""Exit code of a daemon that came second."""
START_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.2

log = logging.getLogger(DAEMON)  # this module runs as `__main__`


@contextmanager
def using(state: Path, *, start: bool) -> Iterator[RunningCloud | None]:
    """The embedded cloud on `state`, which stays up at least as long as the block. None when there is none.

    Args:
        state: its folder, absolute.
        start: start one when there is none.

    Raises:
        CloudDied: it could not be started.
        StateUnusable: no cloud can run on this folder.
    """
    if start:
        prepare(state)
    elif (cloud := attach(state)) is None:
        yield None
        return
    else:
        cloud.close()
    daemon = None
    try:
        with ExitStack() as stack:
            with as_state_unusable(state):
                users = stack.enter_context((state / USERS).open("a"))
            fcntl.flock(users, fcntl.LOCK_SH)  # waits while one shuts down
            used = attach(state)
            if used is None and start:
                used, daemon = _start(state)
            if used:
                stack.callback(used.close)
            yield used
    finally:
        if daemon:
            _wait_unless_used(daemon, state)


def last_words(state: Path) -> str:
    """The last line that the daemon on `state` has logged."""
    with suppress(OSError):
        lines = (state / LOG).read_text(errors="replace").strip().splitlines()
        return visible(lines[-1]) if lines else ""
    return ""


def _start(state: Path) -> tuple[RunningCloud, subprocess.Popen[bytes] | None]:
    """Start a daemon, or wait for the one that another command is starting."""
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        return _attach_or_spawn(state, daemons), daemons[-1] if daemons else None
    except BaseException:
        for daemon in daemons:
            daemon.terminate()
            daemon.wait()
        raise


def _attach_or_spawn(state: Path, daemons: list[subprocess.Popen[bytes]]) -> RunningCloud:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        code = daemons[-1].poll() if daemons else IN_USE
        if cloud := attach(state):
            return cloud
        if code == IN_USE:  # nobody's yet, or that of another command, which is starting or was killed since
            if not is_locked(state):
                daemons.append(_spawn(state))
        elif code is not None:
            raise CloudDied(last_words(state) or f"The embedded cloud ended at once with code {code}.")
        time.sleep(POLL_SECONDS / 10)
    raise StateInUse(f"The embedded cloud on {visible(str(state))} did not start in {START_SECONDS:.0f} s.")


def _spawn(state: Path) -> subprocess.Popen[bytes]:
    with as_state_unusable(state), _open_log(state) as output:
        return subprocess.Popen(  # noqa: S603  ourselves
            [sys.executable, "-m", DAEMON, str(state)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=state,
            env=os.environ | {MARK: str(state)},
            start_new_session=True,  # Ctrl-C is for the command alone
        )


def _open_log(state: Path) -> IO[bytes]:
    path = state / LOG
    is_long = path.exists() and path.stat().st_size > MAX_LOG
    return path.open("wb" if is_long else "ab")


def is_used(state: Path) -> bool:
    """Whether some command uses the cloud on `state`, so that it stays up."""
    try:
        users = (state / USERS).open("a")
    except OSError:
        return False
    with users:
        return not try_lock(users, fcntl.LOCK_EX) and try_lock(users, fcntl.LOCK_SH)


def _wait_unless_used(daemon: subprocess.Popen[bytes], state: Path) -> None:
    """Wait until the daemon that we have started has ended, so that nothing of us runs any more; unless it is used."""
    while daemon.poll() is None and not is_used(state):
        time.sleep(POLL_SECONDS / 4)


def serve(state: Path) -> None:
    """Run the embedded cloud on `state` for as long as it is used.

    Raises:
        StateInUse: another one runs there.
        CloudDied, StateUnusable: as its sentence says.
    """
    with ExitStack() as stack:
        users = stack.enter_context((state / USERS).open("a"))  # closed last: who comes meanwhile waits
        cloud = stack.enter_context(EmbeddedCloud(state))
        disk = DiskWatch(partial(free_bytes, state))
        while not try_lock(users, fcntl.LOCK_EX):
            _check(cloud)
            if news := disk.check():
                log.warning(news)
            time.sleep(POLL_SECONDS)


def _check(cloud: EmbeddedCloud) -> None:
    """End the process, and all that it has started, when the cloud has died: without it nothing ends in order."""
    try:
        cloud.check()
    except CloudDied as error:
        print(error, flush=True)
        try:
            end_survivors(cloud.state)
        finally:
            os._exit(1)


def _shut_down(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def main(state: Path) -> int:
    """The process: returns its exit code. SIGTERM shuts the cloud down in order."""
    logging.getLogger().addHandler(logging.NullHandler())  # warnings are in `cloud.log` alone, which is rotated
    signal.signal(signal.SIGTERM, _shut_down)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(state)
    except StateInUse:
        return IN_USE
    except (CloudDied, StateUnusable) as error:
        print(error, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
