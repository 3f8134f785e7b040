"""The live files of a running stage in the bucket, for the page. Whatever goes wrong with them is logged, no more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

from spaceport.pipeline import layout
from spaceport.pipeline.errors import LostLease
from spaceport.pipeline.live import LIVE_JSON, LIVE_PICTURE
from spaceport.pipeline.stages.heartbeat import Lease
from spaceport.pipeline.storage import Bucket

POLL_SECONDS = 1.0
KINDS: Final = {LIVE_PICTURE: "image/jpeg", LIVE_JSON: "application/json"}
"""The picture first: what the other file says of it is then never ahead of it."""

log = logging.getLogger(__name__)


class LiveSync:
    """Uploads the live files whenever they have changed, as a context manager around a stage's work.

    Of each only its last version is kept, and none when the work has ended.

    Args:
        lease: of the stage.
        output: of the stage, laid out like the job's folder.
    """

    def __init__(self, lease: Lease, output: Path) -> None:
        folder = layout.STAGE_FOLDERS[lease.stage].output
        self._files = [
            _LiveFile(lease.bucket, output / folder / name, layout.live_key(lease.job_id, lease.stage, name), kind)
            for name, kind in KINDS.items()
        ]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def __enter__(self) -> LiveSync:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        if not isinstance(error, LostLease):
            self._try(_LiveFile.delete)

    def _run(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            self._try(_LiveFile.upload)

    def _try(self, action: Callable[[_LiveFile], None]) -> None:
        try:
            for file in self._files:
                action(file)
        except Exception as error:
            log.warning("the live files are not as they should be: %s", error)


class _LiveFile:
    """A file here, and its object there."""

    def __init__(self, bucket: Bucket, path: Path, key: str, kind: str) -> None:
        self._bucket = bucket
        self._path = path
        self._key = key
        self._kind = kind
        self._uploaded: tuple[int, int] | None = None
        self._version: str | None = None

    def upload(self) -> None:
        try:
            status = self._path.stat()
            body = self._path.read_bytes()
        except FileNotFoundError:  # not yet, or no more
            return
        stamp = status.st_ino, status.st_mtime_ns
        if stamp == self._uploaded:
            return
        replaced = self._version
        self._version = self._bucket.put_small(self._key, body, self._kind)
        self._uploaded = stamp
        if replaced:
            self._bucket.delete(self._key, replaced)

    def delete(self) -> None:
        if self._uploaded:
            self._bucket.delete(self._key, self._version)
