"""Positions onto models: in a process of pycolmap's own, on a synthetic model with known poses."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
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


FLIGHT = """
import json, sys
import numpy as np, pycolmap
sys.path.append(sys.argv[2])
from nadir_model import fly
from services.sfm.georeference.gps_alignment import estimate_gps_alignment
from services.sfm.messages import TaskPhoto

case = json.loads(sys.argv[1])
random = np.random.default_rng(1)
flight = fly(rows=4, columns=7, points=700)
names = sorted(flight.centres)
centres = np.array([flight.centres[name] for name in names])
times = 2.0 * np.arange(len(names))
late = np.column_stack([np.interp(times - case.get("lag", 0.0), times, axis) for axis in centres.T])
places = late + np.array([0.5, 0.5, 1.0]) * random.normal(size=centres.shape)
places[:, 2] += case.get("drift", 0.0) * times / times[-1]
places[: case.get("stale", 0)] = [21000.0, -9000.0, 60.0]
degrees = np.array([46.84, -91.99, 198.0]) + places[:, [1, 0, 2]] / [111170.0, 76250.0, 1.0]
heights = [row[2] if case.get("heights", True) else None for row in degrees]
photos = [
    TaskPhoto(name, f"survey/{name}", name, 0, 1600, 1300, (row[0], row[1], height), taken_at=float(time),
              gimbal=(-90.0, 0.0, None))
    for name, row, height, time in zip(names, degrees, heights, times)
]
quaternion = random.normal(size=4)
own = pycolmap.Sim3d(0.07, pycolmap.Rotation3d(quaternion / np.linalg.norm(quaternion)), np.array([1.0, 2.0, 3.0]))
flight.model.transform(own)
alignment = estimate_gps_alignment(flight.model, photos, 0)
both = alignment.similarity.matrix()[:, :3] @ own.matrix()[:, :3]
scale = np.cbrt(np.linalg.det(both))
report = alignment.georeference.model_dump()
report["scale"], report["tilt"] = scale, np.degrees(np.arccos(min(1.0, both[2, 2] / scale)))
report["findings"] = " ".join(finding.sentence for finding in alignment.findings)
flight.model.transform(alignment.similarity)
moved = {image.name: image.projection_center() for image in flight.model.images.values()}
report["off"] = {name: (target.place - moved[name]).tolist() for name, target in alignment.positions.items()}
print(json.dumps(report))
"""


def flown(**case: Any) -> dict[str, Any]:
    """A survey of 28 photos, straight down, noise of 0.5 m on the ground and 1 m in height."""
    numeric = Path(__file__).resolve().parents[1] / "numeric"
    command = [sys.executable, "-c", FLIGHT, json.dumps(case), str(numeric)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def test_a_survey_with_plain_gps_is_metric_with_its_uncertainty() -> None:
    report = flown()
    assert report["aligned"]
    assert report["metric"]
    assert report["tilt"] < 1.5
    assert abs(report["scale"] - 1) < report["scale_uncertainty"] < 0.03
    assert report["uncertainty_m"] == pytest.approx(report["scale_uncertainty"] * report["extent_m"], rel=0.02)
    assert report["outliers"] == {}
    assert report["findings"] == ""


def test_positions_two_seconds_late_give_up_scale_and_their_lag() -> None:
    report = flown(lag=2.0)
    assert report["clock_shift_s"] == pytest.approx(2, abs=0.2)
    assert report["tilt"] < 2
    assert report["scale"] == pytest.approx(1, abs=0.02)
    assert report["median_residual_m"] < 2
    assert "lag 2.0 s behind the photos" in report["findings"]
    assert max(abs(east) for east, _, _ in report["off"].values()) < 3, "priors are where photos were taken"


def test_heights_that_drift_are_not_believed_about_up() -> None:
    report = flown(drift=110.0)
    assert report["tilt"] < 2
    assert report["heights"] == "none"
    assert report["scale"] == pytest.approx(1, abs=0.02)
    assert not report["metric"]
    assert "heights of the positions" in report["metric_reason"]
    assert "contradict the photos" in report["findings"]
    assert all(math.isnan(up) for _, _, up in report["off"].values()), "no height is a prior"


def test_positions_without_heights_leave_up_to_the_photos() -> None:
    report = flown(heights=False)
    assert report["tilt"] < 2
    assert report["scale"] == pytest.approx(1, abs=0.02)
    assert "no height" in report["findings"]


def test_a_last_fix_is_named_by_photo() -> None:
    report = flown(stale=9)
    assert sorted(report["outliers"]) == [f"{number:06d}.jpg" for number in range(9)]
    assert report["photos"] == 19
    assert report["tilt"] < 2
    assert "9 photos are wrong, of 28, and not used: survey/000000.jpg" in report["findings"]
