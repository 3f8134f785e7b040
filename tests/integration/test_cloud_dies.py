"""The embedded AWS is killed under a command: it ends with a sentence, and leaves nothing running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cloud_cases import LONG, the_process, workers
from waiting import PATIENCE, until

from spaceport.cli.connect import deployment_of
from spaceport.demo import Survey
from spaceport.local.address import running
from spaceport.local.children import survivors
from spaceport.local.cloud import EmbeddedCloud
from spaceport.local.errors import CloudDied


@pytest.mark.parametrize("command", ["up", "run"])
def test_the_command_ends_and_says_so(survey: Survey, tmp_path: Path, command: str) -> None:
    state = (tmp_path / "state").resolve()
    (tmp_path / "options.json").write_text(json.dumps(LONG))
    words = [str(survey.zip_path), "--options", str(tmp_path / "options.json")] if command == "run" else []
    with (tmp_path / "shown").open("wb") as shown:
        process = subprocess.Popen(
            [sys.executable, "-m", "spaceport", command, *words, "--state", str(state)], stdout=shown, stderr=shown
        )
    try:
        until(lambda: running(state) is not None)
        if command == "run":
            until(lambda: bool(workers(state)))
        os.kill(the_process(state, "spaceport.local.serve"), signal.SIGKILL)
        assert process.wait(PATIENCE) == 1
    finally:
        process.kill()
    said = (tmp_path / "shown").read_text()
    assert "The embedded cloud has died (exit code 137" in said
    assert "Start it again" in said
    assert "Traceback" not in said
    assert survivors(state) == []
    assert running(state) is None


def test_what_its_death_caused_is_reported_as_its_death(tmp_path: Path) -> None:
    """It may die between its start and the first thing that a command asks of it."""
    state = (tmp_path / "state").resolve()
    with pytest.raises(CloudDied, match=r"has died \(exit code 137"), EmbeddedCloud(state) as cloud:
        os.kill(the_process(state, "spaceport.local.serve"), signal.SIGKILL)
        deployment_of(cloud.access)
    assert survivors(state) == []
