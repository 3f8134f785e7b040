"""Killed in any phase and tried again, the stage ends with the same model; finished features are not sought again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cloud_cases import TINY, Cloud, stage_process
from sfm_cases import read_model
from surveys import shared_survey
from waiting import until

from spaceport.demo import Survey
from spaceport.pipeline import layout
from spaceport.pipeline.contract import JobState, StageName

PHOTOS = 12
QUICK = {"sfm": {"max_image_size": 512, "max_features": 2048}}
THOROUGH = {"sfm": {"max_image_size": 1024, "first_octave": -1}}
GOING_ON = re.compile(r"going on from an earlier try: features of (\d+) of \d+ photos and (\d+) compared pairs")


@dataclass(frozen=True)
class Place:
    """A folder with a survey in it, and the options of its job."""

    source: Path
    options: Path

    def start(self, output: Path) -> subprocess.Popen[str]:
        """The stage, in a process group of its own."""
        command = [sys.executable, "-m", "services.sfm", "--input", str(self.source), "--output", str(output)]
        return subprocess.Popen(
            [*command, "--options", str(self.options)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def cut_off(self, output: Path, moment: str, sent: signal.Signals = signal.SIGKILL) -> int:
        """Start, and end everything once a line tells of `moment`. Returns the exit code."""
        with self.start(output) as child:
            assert child.stderr
            said = ""
            for line in child.stderr:
                said += line
                if moment in line:
                    os.killpg(child.pid, sent)
                    break
            rest = child.stderr.read()
        assert moment in said, said + rest
        until(lambda: not group_of(child.pid))
        return child.returncode

    def finish(self, output: Path) -> str:
        """Run to the end. Returns what it logged."""
        with self.start(output) as child:
            assert child.stderr
            said = child.stderr.read()
        assert child.returncode == 0, said
        assert {path.name for path in output.iterdir()} == {"extracted", "colmap"}
        assert not (output / "colmap/checkpoint").exists()
        assert not list(output.parent.glob(".*")), "what the killed try left must be gone"
        return said


def place(folder: Path, options: dict[str, Any], width: int) -> Place:
    survey = shared_survey(PHOTOS, width, width * 3 // 4)
    (folder / "source").mkdir()
    shutil.copyfile(survey.zip_path, folder / "source/upload.zip")
    (folder / "options.json").write_text(json.dumps(options))
    return Place(folder / "source", folder / "options.json")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return place(tmp_path_factory.mktemp("quick"), QUICK, 512)


@pytest.fixture(scope="module")
def undisturbed(quick: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    assert "going on" not in quick.finish(output)
    return read_model(output / "colmap/sparse")


def group_of(leader: int) -> list[int]:
    """Processes of the group that still run, from /proc."""
    pids = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(group) == leader and state != "Z":
            pids.append(int(stat.parent.name))
    return pids


def assert_alike(made: Path, expected: dict[str, Any]) -> None:
    """The same model as far as COLMAP's threads, which add up in any order, let two runs agree."""
    model = read_model(made / "colmap/sparse")
    assert model["centres"].keys() == expected["centres"].keys()
    centres = np.array([[each["centres"][name] for name in sorted(each["centres"])] for each in (model, expected)])
    assert np.abs(centres[0] - centres[1]).max() < 0.001 * np.ptp(centres[1], axis=0).max()
    assert len(model["heights"]) == pytest.approx(len(expected["heights"]), rel=0.02)
    assert model["error"] == pytest.approx(expected["error"], rel=0.01)
    dense = made / "colmap/dense/images"
    assert {str(path.relative_to(dense)) for path in dense.rglob("*.JPG")} == model["centres"].keys()


