"""Positions onto models: in a process of pycolmap's own, on a synthetic model with known poses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

SCRIPT = """
import json, sys
import numpy as np, pycolmap
from services.sfm.georeference.gps_alignment import estimate_gps_alignment
from services.sfm.georeference.wgs84 import to_enu
from services.sfm.messages import TaskPhoto

case = json.loads(sys.argv[1])
pycolmap.set_random_seed(0)
options = pycolmap.SyntheticDatasetOptions()
options.num_rigs, options.num_frames_per_rig, options.num_points3D = 1, 20, 50
model = pycolmap.synthesize_dataset(options)
names = {image.name: image.projection_center() for image in model.images.values()}
rng, origin = np.random.default_rng(0), np.array([46.84, -91.99, 198.0])
places = {}
for number, (name, centre) in enumerate(sorted(names.items())):
    metres = 10.0 * centre if not case.get("line") else np.array([10.0 * number, 0.0, 0.0])
    if case.get("same"):
        metres = np.zeros(3)
    metres = metres + case.get("noise", 0.0) * rng.standard_normal(3)
    if number < case.get("wild", 0):
        metres = metres + 500.0
    places[name] = metres
def to_degrees(metres):
    degrees = origin.copy()
    for _ in range(20):  # Newton with a fixed slope: metres per degree
        miss = metres - to_enu(degrees[None], origin)[0]
        degrees = degrees + miss[[1, 0, 2]] / np.array([111_000.0, 76_000.0, 1.0])
    return degrees
degrees = {name: to_degrees(metres) for name, metres in places.items()}
for name in list(degrees)[: case.get("unknown", 0)]:
    degrees[name] = np.full(3, np.nan)
before = {image.name: image.projection_center() for image in model.images.values()}
photos = [
    TaskPhoto(name, f"survey/{name}", name, 0, 640, 480, None if np.isnan(row[0]) else tuple(map(float, row)))
    for name, row in degrees.items()
]
alignment = estimate_gps_alignment(model, photos, 0)
model.transform(alignment.similarity)
report = alignment.georeference.model_dump()
after = {image.name: image.projection_center() for image in model.images.values()}
distance = lambda a: np.linalg.norm(a[sorted(names)[5]] - a[sorted(names)[12]])
report["findings"] = [finding.sentence for finding in alignment.findings]
report["scale"] = distance(after) / distance(before)
print(json.dumps(report))
"""


def georeference(**case: Any) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(case)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def test_good_positions_give_metres() -> None:
    report = georeference(noise=0.1)
    assert report["aligned"]
    assert report["metric"]
    assert report["scale"] == pytest.approx(10, rel=0.01)
    assert report["median_residual_m"] < 0.3
    assert report["scale_error"] < 0.01


def test_wild_and_missing_positions_do_not_matter() -> None:
    report = georeference(noise=0.1, wild=2, unknown=1)
    assert report["aligned"]
    assert report["photos"] == 18
    assert len(report["outliers"]) == 1
    assert "misses the model by" in next(iter(report["outliers"].values()))
    assert "The position of 1 photo is wrong, of 19" in report["findings"][0]
    assert report["scale"] == pytest.approx(10, rel=0.02)
    assert report["median_residual_m"] < 0.3
    assert report["max_residual_m"] < 1
    assert max(report["residuals_m"].values()) > 300


def test_positions_that_leave_the_scale_open_make_no_metres() -> None:
    report = georeference(noise=7.0)
    assert report["aligned"]
    assert 0.02 < report["scale_error"] < 0.2
    assert abs(report["scale"] / 10 - 1) < 3 * report["scale_error"]
    assert not report["metric"]


@pytest.mark.parametrize("case", [{"line": True}, {"same": True}, {"unknown": 18}, {"noise": 200.0}])
def test_useless_positions_leave_the_size_alone_and_turn_the_model_upright(case: dict[str, Any]) -> None:
    report = georeference(**case)
    assert not report["aligned"]
    assert not report["metric"]
    assert report["reason"]
    assert report["scale"] == pytest.approx(1)
    assert report["axes"].startswith("z up")
