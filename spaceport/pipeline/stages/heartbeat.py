"""The pulse of a stage in the cloud: progress to the table, the lease renewed, and the word that it must end.

A thread of its own, because a stage's core may be silent for seconds at a time.
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
from spaceport.pipeline.errors import Interrupted, LostClaim, Stopped
from spaceport.pipeline.jobs.ending import read_end
from spaceport.pipeline.jobs.state import ENDS, Beat
from spaceport.pipeline.jobs.table import LEASE_SECONDS, JobTable
from spaceport.pipeline.storage import Bucket

BEAT_SECONDS = 2.0
RENEW_SECONDS = LEASE_SECONDS / 3

TROUBLE = (ClientError, BotoCoreError, TimeoutError)
"""What a network or a busy table may answer; anything else is a bug, and logged as one."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holding:
    """A claim that was granted: which work, in whose name, since when (monotonic), after how many seconds of others."""

    bucket: Bucket
    table: JobTable
    job_id: str
    stage: StageName
    holder: str
    began: float = field(default_factory=time.monotonic)
    earlier: float = 0.0

    def spent(self) -> float:
        """Seconds that this try and those before it have worked."""
        return self.earlier + time.monotonic() - self.began

    def renew(self) -> bool:
        """Keep the claim for another lease. False when it is another's now."""
        return self.table.renew(self.job_id, self.stage, self.holder, self.spent())


class Heartbeat:
    """The `Progress` of a stage in the cloud, as a context manager around its work.

    `check` raises `Stopped` when the job has ended, `LostClaim` when another worker took over, and `Interrupted`
    after a SIGTERM that was no stop.
    """

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._news: Beat | None = None
        self._end: type[Stopped | LostClaim] | None = None
        self._terminated = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def update(self, fraction: float, message: str, **counts: Figure) -> None:
        self._news = Beat(self._holding.stage, fraction, message, dict(counts), now())
        self.check()

    def check(self) -> None:
        if self._end:
            raise self._end
        if self._terminated.is_set():
            raise Stopped if read_end(self._holding.bucket, self._holding.job_id) else Interrupted

    def __enter__(self) -> Heartbeat:
        self._old = signal.signal(signal.SIGTERM, lambda *_: self._terminated.set())
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._done.set()
        self._thread.join(timeout=10)
        signal.signal(signal.SIGTERM, self._old)

    def _run(self) -> None:
        renewed, told = time.monotonic(), None
        while not self._done.wait(BEAT_SECONDS):
            try:
                if time.monotonic() - renewed >= RENEW_SECONDS:
                    self._renew()
                    renewed = time.monotonic()
                if (news := self._news) is not told:
                    self._tell(news)
                    told = news
            except Exception as error:  # whatever it is: with a dead heart the lease runs out under living work
                log.warning("heartbeat failed, will try again: %s", error, exc_info=not isinstance(error, TROUBLE))
            if time.monotonic() - renewed > LEASE_SECONDS:
                self._end = LostClaim  # silent for a whole lease: another may have begun

    def _renew(self) -> None:
        work = self._holding
        if not work.renew():
            self._end = LostClaim
        elif read_end(work.bucket, work.job_id):
            self._end = Stopped

    def _tell(self, news: Beat | None) -> None:
        if news is None:
            return
        row = self._holding.table.record(news, self._holding.job_id)
        if row and row.state in ENDS:
            self._end = Stopped
