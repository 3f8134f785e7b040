"""A stage's checkpoint, kept in the bucket while it works, so that the next try resumes where this one was cut off.

The stage only writes a file below its output, by replacing it; the rest happens here. Whatever goes wrong with a
checkpoint costs time, never the job: it is logged, and the stage starts afresh.
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
from spaceport.pipeline.errors import Interrupted, LostLease, LostResource
from spaceport.pipeline.jobs.ending import read_end
from spaceport.pipeline.stages.heartbeat import Lease

POLL_SECONDS = 5.0
"""How soon a new checkpoint is noticed; how often there is one is up to the stage."""
INPUT = "input-etag"
MAX_VERSIONS = 10
"""Each killed try leaves at most one."""
TRANSIENT_ERRORS = (ClientError, BotoCoreError, Boto3Error, OSError, LostResource, TimeoutError)
"""What may go wrong outside this process; anything else is a bug, and logged as one."""

FileStamp = tuple[int, int, int]
"""Inode, modification time and size: what changes when a file is replaced."""

log = logging.getLogger(__name__)


class CheckpointSync:
    """A context manager around a stage's work that uploads its checkpoint whenever it changes, in a thread of its own.

    Args:
        lease: in whose name it uploads; once that is lost, or the job has ended, it uploads nothing.
        input_etag: of the stage's input manifest. A checkpoint of any other input is not fetched.
        path: of the file that the stage writes, or None for a stage that has none.
        scratch: a folder on the same disk, outside the stage's output.
    """

    def __init__(self, lease: Lease, input_etag: str, path: Path | None, scratch: Path) -> None:
        self.path = path
        self._lease = lease
        self._etag = input_etag
        self._scratch = scratch
        self._key = layout.checkpoint_key(lease.job_id, lease.stage)
        self._uploaded: FileStamp | None = None
        self._version: str | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)

    def fetch(self) -> None:
        """Put the checkpoint of an earlier try of the same input where the stage looks for it."""
        if self.path is None:
            return
        try:
            self._fetch(self.path)
        except Exception as error:
            _log_error("cannot be fetched, starting afresh", error)

    def __enter__(self) -> CheckpointSync:
        if self.path:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Upload once more when the machine is taken away; delete the checkpoint when there will be no other try."""
        if self.path is None:
            return
        self._done.set()
        self._thread.join()  # which finishes an upload under way
        if isinstance(error, Interrupted):
            self._save()
        elif not isinstance(error, LostLease | LostResource | KeyboardInterrupt | SystemExit):
            self._discard()

    def _run(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            self._save()

    def _fetch(self, path: Path) -> None:
        head = self._lease.bucket.head(self._key)
        if head is None:
            return
        self._version = head.version
        if head.metadata.get(INPUT) != self._etag:
            log.info("the checkpoint in the bucket is of another input: starting afresh")
            return
        part = self._scratch / "checkpoint.fetched"
        self._lease.bucket.fetch(Artefact(key=self._key, bytes=head.bytes), part)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._uploaded = _stamp(part)
        part.replace(path)
        log.info("fetched a checkpoint of %d bytes", head.bytes)

    def _save(self) -> None:
        """Upload the file if it has changed and the lease is still ours."""
        try:
            if self.path and self.path.exists() and _stamp(self.path) != self._uploaded and self._still_ours():
                self._upload(self.path)
        except Exception as error:
            _log_error("cannot be uploaded, will try again", error)

    def _upload(self, path: Path) -> None:
        """Through a hard link to this very file: parts of an upload are read one by one, and `path` may be replaced."""
        linked = self._scratch / "checkpoint.uploading"
        linked.unlink(missing_ok=True)
        os.link(path, linked)
        try:
            stamp = _stamp(linked)
            self._lease.bucket.put_file(linked, self._key, {INPUT: self._etag})
            self._uploaded = stamp
        finally:
            linked.unlink(missing_ok=True)
        head = self._lease.bucket.head(self._key)
        replaced = self._version
        self._version = head.version if head else None
        if replaced and replaced != self._version:
            self._lease.bucket.delete(self._key, replaced)
        log.info("uploaded a checkpoint of %d bytes", stamp[2])

    def _still_ours(self) -> bool:
        return self._lease.renew() and read_end(self._lease.bucket, self._lease.job_id) is None

    def _discard(self) -> None:
        """Delete it, and the ones that killed tries may have left: deleting a version uncovers the one before it."""
        try:
            for _ in range(MAX_VERSIONS):
                head = self._lease.bucket.head(self._key)
                if head is None:
                    return
                self._lease.bucket.delete(self._key, head.version)
        except Exception as error:
            _log_error("stays in the bucket", error)


def _log_error(what: str, error: Exception) -> None:
    log.warning("the checkpoint %s: %s", what, error, exc_info=not isinstance(error, TRANSIENT_ERRORS))


def _stamp(path: Path) -> FileStamp:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
