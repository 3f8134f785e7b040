"""What the tests of structure from motion share: a survey's photos on disk, one run of the stage, and its report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from services.sfm.stage import run
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.options import SfmOptions
from spaceport.pipeline.reports.sfm import SfmReport
from spaceport.progress import Progress, Silent

# pycolmap reads the result in a process of its own: it and Pillow cannot share one.
READ_MODEL = """
import json, sys, pycolmap
model = pycolmap.Reconstruction(sys.argv[1])
images = [i for i in model.images.values() if i.has_pose]
print(json.dumps({
    "centres": {i.name: i.projection_center().tolist() for i in images},
    "views": {i.name: i.viewing_direction().tolist() for i in images},
    "cameras": [[c.model.name, c.width, c.height] for c in model.cameras.values()],
    "heights": [p.xyz[2] for p in model.points3D.values()],
    "points": [p.xyz.tolist() for p in model.points3D.values()],
    "colours": [p.color.tolist() for p in model.points3D.values()],
    "error": model.compute_mean_reprojection_error(),
}))
"""
SMALL = SfmOptions(max_image_size=640)


@dataclass(frozen=True)
class Run:
    """How one run of the stage ended."""

    outcome: Outcome
    report: dict[str, Any]

    @property
    def registered(self) -> int:
        return int(self.outcome.counts["registered"])

    @property
    def reasons(self) -> dict[str, str]:
        """Why photos are not registered, by name."""
        return {photo["name"]: photo["reason"] for photo in self.report["photos"] if not photo["registered"]}


def photos_of(zipped: Path, folder: Path) -> list[Path]:
    """The survey's photos, unzipped flat, in the order of the flight."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(zipped) as archive:
        for name in archive.namelist():
            (folder / Path(name).name).write_bytes(archive.read(name))
    return sorted(folder.iterdir())


def reconstruct(folder: Path, output: Path, options: SfmOptions = SMALL, progress: Progress | None = None) -> Run:
    """Run the stage on the photos of `folder`, into an `output` that is emptied but for its checkpoint."""
    shutil.rmtree(output / "extracted", ignore_errors=True)
    outcome = run(folder, output, options, progress or Silent())
    return Run(outcome, read_report(output))


def read_report(output: Path) -> dict[str, Any]:
    """`report.json` of a run, which its model describes completely."""
    text = (output / "colmap/report.json").read_text()
    tree: dict[str, Any] = json.loads(text)
    assert SfmReport.model_validate_json(text).model_dump(mode="json") == tree
    return tree


def read_model(folder: Path) -> dict[str, Any]:
    """Cameras and points of a COLMAP model."""
    done = subprocess.run([sys.executable, "-c", READ_MODEL, str(folder)], check=True, capture_output=True)
    model: dict[str, Any] = json.loads(done.stdout)
    return model


def plane_tilt(points: list[list[float]]) -> float:
    """Degrees between z and the normal of the plane of `points`, without the farthest."""
    centred = np.array(points) - np.median(points, axis=0)
    reach = np.linalg.norm(centred, axis=1)
    normal = np.linalg.svd(centred[reach < np.percentile(reach, 70)], full_matrices=False)[2][2]
    return float(np.degrees(np.arccos(min(1.0, abs(normal[2])))))
