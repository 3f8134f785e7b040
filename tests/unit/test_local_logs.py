"""The logs of the embedded cloud: what is printed is there, and they do not grow for ever."""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from pathlib import Path

import pytest

from spaceport.local import logs
from spaceport.local.function_logs import json_lines
from spaceport.local.logs import LogFile, OutputLog, cloud_log, prune_job_logs


def test_what_a_child_prints_is_in_its_log_once_that_is_closed(tmp_path: Path) -> None:
    output = OutputLog(tmp_path / "job.log")
    with output.pipe:
        output.pipe.write(b"one\nt\xffwo\r\n\x1b[2J no end")
    output.close()
    assert (tmp_path / "job.log").read_bytes() == b"one\nt\\xffwo\r\n\x1b[2J no end\n"


def test_a_log_is_rotated_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 1000)
    output = OutputLog(tmp_path / "job.log")
    with output.pipe:
        for number in range(1000):
            output.pipe.write(b"line %03d\n" % number)
    output.close()
    names = sorted(tmp_path.iterdir())
    assert [name.name for name in names] == ["job.log", "job.log.1"]
    assert max(name.stat().st_size for name in names) <= 1000
    assert names[0].read_text().endswith("line 999\n")
    assert int(names[1].read_text().splitlines()[-1][5:]) + 1 == int(names[0].read_text().splitlines()[0][5:])


def test_a_line_without_an_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LINE", 100)
    output = OutputLog(tmp_path / "job.log")
    with output.pipe:
        output.pipe.write(b"x" * 250)
    output.close()
    assert (tmp_path / "job.log").read_text() == "\n".join(["x" * 100, "x" * 100, "x" * 50, ""])


def test_a_child_does_not_wait_for_a_disk_that_is_full(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = LogFile(Path("/dev/full"))
    log.write("lost")
    log.close()
    assert capfd.readouterr().err == ""


def test_only_the_newest_logs_of_jobs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_JOBS", 3)
    for name in ("ministack.log", "functions.log.1", "cloud.log"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    jobs = [tmp_path / f"sfm-{uuid.uuid4()}.log" for _ in range(5)]
    for age, job in enumerate(jobs):
        job.touch()
        os.utime(job, (time.time() - age, time.time() - age))
    old = time.time() - 31 * 86400
    os.utime(jobs[1], (old, old))
    prune_job_logs(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"ministack.log", "functions.log.1", "cloud.log", jobs[0].name, jobs[2].name, jobs[3].name}


def test_warnings_are_in_a_file_and_where_they_were(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("spaceport.local.poller")
    with cloud_log(tmp_path):
        logger.warning("a dead letter")
        logger.info("nothing")
    logger.warning("later")
    text = (tmp_path / "cloud.log").read_text()
    assert text.endswith("WARNING spaceport.local.poller a dead letter\n")
    assert text.count("\n") == 1
    assert caplog.messages == ["a dead letter", "later"]


def test_lines_of_powertools_stay_as_they_are_and_the_rest_is_one_line() -> None:
    line = '{"level": "INFO", "correlation_id": "job-1"}'
    traceback = "Traceback (most recent call last):\n  File …\nKeyError: 'x'"
    first, second = json_lines("intake", "r-1", f"{line}\n{traceback}\n{{not json", is_error=True)
    assert first == line
    record = json.loads(second)
    assert (record["level"], record["message"]) == ("ERROR", f"{traceback}\n{{not json")
    assert (record["function_name"], record["function_request_id"]) == ("intake", "r-1")
    assert json_lines("intake", "r-1", line, is_error=False) == [line]
    assert json_lines("intake", "r-1", "", is_error=False) == []
    (failed,) = json_lines("intake", "r-1", "", is_error=True)
    assert json.loads(failed)["level"] == "ERROR"
