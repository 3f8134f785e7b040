"""ministack as a child process: start it, wait until it responds, stop it if other machines can reach it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
import urllib.request
from pathlib import Path

from spaceport.local.access import REGION, Access
from spaceport.local.children import MARK, Child
from spaceport.local.errors import CloudDied
from spaceport.local.logs import OutputLog
from spaceport.local.page import CONFIG_FILE

HOST = "127.0.0.1"
READY_SECONDS = 120.0
STOP_SECONDS = 5.0

# The part of the user's environment that ministack and its Lambda workers get.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")


class Exposed(RuntimeError):
    """The embedded cloud listens on an address that other machines can reach."""


class Ministack:
    """One running ministack. Its objects are in `STATE/s3` and survive anything; all else is created anew."""

    def __init__(self, state: Path, batch_endpoint: str, secret: str) -> None:
        """Start it and wait until it responds.

        Args:
            state: its folder.
            batch_endpoint: of the Batch that its Lambda functions reach.
            secret: with which requests must be signed.

        Raises:
            CloudDied: it ended or did not respond in time.
            Exposed: it listens on another address than 127.0.0.1.
        """
        self.port = _free_port()
        self.access = Access(f"http://{HOST}:{self.port}", batch_endpoint, secret)
        self._log = state / "logs" / "ministack.log"
        self._output = OutputLog(self._log)
        with self._output.pipe:
            self._child = Child(
                [sys.executable, "-m", "spaceport.local.serve"],
                environment=_environment(state, self.port) | self.access.environment(),
                log=self._output.pipe,
                folder=state,
                grace=STOP_SECONDS,
            )
        try:
            self._wait_ready()
            _check_not_exposed(self._child.pid)
        except BaseException:
            self._child.close()
            self._output.close()
            raise

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            code = self._child.wait(0)
            if code is not None:
                raise CloudDied(f"The embedded cloud ended at once with code {code}; its log is {self._log}.")
            health = self.access.ministack_request("/_ministack/health")
            with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=30):  # noqa: S310  http, loopback
                return
            time.sleep(0.02)
        raise CloudDied(f"The embedded cloud did not respond within {READY_SECONDS:.0f} s; its log is {self._log}.")

    def check(self, patience: float = 0) -> None:
        """Raises `CloudDied` when it no longer runs, or ends within `patience` seconds."""
        code = self._child.wait(patience)
        if code is not None:
            raise CloudDied(
                f"The embedded cloud has died (exit code {code}; its log is {self._log}). Start it again:"
                " jobs resume from their last finished stage."
            )

    def stop(self) -> None:
        """Shut it down in order: requests in flight are answered, then it ends, with its Lambda workers."""
        self._child.stop()
        self._child.wait(STOP_SECONDS + 1)
        self._child.close()
        self._output.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _environment(state: Path, port: int) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        MARK: str(state),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        "SPACEPORT_LOGS": str(state / "logs"),
        "SPACEPORT_PAGE": str(state / CONFIG_FILE),
        "TMPDIR": str(state / "tmp"),  # unpacked functions; emptied at each start
        "DOCKER_HOST": f"unix://{state}/none",  # it must never look for containers, or remove them
        "IOT_MTLS_ENABLED": "0",  # the two listeners that ignore BIND_HOST's port
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",  # its own, and by inheritance the functions', but for the next line
        "POWERTOOLS_LOG_LEVEL": "INFO",  # as Lambda's default
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _check_not_exposed(guard: int) -> None:
    for address in listening(descendants(guard)):
        if address != HOST:
            raise Exposed(f"the embedded cloud listens on {address}; only {HOST} is allowed, so it was stopped")


def descendants(pid: int) -> list[int]:
    """`pid` and every process below it. Linux only; elsewhere just `pid`."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                pids += descendants(int(child))
    return pids


def listening(pids: list[int]) -> set[str]:
    """Local addresses on which any of `pids` accepts TCP connections, IPv4 dotted, IPv6 as raw hex. Linux only."""
    inodes = set()
    for pid in pids:
        for handle in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                inodes.add(str(handle.readlink()).removeprefix("socket:[").removesuffix("]"))
    addresses = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            _, local, _, status, *rest = line.split()
            if status == "0A" and rest[5] in inodes:
                addresses.add(_address(local.partition(":")[0]))
    return addresses


def _address(text: str) -> str:
    return socket.inet_ntoa(bytes.fromhex(text)[::-1]) if len(text) == 8 else text
