"""Helpers for tests of jobs in the embedded cloud."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline_cases import key_of, staged
from waiting import PATIENCE, until

from spaceport.cli.connect import deployment_of
from spaceport.cli.deployment import Deployment
from spaceport.local.address import running
from spaceport.local.children import survivors
from spaceport.local.cloud import EmbeddedCloud
from spaceport.local.mailbox import mails
from spaceport.pipeline import layout
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.jobs.state import END_STATES, JobRecord
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.model import Gaussians

TINY: dict[str, Any] = {
    "preset": "draft",
    "sfm": {"max_image_size": 512, "max_features": 2048},
    "train": {"max_iterations": 60, "image_size": 128, "threads": 1},
}
"""Options that take every stage through its real work in seconds."""
LONG: dict[str, Any] = TINY | {
    "train": {
        **{"max_iterations": 100_000, "max_looks": 10_000, "plateau_stop": False},
        **{"image_size": 128, "threads": 1},  # whoever waits for it may need a core, and its first steps soon
    }
}
"""A training that is still at it when a test has seen enough."""
MAIL = "pilot@example.com"


class Cloud:
    """A running embedded cloud, and what tests do with it."""

    def __init__(self, embedded: EmbeddedCloud | Crashing) -> None:
        self.embedded = embedded
        self.deployment: Deployment = deployment_of(embedded.access)

    def upload(self, data: bytes | Path, job_id: str, options: dict[str, Any] | None = None) -> str:
        """Drop a zip into the bucket, as a pilot does. Returns the job's id."""
        metadata = {"job-id": job_id, "job-name": quote(job_id), "email": MAIL, "options": json.dumps(options or TINY)}
        body = data.read_bytes() if isinstance(data, Path) else data
        uploads = self.deployment.uploads
        uploads.client.put_object(Bucket=uploads.name, Key=f"uploads/{job_id}.zip", Body=body, Metadata=metadata)
        return job_id

    def compress(self, model: Gaussians, job_id: str, options: dict[str, Any]) -> str:
        """Begin a job as if its model had been trained: compression alone is left. Returns the job's id."""
        bucket = self.deployment.bucket
        with tempfile.TemporaryDirectory() as folder:
            write_ply(Path(folder) / "model.ply", model)
            artefact = bucket.publish(Path(folder) / "model.ply", layout.job_prefix(job_id) + "gaussian/model.ply")
        manifest = staged(StageName.TRAIN, job_id, continues="older-job", options=options)
        manifest = manifest.model_copy(update={"artefacts": [artefact]})
        bucket.put_manifest(key_of(manifest), manifest)
        return job_id

    def row(self, job_id: str) -> JobRecord | None:
        return self.deployment.table.get(job_id)

    def ended(self, job_id: str, seconds: float = 300) -> JobRecord:
        return self.until(job_id, lambda row: row.state in END_STATES, seconds)

    def until(self, job_id: str, holds: Callable[[JobRecord], bool], seconds: float = PATIENCE) -> JobRecord:
        """Wait for something to hold of a job's row."""
        seen: list[JobRecord] = []

        def is_reached() -> bool:
            row = self.row(job_id)
            seen[:] = [row] if row else []
            return row is not None and holds(row)

        until(is_reached, lambda: f"{seen}\n{self.logs()}", seconds)
        return seen[0]

    def until_row(self, job_id: str, record: str) -> None:
        """Wait for a row beside the job's own."""
        key = {"job_id": job_id, "record": record}
        until(lambda: "Item" in self.deployment.table.table.get_item(Key=key), self.logs)

    def working_on(self, job_id: str, stage: StageName, seconds: float = PATIENCE) -> JobRecord:
        """Wait until a stage is at its real work: it has reported figures of its own."""
        return self.until(job_id, lambda row: row.stage is stage and bool(row.live), seconds)

    def mails(self, count: int) -> list[dict[str, Any]]:
        """All mails, as soon as there are so many."""
        until(lambda: len(mails(self.embedded.access)) >= count, self.logs)
        return mails(self.embedded.access)

    def manifest_keys(self, job_id: str) -> set[str]:
        keys = (item.key for item in self.deployment.bucket.list_objects(layout.job_prefix(job_id)))
        return {key.split("/")[2] for key in keys if key.endswith("/manifest.json")}

    def logs(self) -> str:
        """The tails of all logs, for the message of a failed test."""
        files = sorted((self.embedded.state / "logs").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in files)


def workers(state: Path) -> list[int]:
    """Processes of services that run on a state folder."""
    return survivors(state, "services.")


def the_process(state: Path, command: str) -> int:
    """The one process of this command that runs on a state folder, not its guard.

    Between fork and exec a child of it bears the same command line: then it is asked again.
    """
    seen: set[int] = set()

    def alone() -> bool:
        seen.clear()
        seen.update(set(survivors(state, command)) - set(survivors(state, "guard.py")))
        return len(seen) == 1

    until(alone)
    return seen.pop()


def stage_process(state: Path, stage: StageName) -> int:
    """The one process of a stage itself, neither its guard nor what it started."""
    return the_process(state, f"-m\0services.{stage}\0")


class Crashing:
    """An embedded cloud in a process of its own, to be killed."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "spaceport", "up", "--state", str(state)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: running(state) or self.process.poll() is not None)
        access = running(state)
        assert access, "it ended before it was up"
        self.access = access
        self.state = state

    def kill(self) -> None:
        """kill -9 of it and of everything it started, in the worst order: the parent first."""
        children = survivors(self.state.resolve())
        self.process.kill()
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
