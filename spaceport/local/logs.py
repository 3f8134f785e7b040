"""The logs of the embedded cloud, in the folder `logs` of its state: bounded in size, number and age.

| file | what it has |
|---|---|
| `functions.log` | what the functions print: JSON lines, as in CloudWatch |
| `sfm-ID.log`, `train-ID.log`, `compress-ID.log` | what a Batch job prints; ID is the Batch job's |
| `daemon.log` | why the daemon ended |
| `cloud.log` | what this package warns of: failed tries, dead letters, jobs that are left alone |
| `ministack.log` | what the embedded AWS says |
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Final

CLOUD_LOG: Final = "cloud.log"
MAX_BYTES: Final = 4 << 20
"""Of one file; as many again are in the one before it, `NAME.1`."""
MAX_JOBS: Final = 200
MAX_DAYS: Final = 30.0
MAX_LINE: Final = 64 << 10  # longer ones are cut in several
JOIN_SECONDS: Final = 2.0
_OF_JOBS: Final = "*-????????-????-????-????-????????????.log*"


class LogFile(RotatingFileHandler):
    """A file that is rotated. A line that cannot be written, because the disk is full, is lost and harms no one."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError` when it cannot be opened."""
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace")

    def write(self, line: str) -> None:
        """Append a line as it is."""
        self.handle(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # the name is logging's
        """Silent."""


class OutputLog:
    """Takes what a child process prints through a pipe, so that its file can be rotated meanwhile."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError` when the file cannot be opened."""
        log = LogFile(path)
        reading, writing = os.pipe()
        self.pipe: IO[bytes] = os.fdopen(writing, "wb")
        """For the child's standard output. To be closed once the child has it."""
        self._thread = threading.Thread(target=_copy_lines, args=(reading, log), name=path.name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait until all that the child has printed is in the file. The child has ended."""
        self._thread.join(JOIN_SECONDS)


def _copy_lines(reading: int, log: LogFile) -> None:
    with os.fdopen(reading, "rb") as pipe:
        while line := pipe.readline(MAX_LINE):
            log.write(line.decode("utf-8", "backslashreplace").rstrip("\n"))
    log.close()


@contextmanager
def cloud_log(folder: Path) -> Iterator[None]:
    """Within the block, warnings of this package are in `cloud.log` too, and still where they were."""
    logger = logging.getLogger("spaceport")
    file = LogFile(folder / CLOUD_LOG)
    file.setLevel(logging.WARNING)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handlers: list[logging.Handler] = [file]
    if not logger.hasHandlers() and logging.lastResort:  # which a handler turns off
        handlers.append(logging.lastResort)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
        file.close()


def prune_job_logs(folder: Path) -> None:
    """Delete the logs of Batch jobs but the newest, and those that nobody has written to for a month."""
    with suppress(OSError):
        files = sorted(folder.glob(_OF_JOBS), key=lambda file: file.stat().st_mtime, reverse=True)
        for number, file in enumerate(files):
            if number >= MAX_JOBS or file.stat().st_mtime < time.time() - MAX_DAYS * 86400:
                file.unlink(missing_ok=True)
