"""COLMAP's database as far as it is filled, saved in one file: the next try need not extract the features again.

A zip without compression of the database and a fingerprint of photos, options and COLMAP; zip's checksum detects a
damaged one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pycolmap

from services.sfm.colmap.database import OnProgress, feature_counts, num_matched_pairs
from services.sfm.messages import ColmapTask
from spaceport.files import replacing

MIN_SECONDS: Final = 2.0  # between two of them
BYTES_PER_SECOND: Final = 20_000_000  # the most that they cost of disk and net in the mean: each one may be uploaded
FINGERPRINT: Final = "fingerprint"
DATABASE: Final = "database.db"


class Checkpoint:
    """Saves and restores the database of one task; does nothing for a task without a file for it."""

    def __init__(self, task: ColmapTask, database: Path) -> None:
        self._task = task
        self._database = database
        self._next = time.monotonic() + MIN_SECONDS

    def restore(self, log: Callable[[str], object]) -> bool:
        """Restore the database where there is a usable checkpoint; `log` gets a sentence on what was done."""
        path = self._task.checkpoint
        if path is None or not path.is_file():
            return False
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.read(FINGERPRINT) != fingerprint(self._task):
                    log("the checkpoint is of other photos or options: beginning afresh")
                    return False
                with archive.open(DATABASE) as source, self._database.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)  # raises at its end if the checksum is wrong
        except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
            self._database.unlink(missing_ok=True)
            log(f"the checkpoint is damaged, beginning afresh: {error}")
            return False
        done = sum(number > 0 for number in feature_counts(self._database).values())
        log(
            f"going on from an earlier try: features of {done} of {len(self._task.photos)} photos and"
            f" {num_matched_pairs(self._database)} compared pairs are there"
        )
        return True

    def save(self) -> None:
        """Write the database to the checkpoint. Nothing else may have it open."""
        path = self._task.checkpoint
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(FINGERPRINT, fingerprint(self._task))
            archive.write(self._database, DATABASE)
        self._next = time.monotonic() + max(MIN_SECONDS, path.stat().st_size / BYTES_PER_SECOND)

    def save_during(self, on_progress: OnProgress) -> OnProgress:
        """`on_progress`, which first saves now and then, and at the end: what was reported as done is saved."""

        def save_and_report(done: int, total: int) -> None:
            if done == total or time.monotonic() >= self._next:
                self.save()
            on_progress(done, total)

        return save_and_report


def fingerprint(task: ColmapTask) -> bytes:
    """SHA-256, in hex, of what features and matches depend on."""
    photos = [asdict(photo) | {"bytes": (task.photos_folder / photo.file).stat().st_size} for photo in task.photos]
    cameras = [asdict(camera) for camera in task.cameras]
    options = task.options.model_dump(mode="json")
    text = json.dumps([photos, cameras, options, task.ordered, pycolmap.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest().encode()
