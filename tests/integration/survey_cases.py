"""One run of the sfm stage on a flight with truth, and how far it came out from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from flights import Array, Flight, FlightTruth, fly
from ground_points import GroundPoint
from sfm_cases import read_report

from services.sfm.georeference.wgs84 import enu_to_ecef
from services.sfm.stage import run
from spaceport.demo.survey import ORIGIN
from spaceport.pipeline.options import SfmOptions
from spaceport.progress import Silent

# pycolmap reads the result in a process of its own: it and Pillow cannot share one.
MEASURE = """
import json, sys, numpy as np, pycolmap
model = pycolmap.Reconstruction(sys.argv[1])
images = {image.name: image for image in model.images.values() if image.has_pose}
def triangulate(marks):
    left, right, seen = np.zeros((3, 3)), np.zeros(3), 0
    for name, mark in marks.items():
        if name not in images:
            continue
        image = images[name]
        ray = model.cameras[image.camera_id].cam_from_img(np.array(mark))
        if ray is None:
            continue
        ray = image.cam_from_world().rotation.matrix().T @ np.array([*ray, 1.0])
        off = np.eye(3) - np.outer(ray, ray) / (ray @ ray)
        left, right, seen = left + off, right + off @ image.projection_center(), seen + 1
    return np.linalg.solve(left, right).tolist() if seen >= 3 else None
print(json.dumps({
    "rotations": {name: image.cam_from_world().rotation.matrix().tolist() for name, image in images.items()},
    "centres": {name: image.projection_center().tolist() for name, image in images.items()},
    "cameras": {name: image.camera_id for name, image in images.items()},
    "models": {c.camera_id: c.model.name for c in model.cameras.values()},
    "focals": {c.camera_id: c.mean_focal_length() for c in model.cameras.values()},
    "params": {c.camera_id: c.params.tolist() for c in model.cameras.values()},
    "points": [triangulate(marks) for marks in json.load(sys.stdin)],
}))
"""


@dataclass(frozen=True)
class SurveyRun:
    """A run on the photos of a flight."""

    truth: FlightTruth
    message: str
    report: dict[str, Any]
    model: dict[str, Any]

    @property
    def georeference(self) -> dict[str, Any]:
        tree: dict[str, Any] = self.report["georeference"]
        return tree

    @property
    def metric(self) -> bool:
        return bool(self.georeference["metric"])

    @property
    def warnings(self) -> str:
        """All findings of the report that warn, as one text."""
        findings = self.report["findings"] + self.report["capture"]["findings"]
        return " ".join(finding["sentence"] for finding in findings if finding["level"] == "warn")

    @property
    def registered(self) -> int:
        return len(self.model["centres"])

    def focal_error(self, focal: float | None = None, photo: str | None = None) -> float:
        """Relative error of the focal length of a photo's camera, the first one's by default."""
        camera = self.model["cameras"][photo or min(self.model["cameras"])]
        return float(self.model["focals"][str(camera)] / (focal or self.truth.lens.focal) - 1)

    @cached_property
    def tilt(self) -> float:
        """Degrees between the model's z and the true up, by the mean rotation of all photos."""
        turns = [self.truth.poses[name][:3, :3].T @ np.array(turn) for name, turn in self.model["rotations"].items()]
        left, _, right = np.linalg.svd(np.sum(turns, axis=0))
        turn = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
        return float(np.degrees(np.arccos(np.clip(turn[2, 2], -1.0, 1.0))))

    @cached_property
    def scale_error(self) -> float:
        """Relative error of lengths, by how far the camera positions spread."""
        names = list(self.model["centres"])
        found, true = np.array(list(self.model["centres"].values())), self.truth.centres(names)
        return float(np.linalg.norm(found - found.mean(axis=0)) / np.linalg.norm(true - true.mean(axis=0)) - 1)

    def says_what_its_metres_are_worth(self) -> bool:
        """Not metric, or a scale that is within half as much again as the uncertainty (2 sigma) which it states."""
        stated = self.georeference.get("scale_uncertainty")
        return not self.metric or (stated is not None and abs(self.scale_error) <= 1.5 * stated)

    @cached_property
    def ground_errors(self) -> Array:
        """[n, 3] metres east, north and up by which the model misses ground points, as it lies; nothing is fitted."""
        pairs = [
            (point.place, place)
            for point, place in zip(self.truth.points, self.model["points"], strict=True)
            if place is not None
        ]
        to_truth = np.linalg.inv(_enu_to_ecef()) @ np.array(self.georeference["to_ecef"])
        found = np.array([place for _, place in pairs]) @ to_truth[:3, :3].T + to_truth[:3, 3]
        return np.asarray(found - np.array([true for true, _ in pairs]))

    @property
    def height_error(self) -> float:
        """Root mean square of the ground points' errors in height, metres."""
        return float(np.sqrt(np.square(self.ground_errors[:, 2]).mean()))

    @property
    def unevenness(self) -> float:
        """Standard deviation of those errors: what is left of a dome, a bowl or a tilt. Metres."""
        return float(self.ground_errors[:, 2].std())

    def __str__(self) -> str:
        """The figures, for the message of a failed assertion and for tables."""
        about = self.georeference
        figures = {
            "placed": f"{self.registered}/{len(self.truth.poses)}",
            "tilt": f"{self.tilt:.2f}",
            "focal": ", ".join(
                f"{100 * self.focal_error(photo=name):+.2f}%" for name in _firsts(self.model["cameras"])
            ),
            "models": "+".join(self.model["models"].values()),
            "metric": self.metric,
            "residual": about.get("median_residual_m"),
            "reason": about.get("reason"),
        }
        if about["aligned"] and about.get("to_ecef"):
            stated = about.get("scale_uncertainty") or 0.0
            figures |= {
                "scale": f"{100 * self.scale_error:+.2f}% (± {100 * stated:.2f}%)",
                "height rms": f"{self.height_error:.3f}, about its mean {self.unevenness:.3f}",
                "extent": f"{self.truth.extent:.0f}",
                "plan rms": f"{np.sqrt(np.square(self.ground_errors[:, :2]).sum(axis=1).mean()):.3f}",
            }
        return "; ".join(f"{name} {value}" for name, value in figures.items()) + f"; message {self.message!r}"


def survey_run(flight: Flight, folder: Path, size: int = 640, points: list[GroundPoint] | None = None) -> SurveyRun:
    """Run the stage on a flight's zip, below `folder`."""
    truth = fly(flight)
    source, output = folder / "source", folder / "jobs/out"
    source.mkdir(parents=True)
    shutil.copyfile(truth.zip_path, source / "upload.zip")
    outcome = run(source, output, SfmOptions(max_image_size=size), Silent())
    marks = [point.marks for point in points or truth.points]
    return SurveyRun(truth, outcome.message, read_report(output), measure(output / "colmap/sparse", marks))


def measure(model: Path, marks: list[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    """Poses, cameras and triangulated points of a COLMAP model."""
    command = [sys.executable, "-c", MEASURE, str(model)]
    done = subprocess.run(command, input=json.dumps(marks).encode(), capture_output=True, check=True)
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree


def _firsts(cameras: dict[str, int]) -> list[str]:
    """A photo of each camera."""
    return [min(name for name in cameras if cameras[name] == number) for number in sorted(set(cameras.values()))]


def _enu_to_ecef() -> Array:
    return enu_to_ecef(np.array([ORIGIN.latitude, ORIGIN.longitude, ORIGIN.altitude]))
