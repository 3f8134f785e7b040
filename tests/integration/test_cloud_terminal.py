"""`spaceport run` as a person meets it: on a terminal, with bars, ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cloud_cases import LONG
from waiting import until

from spaceport.demo import Survey
from spaceport.local.children import survivors


def test_bars_move_and_ctrl_c_stops_the_job(survey: Survey, tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text(json.dumps(LONG))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "spaceport", "run", str(survey.zip_path), "--out", str(tmp_path / "out")]
    command += ["--state", str(tmp_path / "state"), "--options", str(tmp_path / "options.json")]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    try:
        shown = _read_until(ours, lambda text: bool(re.search(r"Training.*iteration", text)))
        assert "Structure from motion" in shown
        assert re.search(r"\d+%", shown)
        process.send_signal(signal.SIGINT)
        _read_until(ours, lambda _: process.poll() is not None)
        assert process.wait() == 130
    finally:
        process.kill()
        os.close(ours)
    assert survivors((tmp_path / "state").resolve()) == []
    (end,) = (tmp_path / "state" / "s3").rglob("*end/manifest.json")
    assert b'"STOPPED"' in end.read_bytes()
    assert not list((tmp_path / "state" / "s3").rglob("*gaussian/manifest.json"))


def _read_until(terminal: int, holds: Callable[[str], bool]) -> str:
    """What the terminal shows until something holds of it."""
    text = ""

    def read() -> bool:
        nonlocal text
        with suppress(OSError):  # the other side is closed
            if select.select([terminal], [], [], 0.2)[0]:
                text += os.read(terminal, 65536).decode(errors="replace")
        return holds(text)

    until(read, lambda: text[-2000:])
    return text
