"""kill -9 at any moment of a compression leaves the old output or the new one, whole, and never a mixture."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from random_models import gaussians

from spaceport.splats.cameras import Camera, write_cameras
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.sog.codec.reader import read_sog
from spaceport.splats.sog.lod.reader import read_level

SCRIPT = Path(__file__).with_name("killed_compress.py")
ROOT = Path(__file__).parents[2]
SIZES = {"one": 400, "other": 250}
KILLS = 4


def job(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(count)
    model = gaussians(
        means=rng.uniform((-3, -3, 4), (3, 3, 6), (count, 3)),
        quats=rng.normal(size=(count, 4)),
        scales=rng.normal(-2, 0.5, (count, 3)),
        opacities=rng.normal(1, 1, count),
        sh0=rng.normal(size=(count, 1, 3)),
        shN=rng.normal(0, 0.05, (count, 3, 3)),
    )
    (folder / "gaussian").mkdir(parents=True)
    write_ply(folder / "gaussian/model.ply", model)
    write_cameras(folder / "gaussian/cameras.json", [Camera("a", 48, 36, 40, 40, 24, 18, np.eye(4))])
    return folder


def whole(folder: Path) -> int:
    """How many Gaussians the output of one run holds; fails when its files are not all of that run."""
    report = json.loads((folder / "report.json").read_text())
    for name, size in report["file_bytes"].items():
        assert (folder / name).stat().st_size == size, name
    counts = {len(read_sog(folder)), len(read_sog(folder / "model.sog")), len(read_level(folder / "lod", 0))}
    assert counts == {report["gaussians"]}
    return int(report["gaussians"])


@pytest.mark.timeout(300)
def test_killed_at_any_moment_the_output_is_of_one_run(tmp_path: Path) -> None:
    sources = [job(tmp_path / name, count) for name, count in SIZES.items()]
    output = tmp_path / "out"
    delays = random.Random(0)
    for kill in range(KILLS):
        command = [sys.executable, str(SCRIPT), *map(str, sources), str(output)]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "one\n"  # by now everything is compiled, and there is an old output
        if kill % 2:  # anywhere
            time.sleep(delays.uniform(0, 1.5))
        else:  # while it writes
            while not list(output.glob(".*.part")):
                time.sleep(0.001)
            time.sleep(delays.uniform(0, 0.2))
        child.kill()
        child.communicate()
        assert whole(output / "compressed") in SIZES.values()
        assert {path.name for path in (output / "compressed").iterdir()} >= {"lod", "model.sog", "preview.jpg"}
    leavings = [path.name for path in output.iterdir() if path.name != "compressed"]
    assert all(name.endswith(".part") for name in leavings)
