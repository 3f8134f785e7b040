"""A service's command line: folders on a desk, a manifest in the cloud."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pipeline_cases import JOB, requested, staged

from spaceport.pipeline import layout
from spaceport.pipeline.contract import Outcome, StageName
from spaceport.pipeline.errors import LostResource, Refused, Slug
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.stages.main import main
from spaceport.pipeline.stages.stage import DONE, REFUSED, RETRY, Stage
from spaceport.pipeline.storage import Bucket
from spaceport.progress import Progress


def copying(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
    progress.check()
    progress.update(0.5, "half", photos=3, psnr=24.123456)
    (output / "seen.json").write_text(options.model_dump_json())
    return Outcome(message="done", counts={"files": len(list(source.iterdir()))})


def desk(core: Any, tmp_path: Path, *more: str) -> int:
    (tmp_path / "in").mkdir(exist_ok=True)
    places = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    return main(Stage(StageName.TRAIN, core), [*places, *more])


def test_a_desk_needs_no_cloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "o.json").write_text('{"max_iterations": 42}')
    assert desk(copying, tmp_path, "--options", str(tmp_path / "o.json")) == DONE
    assert json.loads((tmp_path / "out/seen.json").read_text())["max_iterations"] == 42
    captured = capsys.readouterr()
    assert json.loads(captured.out)["counts"] == {"files": 0}
    assert "50% half photos=3 psnr=24.12" in captured.err


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (Refused(Slug.NO_OVERLAP, total=3), REFUSED, "no_overlap: No two of the 3"),
        (LostResource(Slug.DISK_FULL, stage="Training"), RETRY, "disk_full"),
        (MemoryError(), RETRY, "out_of_memory"),
        (KeyboardInterrupt(), RETRY, "interrupted"),
    ],
)
def test_exit_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, sentence: str
) -> None:
    def core(*_: Any) -> Outcome:
        raise error

    assert desk(core, tmp_path) == code
    assert sentence in capsys.readouterr().err


def test_sigterm_ends_a_desk_run(tmp_path: Path) -> None:
    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        (output / "whole step").touch()
        progress.check()
        raise AssertionError("still here")

    before = signal.getsignal(signal.SIGTERM)
    try:
        assert desk(core, tmp_path) == RETRY
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (tmp_path / "out" / "whole step").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--input", "a"], ["--bucket", "b"], ["--input", "a", "--output", "b", "--key", "k"]]
)
def test_one_of_the_two_ways(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(Stage(StageName.SFM, copying), arguments)


@pytest.mark.parametrize("missing", [["--input", "none"], ["--options", "none.json"]])
def test_paths_that_do_not_exist_are_named(
    missing: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        desk(copying, tmp_path, *missing)
    assert f"there is no {missing[1]}" in capsys.readouterr().err


def test_the_cloud_names_a_manifest(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPACEPORT_TABLE", "jobs")
    monkeypatch.setenv("SPACEPORT_WORK", str(tmp_path))
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "batch-1")
    bucket.put_manifest(layout.request_key(JOB), requested())
    key = layout.stage_manifest_key(JOB, StageName.SFM)
    bucket.put_manifest(key, staged(StageName.SFM))
    assert main(Stage(StageName.TRAIN, copying), ["--bucket", bucket.name, "--key", key]) == DONE
    assert bucket.exists(layout.stage_manifest_key(JOB, StageName.TRAIN))
    with pytest.raises(ValueError, match="wakes train, not sfm"):
        main(Stage(StageName.SFM, copying), ["--bucket", bucket.name, "--key", key])


def test_spaceport_is_light() -> None:
    """What the functions import must stay small: a cold start pays for every module."""
    code = (
        "import sys, spaceport;"
        "from spaceport.pipeline.jobs import accept, tracker, recovery;"
        "heavy = {'torch', 'numba', 'pycolmap', 'numpy', 'PIL'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_desk_loads_no_boto3() -> None:
    """It takes a quarter of a second, a tenth of what compressing a small model takes."""
    code = "import sys, spaceport.pipeline.stages.main; sys.exit(bool({'boto3', 'botocore'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