def moments() -> Iterator[Any]:
    """What a line tells when the stage is ended, whether its features are finished then, and how it is ended."""
    early = ("Unpacking your photos: 3 of", "Checking your photos: 2 of", "Judging the capture: 2 of")
    late = ("Matching photos with each other", f"in space: {PHOTOS} of", "Straightening photos for training")
    found, placing = f"uploaded images: {PHOTOS} of", "Placing photos in space: 6 of"
    quick = {(found, signal.SIGKILL), (placing, signal.SIGTERM)}
    for moment in (*early, "Extracting features from uploaded images: ", found, placing, *late):
        for sent in (signal.SIGKILL, signal.SIGTERM):
            marks = () if (moment, sent) in quick else (pytest.mark.slow,)
            yield pytest.param(
                moment, moment in (found, placing, *late), sent, marks=marks, id=f"{sent.name}, {moment}"
            )


@pytest.mark.parametrize(("moment", "finished", "sent"), list(moments()))
def test_the_next_try_ends_with_the_same_model(
    quick: Place, undisturbed: dict[str, Any], tmp_path: Path, moment: str, finished: bool, sent: signal.Signals
) -> None:
    output = tmp_path / "jobs/out"
    assert quick.cut_off(output, moment, sent) == (75 if sent is signal.SIGTERM else -sent)
    said = quick.finish(output)
    assert_alike(output, undisturbed)
    if finished:
        reused = GOING_ON.search(said)
        assert reused
        assert int(reused[1]) == PHOTOS
        assert "Extracting" not in said
        assert "images" in moment or int(reused[2]) > 0  # and the pairs that were compared


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "words"), [(True, "is damaged"), (False, "is of other photos or options")])
def test_a_checkpoint_of_no_use_costs_only_time(quick: Place, tmp_path: Path, spoil: bool, words: str) -> None:
    output = tmp_path / "jobs/out"
    quick.cut_off(output, f"uploaded images: {PHOTOS} of")
    kept = bytearray((output / "colmap/checkpoint").read_bytes())
    if spoil:
        kept[len(kept) // 2] ^= 0xFF
        (output / "colmap/checkpoint").write_bytes(kept)
    other = tmp_path / "options.json"
    other.write_text(json.dumps({"sfm": {"max_image_size": 512, "max_features": 2000}}))
    said = replace(quick, options=quick.options if spoil else other).finish(output)
    assert words in said
    assert f"uploaded images: {PHOTOS} of" in said


@pytest.mark.slow
def test_features_that_were_found_in_time_are_kept(tmp_path: Path) -> None:
    thorough, output = place(tmp_path, THOROUGH, 1024), tmp_path / "jobs/out"
    with thorough.start(output) as child:
        assert child.stderr
        for _ in child.stderr:
            if (output / "colmap/checkpoint").exists():
                break
        os.killpg(child.pid, signal.SIGKILL)
    said = thorough.finish(output)
    reused = GOING_ON.search(said)
    assert reused
    assert int(reused[1]) > 0
    sought = [int(done) for done in re.findall(r"uploaded images: (\d+) of", said)]
    assert all(done > int(reused[1]) for done in sought)


@pytest.mark.slow
def test_batch_tries_again_and_goes_on(cloud: Cloud, survey: Survey) -> None:
    options = TINY | {"sfm": {"max_image_size": 512, "first_octave": -1}, "compress_enabled": False}
    job = cloud.upload(survey.zip_path, "to-resume", options)
    until(lambda: list((cloud.embedded.state / "work").glob("**/colmap/checkpoint")), cloud.logs)
    os.kill(stage_process(cloud.embedded.state, StageName.SFM), signal.SIGTERM)
    assert cloud.ended(job).state is JobState.COMPLETED, cloud.logs()
    (log,) = (cloud.embedded.state / "logs").glob("sfm-*.log")
    said = log.read_text()
    assert said.index("uploaded a checkpoint") < said.index("fetched a checkpoint")
    reused = GOING_ON.search(said)
    assert reused
    assert int(reused[1]) > 0
    bucket = cloud.deployment.bucket
    assert bucket.head(layout.checkpoint_key(job, StageName.SFM)) is None
