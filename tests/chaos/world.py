"""The embedded cloud of the storm: `spaceport up` in a process of its own, started again whenever it has ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from processes import Process, process_of, tree

from spaceport.cli.connect import deployment_of
from spaceport.cli.deployment import Deployment
from spaceport.local.access import Access
from spaceport.local.address import running
from spaceport.local.children import survivors
from spaceport.pipeline.contract import DEFAULT_TENANT
from spaceport.pipeline.layout import TENANTS

UP = Path(__file__).with_name("up.py")
START_SECONDS = 300.0
END_SECONDS = 60.0
"""In which all processes must have ended after `up` has."""


@dataclass
class Life:
    """One run of `up`, from its start to its end."""

    number: int
    process: subprocess.Popen[bytes]
    log: Path
    began: float = field(default_factory=time.time)
    up_since: float | None = None
    ended: float | None = None
    is_killed: bool = False
    """Somebody killed a process without which the cloud ends."""


class World:
    """The cloud on a state folder. `keep` starts it again; all other methods may be called from any thread."""

    def __init__(self, state: Path, seed: int, clock_shift: float) -> None:
        self.state = state.resolve()
        self._seed = seed
        self._clock_shift = clock_shift
        self.lives: list[Life] = []
        self.leaked: list[str] = []
        self._up = threading.Event()
        self._deployment: Deployment | None = None
        self._secret = ""

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    @property
    def life(self) -> Life:
        return self.lives[-1]

    @property
    def access(self) -> Access:
        access = running(self.state)
        if access is None:
            raise OSError("the cloud is down")
        return access

    @property
    def deployment(self) -> Deployment:
        """How to reach the cloud that runs now. Raises `OSError` when none does."""
        if not self.is_up:
            raise OSError("the cloud is down")
        return self._reached()

    def _reached(self) -> Deployment:
        assert self._deployment is not None, "it was never up"
        return self._deployment

    def processes(self) -> list[Process]:
        """Those of the cloud that runs now."""
        return tree(self.life.process.pid) if self.lives else []

    def start(self) -> None:
        """Start it; try again when it was killed before it was up."""
        deadline = time.monotonic() + START_SECONDS
        while not self._start_once():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the cloud does not start; see {self.life.log}")

    def _start_once(self) -> bool:
        number = len(self.lives)
        log = self.state.parent / f"up-{number}.log"
        command = [sys.executable, str(UP), str(self.state), str(self._seed + number), str(self._clock_shift)]
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out)
        self.lives.append(Life(number, process, log))
        while process.poll() is None:
            access = running(self.state)
            if access and access.secret != self._secret:  # not what a killed cloud has left
                try:
                    self._deployment = deployment_of(access)
                except Exception:
                    if process.poll() is None:
                        raise
                    break
                self._secret = access.secret
                if number == 0:
                    self._raise_limits()
                self.life.up_since = time.time()
                self._up.set()
                return True
            time.sleep(0.05)
        self._end_life()
        return False

    def _raise_limits(self) -> None:
        """The default tenant may have as many jobs and mails as a deployment can count."""
        most = {"open_jobs": 5000, "mails_per_day": 20_000, "usd_per_day": 1e6}
        document = {"tenants": {DEFAULT_TENANT: {"limits": most}}}
        self._reached().bucket.put_small(TENANTS, json.dumps(document).encode())

    def keep(self) -> bool:
        """Start the cloud again if it has ended. Returns whether it had."""
        if self.life.process.poll() is None:
            return False
        life, code = self.life, self.life.process.returncode
        self._end_life()
        self.start()
        why = "was killed" if life.is_killed else "ended by itself"
        lasted, away = (life.ended or 0) - life.began, time.time() - (life.ended or 0)
        print(f"  start {life.number} {why} with {code} after {lasted:.0f} s; up again {away:.0f} s later", flush=True)
        return True

    def _end_life(self) -> None:
        self._up.clear()
        self.life.ended = time.time()
        self.leaked += [f"life {self.life.number}: {command}" for command in _commands(self._outliving())]

    def _outliving(self) -> list[int]:
        """Processes that are still there `END_SECONDS` after the cloud has ended."""
        deadline = time.monotonic() + END_SECONDS
        while (pids := survivors(self.state)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return pids

    def stop(self) -> int | None:
        """Ctrl-C. Returns the exit code, or None when it had to be killed."""
        self._up.clear()
        process = self.life.process
        process.send_signal(signal.SIGINT)
        try:
            code: int | None = process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
        self._end_life()
        return code

    def close(self) -> None:
        """End all that still runs, for good."""
        if self.lives and self.life.process.poll() is None:
            self.life.process.kill()
            self.life.process.wait()
        for pid in survivors(self.state):
            os.kill(pid, signal.SIGKILL)


def _commands(pids: list[int]) -> list[str]:
    return [process.command for pid in pids if (process := process_of(pid))]
