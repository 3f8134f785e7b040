"""Several commands on one state folder: they share its cloud, and none ends another's job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cloud_cases import LONG, workers
from waiting import until

from spaceport.demo import Survey
from spaceport.local.address import running
from spaceport.local.children import DAEMON, survivors


class Command:
    """`spaceport run` or `up` in a process of its own, and what it shows."""

    def __init__(self, folder: Path, state: Path, *words: str) -> None:
        folder.mkdir()
        self._shown = folder / "shown"
        with self._shown.open("wb") as shown:
            command = [sys.executable, "-m", "spaceport", *words, "--state", str(state)]
            self.process = subprocess.Popen(command, stdout=shown, stderr=shown)

    def shown(self) -> str:
        return self._shown.read_text()

    def wait(self) -> int:
        until(lambda: self.process.poll() is not None, self.shown, seconds=240)
        return self.process.wait()


@contextmanager
def ended(*commands: Command) -> Iterator[None]:
    try:
        yield
    finally:
        for command in commands:
            command.process.kill()
            command.process.wait()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return (tmp_path / "state").resolve()


def run(survey: Survey, folder: Path, state: Path, options: object) -> Command:
    (folder.parent / f"{folder.name}.json").write_text(json.dumps(options))
    words = ["--options", str(folder.parent / f"{folder.name}.json"), "--out", str(folder / "out")]
    return Command(folder, state, "run", str(survey.zip_path), *words)


def only_daemon(state: Path) -> int:
    """The daemon on a state folder, as soon as it is the only one.

    One that came second ends when it finds the folder locked, and a child has its parent's command line until it
    executes its own; a second one that served would stay.
    """
    seen: list[int] = []

    def is_alone() -> bool:
        seen[:] = survivors(state, DAEMON)
        return len(seen) == 1

    until(is_alone, lambda: seen)
    return seen[0]


@pytest.mark.parametrize("how", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_second_run_outlives_the_first(survey: Survey, tmp_path: Path, state: Path, how: signal.Signals) -> None:
    """Both start at the same moment on an empty state; the first is at work when it ends."""
    first = run(survey, tmp_path / "first", state, LONG)
    second = run(survey, tmp_path / "second", state, LONG)
    with ended(first, second):
        until(lambda: "Job" in first.shown() and "Job" in second.shown(), lambda: first.shown() + second.shown())
        until(lambda: bool(workers(state)))
        daemon = only_daemon(state)
        first.process.send_signal(how)
        assert first.wait() == (130 if how is signal.SIGINT else -how)
        if how is signal.SIGKILL:  # its job is nobody's now, and would keep the second's waiting
            (job,) = [line.split()[1] for line in first.shown().splitlines() if line.startswith("Job")]
            stopped = Command(tmp_path / "stop", state, "stop", job)
            assert stopped.wait() == 0, stopped.shown()
        until(lambda: "TRAINING" in second.shown(), second.shown)
        assert only_daemon(state) == daemon
        second.process.send_signal(signal.SIGINT)
        assert second.wait() == 130, second.shown()
    until(lambda: survivors(state) == [])
    assert running(state) is None


@pytest.mark.slow
def test_up_leaves_the_cloud_to_those_who_use_it(survey: Survey, tmp_path: Path, state: Path) -> None:
    up = Command(tmp_path / "up", state, "up")
    with ended(up):
        until(lambda: "is up" in up.shown(), up.shown)
        job = run(survey, tmp_path / "run", state, LONG)
        with ended(job):
            until(lambda: bool(workers(state)), job.shown)
            up.process.send_signal(signal.SIGINT)
            assert up.wait() == 0
            assert "Other commands still use the embedded cloud" in up.shown()
            assert workers(state)
            job.process.send_signal(signal.SIGTERM)
            assert job.wait() == 130, job.shown()
    until(lambda: survivors(state) == [])


def test_a_killed_daemon_is_named_with_what_to_do(survey: Survey, tmp_path: Path, state: Path) -> None:
    command = run(survey, tmp_path / "run", state, LONG)
    with ended(command):
        until(lambda: bool(workers(state)), command.shown)
        daemon = only_daemon(state)
        os.kill(daemon, signal.SIGKILL)
        assert command.wait() == 1
    assert "has ended" in command.shown()
    assert "spaceport up" in command.shown()
    assert "spaceport fetch" in command.shown()
    assert "Traceback" not in command.shown()
    until(lambda: survivors(state) == [])
