"""An embedded cloud whose Batch runs containers, as the job definitions of the template say."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from engine import Engine
from template import resources

from spaceport.local.batch.model import Exit, Job
from spaceport.local.batch.runner import GRACE_SECONDS, Runner
from spaceport.local.children import MARK, Child

MACHINE = "c6i.2xlarge:spot"
CGROUPS = Path("/sys/fs/cgroup")


class ContainerRunner(Runner):
    """Batch whose jobs run in a new container of their image each: command, user, environment and volumes as the job
    definition says, and its memory where control groups can be made. The network is the machine's, as in Batch on EC2.
    """

    engine: Engine
    machine: Path
    """The folder that the machine's start fills, mounted by the job definitions."""

    def _child(self, job: Job, scratch: Path, log: IO[bytes]) -> Child:
        name = job.job_definition.arn.rpartition("/")[2]
        image, properties = name.removesuffix("Job").lower(), container_properties(name)
        container = self.engine.container(image)
        self._containers()[job.id] = container
        environment = {
            **job.job_definition.environment,
            **job.environment,
            **self._environment_of(job.job_definition.role),
            MARK: str(self._state),
            "AWS_BATCH_JOB_ID": job.id,
            "AWS_BATCH_JOB_ATTEMPT": str(len(job.attempts) + 1),
            "AWS_BATCH_JQ_NAME": job.queue.rsplit("/", 1)[-1],
        }
        (mount,) = properties["MountPoints"]
        command = self.engine.command(
            *("run", "--isolation", "chroot", "--network", "host", "--user", properties["User"]),
            *(part for name, value in environment.items() for part in ("--env", f"{name}={value}")),
            *("--volume", f"{self.machine}:{mount['ContainerPath']}:ro"),
            *(container, "--", *job.command()),
        )
        here = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        group = memory_group(image, megabytes(properties))
        if group is not None:
            command = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *command]
        return Child(
            command, environment={**here, MARK: str(self._state)}, log=log, folder=self._root, grace=GRACE_SECONDS
        )

    def _wait(self, job: Job, child: Child) -> Exit:
        begin = time.monotonic()
        try:
            return super()._wait(job, child)
        finally:
            image = job.job_definition.arn.rpartition("/")[2].removesuffix("Job").lower()
            self.engine.seconds[f"stage {image}"] = time.monotonic() - begin
            self.engine.remove(self._containers().pop(job.id))

    def _containers(self) -> dict[str, str]:
        containers: dict[str, str] = self.__dict__.setdefault("_container_of_job", {})
        return containers


def container_properties(name: str) -> dict[str, Any]:
    """Of a job definition of the template."""
    properties: dict[str, Any] = resources()[name]["Properties"]["ContainerProperties"]
    return properties


def megabytes(properties: dict[str, Any]) -> int:
    """The memory of a job definition, in MiB."""
    return next(int(each["Value"]) for each in properties["ResourceRequirements"] if each["Type"] == "MEMORY")


def memory_group(name: str, mebibytes: int) -> Path | None:
    """A control group of so much memory below our own, version 1 or 2; None where none can be made."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return _limited(CGROUPS / "memory" / path.lstrip("/"), name, "memory.limit_in_bytes", mebibytes)
    return _limited(CGROUPS, name, "memory.max", mebibytes)


def _limited(parent: Path, name: str, limit: str, mebibytes: int) -> Path | None:
    group = parent / f"spaceport-images-{name}"
    try:
        group.mkdir(exist_ok=True)
        (group / limit).write_text(str(mebibytes << 20))
    except OSError:
        return None
    return group


@contextmanager
def memory_groups() -> Iterator[dict[str, int]]:
    """Fills what it yields with the most memory in MiB that each group had, and removes them, in the end."""
    peaks: dict[str, int] = {}
    try:
        yield peaks
    finally:
        for group in CGROUPS.glob("memory/**/spaceport-images-*"):
            peaks[group.name.rpartition("-")[2]] = int((group / "memory.max_usage_in_bytes").read_text()) >> 20
            group.rmdir()
        for group in CGROUPS.glob("spaceport-images-*"):
            peaks[group.name.rpartition("-")[2]] = int((group / "memory.peak").read_text()) >> 20
            group.rmdir()
