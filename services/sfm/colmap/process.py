"""The parent's side of the COLMAP worker: starts it, receives its messages, kills it when the work must end."""

from __future__ import annotations

import logging
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from services.sfm.child import CRASHES, lacked_memory
from services.sfm.messages import (
    NOT_FOR_COLMAP,
    ColmapResult,
    ColmapTask,
    LogLine,
    PhaseProgress,
    Refusal,
    WorkerMessage,
    decode_message,
)
from spaceport.pipeline.errors import LostResource, Refused, Slug

STAGE: Final = "structure from motion"
_POLL_SECONDS: Final = 0.5
_EXIT_SECONDS: Final = 10
_LOG_TAIL: Final = 4000
_LITTLE_DISK: Final = 64 << 20
_NO_DISK: Final = re.compile(r"No space left|disk is full|disk I/O error|Disk quota", re.IGNORECASE)

log = logging.getLogger(__name__)


def run_colmap(
    task: ColmapTask, on_progress: Callable[[PhaseProgress], None], check: Callable[[], None]
) -> ColmapResult:
    """Run the worker to its end and return its result.

    `on_progress` is called with each message of progress, `check` at least every half second; an exception
    from either kills the worker and propagates.

    Raises:
        Refused: the photos cannot be reconstructed, or the prior model is of no use.
        LostResource: the worker ran out of disk or memory.
        RuntimeError: it ended for another reason; the message holds the end of its log.
    """
    task_file, log_file = task.scratch / "task.json", task.scratch / "colmap.log"
    task_file.write_text(task.to_json())
    command = [sys.executable, "-m", "services.sfm.colmap.worker", str(task_file), str(os.getpid())]
    with log_file.open("wb") as out, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=out) as child:  # noqa: S603 - our own module
        try:
            last = _receive(child, on_progress, check)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_EXIT_SECONDS)
        finally:
            child.kill()  # nothing happens to one that has ended
        code = child.wait()
    if isinstance(last, ColmapResult):
        return last
    if isinstance(last, Refusal):
        raise Refused(last.slug, **last.facts)
    check()  # whoever ended the worker may have asked this process to end, too
    failure = _failure(code, _tail(log_file), shutil.disk_usage(task.scratch).free)
    if task.prior_model and -code in CRASHES and not isinstance(failure, LostResource):
        log.warning("%s", failure)
        raise Refused(Slug.BAD_PRIOR_MODEL, detail=NOT_FOR_COLMAP)
    raise failure


def _receive(
    child: subprocess.Popen[bytes], on_progress: Callable[[PhaseProgress], None], check: Callable[[], None]
) -> WorkerMessage | None:
    """Pass on the worker's progress and log until it closes its end; returns the last message."""
    assert child.stdout is not None  # noqa: S101 - opened with PIPE
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(child.stdout, lines), daemon=True).start()
    last: WorkerMessage | None = None
    while True:
        check()
        try:
            line = lines.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            continue
        if line is None:
            return last
        last = decode_message(line)
        if isinstance(last, PhaseProgress):
            on_progress(last)
        elif isinstance(last, LogLine):
            log.info("%s", last.text)


def _read(pipe: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    for line in pipe:
        lines.put(line)
    lines.put(None)


def _failure(code: int, log: str, free_bytes: int) -> Exception:
    if _NO_DISK.search(log) or free_bytes < _LITTLE_DISK:
        return LostResource(Slug.DISK_FULL, stage=STAGE)
    if lacked_memory(code, log):
        return LostResource(Slug.OUT_OF_MEMORY, stage=STAGE)
    return RuntimeError(f"COLMAP ended with code {code}: {log[-_LOG_TAIL:]}")


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * _LOG_TAIL))
        return file.read().decode("utf-8", "replace")
