"""Runs Batch jobs as child processes, one at a time per device: two heavy jobs would only slow each other down."""

from __future__ import annotations

import os
import queue
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from spaceport.local.batch.model import ENDED, Exit, Job, JobDefinition, Status, should_retry
from spaceport.local.children import MARK, Child
from spaceport.local.logs import OutputLog, prune_job_logs

GRACE_SECONDS = 5.0
TIMED_OUT = "Job attempt duration exceeded timeout"
EXITED = "Essential container in task exited"
NOT_STARTED = "CannotStartContainerError"
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ", "NUMBA_CACHE_DIR", "CUDA_VISIBLE_DEVICES")

NVIDIA = Path("/proc/driver/nvidia/gpus")

OnChange = Callable[[Job], None]


class Runner:
    """All queues and jobs of one embedded cloud. Every method may be called from any thread.

    Args:
        cpu_jobs: how many jobs may use the CPU at once. Without a `gpu`, jobs that need one count too.
    """

    def __init__(
        self,
        state: Path,
        root: Path,
        job_definitions: Mapping[str, JobDefinition],
        queues: tuple[str, ...],
        on_change: OnChange,
        *,
        cpu_jobs: int = 1,
        gpu: bool | None = None,
    ) -> None:
        self._state = state
        self._root = root
        self._job_definitions = job_definitions
        self._on_change = on_change
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, Child] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._queues: dict[str, queue.Queue[Job | None]] = {arn: queue.Queue() for arn in queues}
        self._environment_of: Callable[[str], Mapping[str, str]] = lambda _: {}
        has_gpu = NVIDIA.exists() if gpu is None else gpu
        self._cpu = threading.Semaphore(cpu_jobs)
        self._gpu = threading.Semaphore(1) if has_gpu else self._cpu
        self._threads = [
            threading.Thread(target=self._serve_queue, args=(waiting,)) for waiting in self._queues.values()
        ]
        for thread in self._threads:
            thread.start()

    def set_environment(self, environment_of: Callable[[str], Mapping[str, str]]) -> None:
        """Set the environment that a job needs to reach the embedded cloud, by the name of its role."""
        self._environment_of = environment_of

    def submit(
        self, job_queue: str, job_definition: str, name: str, parameters: dict[str, str], environment: dict[str, str]
    ) -> Job:
        """Queue a job. Raises `KeyError` for an unknown queue or job definition."""
        job = Job(
            id=str(uuid.uuid4()),
            name=name,
            queue=job_queue,
            job_definition=self._job_definitions[job_definition],
            parameters=parameters,
            environment=environment,
            created_at=time.time(),
        )
        waiting = self._queues[job_queue]
        with self._lock:
            self._jobs[job.id] = job
        self._move(job, Status.RUNNABLE)
        waiting.put(job)
        return job

    def describe(self, ids: list[str]) -> list[dict[str, Any]]:
        with self._lock:
            return [self._jobs[each].describe() for each in ids if each in self._jobs]

    def list_jobs(
        self, job_queue: str, status: str, max_results: int, next_token: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of at most `max_results` jobs, the oldest first, and the token of the next page, if there is one.

        The token is the id of the last job. Raises `ValueError` when there is no such job.
        """
        with self._lock:
            ids = list(self._jobs)
            jobs = [self._jobs[each] for each in ids[ids.index(next_token) + 1 if next_token else 0 :]]
            matching = [job for job in jobs if job.queue == job_queue and job.status.value == status]
            following = matching[max_results - 1].id if len(matching) > max_results else None
            return [job.describe() for job in matching[:max_results]], following

    def terminate(self, job_id: str, reason: str) -> None:
        """Ask a job to end: SIGTERM, and SIGKILL after five seconds. A waiting job never starts."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.status in ENDED:
                return
            job.terminated = reason
            child = self._running.get(job_id)
            if child is not None:
                child.stop()
            elif job.status is Status.RUNNABLE:
                self._end(job, Status.FAILED, reason)

    def close(self) -> None:
        """End every job and every thread. Jobs get a SIGTERM and the grace period; none is retried."""
        self._closing.set()
        with self._lock:
            for child in self._running.values():
                child.stop()
        for waiting in self._queues.values():
            waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _serve_queue(self, waiting: queue.Queue[Job | None]) -> None:
        while (job := waiting.get()) is not None:
            if self._closing.is_set():
                continue
            with self._gpu if job.job_definition.gpu else self._cpu:
                self._run(job)

    def _run(self, job: Job) -> None:
        while (end := self._attempt(job)) is not None and not self._closing.is_set():
            job.attempts.append(end)
            if job.terminated is None and should_retry(job.job_definition, len(job.attempts), end):
                self._move(job, Status.RUNNABLE)
                continue
            done = end.code == 0 and job.terminated is None
            self._end(job, Status.SUCCEEDED if done else Status.FAILED, job.terminated or end.status_reason)
            return

    def _end(self, job: Job, status: Status, reason: str) -> None:
        job.stopped_at = time.time()
        self._move(job, status, reason)

    def _attempt(self, job: Job) -> Exit | None:
        """Run the job's command once. None when it may no longer start."""
        with self._lock:
            if job.status in ENDED or self._closing.is_set():
                return None
            if job.terminated is not None:  # between two attempts
                return Exit(None, job.terminated)
            job.started_at = time.time()
            scratch = self._state / "work" / job.id
            try:
                output = OutputLog(self._state / "logs" / f"{job.name}-{job.id}.log")
                with output.pipe:
                    child = self._running[job.id] = self._child(job, scratch, output.pipe)
            except OSError as error:  # out of disk, memory or processes
                return Exit(None, NOT_STARTED, f"{NOT_STARTED}: {error}")
        self._move(job, Status.RUNNING)
        try:
            return self._wait(job, child)
        finally:
            with self._lock:
                del self._running[job.id]
            child.close()
            output.close()
            prune_job_logs(self._state / "logs")
            shutil.rmtree(scratch, ignore_errors=True)  # as a container's disk is

    def _child(self, job: Job, scratch: Path, log: IO[bytes]) -> Child:
        scratch.mkdir(exist_ok=True)
        program, *arguments = job.command()
        return Child(
            [_program(program), *arguments],
            environment=self._job_environment(job, len(job.attempts) + 1, scratch),
            log=log,
            folder=self._root,
            grace=GRACE_SECONDS,
        )

    def _wait(self, job: Job, child: Child) -> Exit:
        limit = job.job_definition.timeout_seconds
        code = child.wait(limit)
        if code is not None:
            return Exit(code, EXITED)
        child.stop()
        child.wait(GRACE_SECONDS + 1)
        return Exit(None, TIMED_OUT)

    def _job_environment(self, job: Job, attempt: int, scratch: Path) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        here = {
            MARK: str(self._state),
            "PYTHONPATH": str(self._root),
            "PYTHONUNBUFFERED": "1",
            "AWS_BATCH_JOB_ID": job.id,
            "AWS_BATCH_JOB_ATTEMPT": str(attempt),
            "AWS_BATCH_JQ_NAME": job.queue.rsplit("/", 1)[-1],
            "SPACEPORT_WORK": str(scratch),
            "SPACEPORT_INSTANCE_TYPE": "local",
        }
        access = self._environment_of(job.job_definition.role)
        return {**inherited, **job.job_definition.environment, **job.environment, **access, **here}

    def _move(self, job: Job, status: Status, reason: str = "") -> None:
        with self._lock:
            job.status = status
            job.status_reason = reason
        self._on_change(job)


def _program(word: str) -> str:
    """The container's `python` is this very interpreter here."""
    return sys.executable if word in {"python", "python3"} else word
