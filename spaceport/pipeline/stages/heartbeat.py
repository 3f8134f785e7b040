"""A stage's lease and heartbeat: progress goes to the table, the lease is renewed, and the stage learns when to end.

The heartbeat is a thread of its own, because a stage's core may report nothing for seconds at a time.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

from botocore.exceptions import BotoCoreError, ClientError

from spaceport.pipeline.contract import Figure, StageName, now
from spaceport.pipeline.errors import Interrupted, LostLease, Stopped
from spaceport.pipeline.jobs.ending import read_end
from spaceport.pipeline.jobs.state import END_STATES, Beat
from spaceport.pipeline.jobs.table import LEASE_SECONDS, JobTable
from spaceport.pipeline.storage import Bucket

BEAT_SECONDS = 2.0
RENEW_SECONDS = LEASE_SECONDS / 3

TRANSIENT_ERRORS = (ClientError, BotoCoreError, TimeoutError)
"""What a network or a busy table may answer; anything else is a bug, and logged as one."""

log = logging.getLogger(__name__)


def elapsed() -> float:
    """Seconds since some moment. Those that a laptop slept count: a worker renews its lease as soon as it wakes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class Lease:
    """The right to work on one stage of one job, as long as it is renewed in time."""

    bucket: Bucket
    table: JobTable
    job_id: str
    stage: StageName
    holder: str
    began: float = field(default_factory=time.monotonic)
    spent_before: float = 0.0
    """Seconds that earlier tries have worked."""

    def spent(self) -> float:
        """Seconds that this try and those before it have worked."""
        return self.spent_before + time.monotonic() - self.began

    def renew(self) -> bool:
        """Extend the lease. False when it is another worker's now."""
        return self.table.renew(self.job_id, self.stage, self.holder, self.spent())


class Heartbeat:
    """The `Progress` of a stage in the cloud, as a context manager around its work.

    `check` raises `Stopped` when the job has ended, `LostLease` when another worker took over, and `Interrupted`
    after a SIGTERM that was no stop.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._beat: Beat | None = None
        self._end: type[Stopped | LostLease] | None = None
        self._terminated = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def update(self, fraction: float, message: str, **counts: Figure) -> None:
        self._beat = Beat(self._lease.stage, fraction, message, dict(counts), now())
        self.check()

    def check(self) -> None:
        if self._end:
            raise self._end
        if self._terminated.is_set():
            raise Stopped if read_end(self._lease.bucket, self._lease.job_id) else Interrupted

    def __enter__(self) -> Heartbeat:
        self._old_handler = signal.signal(signal.SIGTERM, lambda *_: self._terminated.set())
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._done.set()
        self._thread.join(timeout=10)
        signal.signal(signal.SIGTERM, self._old_handler)

    def _run(self) -> None:
        renewed, due = time.monotonic(), elapsed() + RENEW_SECONDS
        recorded: Beat | None = None
        while not self._done.wait(BEAT_SECONDS):
            try:
                if elapsed() >= due:
                    self._renew()
                    renewed, due = time.monotonic(), elapsed() + RENEW_SECONDS
                beat = self._beat
                if beat is not None and beat is not recorded:
                    self._record(beat)
                    recorded = beat
            except Exception as error:  # whatever it is: without a heartbeat the lease expires while the stage works
                transient = isinstance(error, TRANSIENT_ERRORS)
                log.warning("heartbeat failed, will try again: %s", error, exc_info=not transient)
            if time.monotonic() - renewed > LEASE_SECONDS:
                self._end = LostLease  # expired: another worker may have begun

    def _renew(self) -> None:
        if not self._lease.renew():
            self._end = LostLease
        elif read_end(self._lease.bucket, self._lease.job_id):
            self._end = Stopped

    def _record(self, beat: Beat) -> None:
        row = self._lease.table.record(beat, self._lease.job_id)
        if row and row.state in END_STATES:
            self._end = Stopped
