"""A stage's checkpoint, kept in the bucket while it works, so that the next try goes on where this one was cut off.

The stage only writes a file below its output, by replacing it; all else happens here. Whatever goes wrong with a
checkpoint costs time, never the job: it is logged, and the stage begins afresh.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from types import TracebackType

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from spaceport.pipeline import layout
from spaceport.pipeline.contract import Artefact
from spaceport.pipeline.errors import Interrupted, LostClaim, LostResource
from spaceport.pipeline.jobs.ending import read_end
from spaceport.pipeline.stages.heartbeat import Holding

LOOK_SECONDS = 5.0
"""How soon a new checkpoint is noticed; how often there is one is the stage's choice."""
INPUT = "input-etag"
MOST_VERSIONS = 10
"""Each try that was killed leaves at most one."""
TROUBLE = (ClientError, BotoCoreError, Boto3Error, OSError, LostResource, TimeoutError)
"""What may happen; anything else is a bug, and logged as one."""

Look = tuple[int, int, int]

log = logging.getLogger(__name__)


class CheckpointKeeper:
    """A context manager around a stage's work: uploads in a thread of its own, and in the end once more or no more.

    Args:
        holding: the claim in whose name it uploads; once that is lost, or the job has ended, it does not.
        input_etag: of the stage's input manifest. A checkpoint of any other input is not fetched.
        path: of the file that the stage writes, or None for a stage that has none.
        scratch: a folder on the same disk, outside the stage's output.
    """

    def __init__(self, holding: Holding, input_etag: str, path: Path | None, scratch: Path) -> None:
        self.path = path
        self._holding, self._etag, self._scratch = holding, input_etag, scratch
        self._key = layout.checkpoint_key(holding.job_id, holding.stage)
        self._known: Look | None = None
        self._version: str | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="checkpoint", daemon=True)

    def fetch(self) -> None:
        """Put the checkpoint of an earlier try of the same input where the stage looks for it."""
        if self.path is None:
            return
        try:
            self._fetch(self.path)
        except Exception as error:
            _complain("cannot be fetched, beginning afresh", error)

    def __enter__(self) -> CheckpointKeeper:
        if self.path:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Upload once more when the machine goes away; delete it when no other try will come."""
        if self.path is None:
            return
        self._done.set()
        self._thread.join()  # an upload under way is finished: the one after it may be of use to the next try
        if isinstance(error, Interrupted):
            self._save()
        elif not isinstance(error, LostClaim | LostResource | KeyboardInterrupt | SystemExit):
            self._discard()

    def _watch(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            self._save()

    def _fetch(self, path: Path) -> None:
        found = self._holding.bucket.head(self._key)
        if found is None:
            return
        self._version = found.version
        if found.metadata.get(INPUT) != self._etag:
            log.info("the checkpoint in the bucket is of another input: beginning afresh")
            return
        part = self._scratch / "checkpoint.fetched"
        self._holding.bucket.fetch(Artefact(key=self._key, bytes=found.bytes), part)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._known = _look(part)
        part.replace(path)
        log.info("fetched a checkpoint of %d bytes", found.bytes)

    def _save(self) -> None:
        """Upload the file if it has changed and the work is still ours."""
        try:
            if self.path and self.path.exists() and _look(self.path) != self._known and self._ours():
                self._upload(self.path)
        except Exception as error:
            _complain("cannot be uploaded, will try again", error)

    def _upload(self, path: Path) -> None:
        """A second name holds on to this very file: parts of an upload are read one by one, and `path` may change."""
        held = self._scratch / "checkpoint.uploading"
        held.unlink(missing_ok=True)
        os.link(path, held)
        try:
            seen, before = _look(held), self._version
            self._holding.bucket.put_file(held, self._key, {INPUT: self._etag})
            self._known = seen
        finally:
            held.unlink(missing_ok=True)
        found = self._holding.bucket.head(self._key)
        self._version = found.version if found else None
        if before and before != self._version:
            self._holding.bucket.remove(self._key, before)
        log.info("uploaded a checkpoint of %d bytes", seen[2])

    def _ours(self) -> bool:
        work = self._holding
        return work.renew() and read_end(work.bucket, work.job_id) is None

    def _discard(self) -> None:
        """Delete it, and the one before it that a killed try may have left: a version removed uncovers the next."""
        try:
            for _ in range(MOST_VERSIONS):
                if (found := self._holding.bucket.head(self._key)) is None:
                    return
                self._holding.bucket.remove(self._key, found.version)
        except Exception as error:
            _complain("stays in the bucket", error)


def _complain(what: str, error: Exception) -> None:
    log.warning("the checkpoint %s: %s", what, error, exc_info=not isinstance(error, TROUBLE))


def _look(path: Path) -> Look:
    """What changes when a file is replaced."""
    told = path.stat()
    return told.st_ino, told.st_mtime_ns, told.st_size
