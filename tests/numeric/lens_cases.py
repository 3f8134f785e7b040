"""Synthetic reconstructions through a lens like that of a drone, adjusted as the stage does: prints a line of JSON.

`python lens_cases.py CASE…`, since COLMAP shares no process with Pillow.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray

from services.sfm.colmap.bundle_adjustment import robust_bundle_adjustment
from services.sfm.colmap.lens_models import has_parallel_views, set_model
from services.sfm.colmap.lens_report import camera_reports, focal_witnesses, lens_findings
from services.sfm.colmap.lenses import adjust_lenses, focal_priors, with_positions
from services.sfm.colmap.priors import PositionPrior, Priors
from services.sfm.messages import ColmapTask, TaskCamera, TaskPhoto
from spaceport.pipeline.options import SfmOptions

Array = NDArray[np.float64]
WIDTH, HEIGHT, ALTITUDE, NOISE_PX = 1094, 730, 40.0, 0.3
FOCAL = 733.0  # 3666 at the full width
LENS = [FOCAL, FOCAL, WIDTH / 2 - 3, HEIGHT / 2 + 4, -0.27, 0.11, 1e-3, -6e-4]
PINHOLE = [FOCAL, WIDTH / 2, HEIGHT / 2]


def grid(photos: int, random: np.random.Generator, tilt_deg: float) -> list[tuple[Array, Array]]:
    """Centres [3] and rotations [3,3] of four lines to and fro, straight down but for the gimbal's tilt."""
    views = []
    across, along = 0.35 * ALTITUDE * WIDTH / FOCAL, 0.25 * ALTITUDE * HEIGHT / FOCAL
    rows = max(1, photos // 4)
    for number in range(photos):
        line, row = divmod(number, rows)
        sign = 1.0 if line % 2 == 0 else -1.0
        centre = np.array([(line - 1.5) * across, (row - (rows - 1) / 2) * along, ALTITUDE]) + random.normal(0, 0.3, 3)
        tilt = pycolmap.Rotation3d(np.radians(random.normal(0, tilt_deg, 3))).matrix()
        views.append((centre, tilt @ np.diag([sign, -sign, -1.0])))
    return views


def orbit(photos: int, random: np.random.Generator) -> list[tuple[Array, Array]]:
    views = []
    for angle in np.linspace(0, 2 * np.pi, photos, endpoint=False):
        centre = ALTITUDE * np.array([1.2 * np.cos(angle), 1.2 * np.sin(angle), 1.0]) + random.normal(0, 0.3, 3)
        forward = -centre / np.linalg.norm(centre)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        views.append((centre, np.array([right, np.cross(forward, right), forward])))
    return views


def reconstruct(views: list[tuple[Array, Array]], lens: list[float], model: str, relief: float) -> Any:
    """The true `pycolmap.Reconstruction`, but for the noise of its observations."""
    random = np.random.default_rng(1)
    reconstruction = pycolmap.Reconstruction()
    camera = pycolmap.Camera(model=model, width=WIDTH, height=HEIGHT, params=lens, camera_id=1)
    reconstruction.add_camera_with_trivial_rig(camera)
    reach = np.abs(np.array([centre for centre, _ in views])[:, :2]).max(axis=0) + 0.4 * ALTITUDE
    places = random.uniform(-1, 1, (1000, 3)) * (*reach, 0.0) + random.uniform(0, 1, (1000, 3)) * (0, 0, relief)
    tracks: list[list[tuple[int, int]]] = [[] for _ in places]
    for number, (centre, rotation) in enumerate(views, 1):
        pixels: list[Array] = []
        for index, seen in enumerate((places - centre) @ rotation.T):
            if seen[2] < 1 or np.hypot(*seen[:2]) > 0.95 * seen[2]:
                continue
            pixel = camera.img_from_cam(seen)
            if 0 < pixel[0] < WIDTH and 0 < pixel[1] < HEIGHT and random.random() < 0.7:
                tracks[index].append((number, len(pixels)))
                pixels.append(pixel + random.normal(0, NOISE_PX, 2))
        image = pycolmap.Image(name=f"{number}.jpg", keypoints=np.array(pixels), camera_id=1, image_id=number)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(rotation), -rotation @ centre)
        reconstruction.add_image_with_trivial_frame(image, pose)
    for place, members in zip(places, tracks, strict=True):
        if len(members) >= 2:
            track = pycolmap.Track()
            for number, index in members:
                track.add_element(number, index)
            reconstruction.add_point3D(place, track)
    return reconstruction


def known_lens(**known: Any) -> TaskCamera:
    focal = known.pop("focal", None)
    params = known.pop("params", [focal, WIDTH / 2, HEIGHT / 2, 0.0] if focal else [])
    fields: dict[str, Any] = {"model": "SIMPLE_RADIAL", "source": "exif", "focal_std": 0.025, "final_model": "OPENCV"}
    return TaskCamera(name="FC6310", width=WIDTH, height=HEIGHT, params=params, **fields | known)


def adjust(views: list[tuple[Array, Array]], known: TaskCamera, **scene: Any) -> dict[str, Any]:
    """What the stage makes of a mapper's model of these views, which has the one coefficient that it began with."""
    model = reconstruct(views, scene.get("lens", LENS), scene.get("model", "OPENCV"), scene.get("relief", 3.0))
    if known.model == "SIMPLE_RADIAL":
        set_model(model.cameras[1], "SIMPLE_RADIAL") if scene.get("model", "OPENCV") == "OPENCV" else None
        options = pycolmap.BundleAdjustmentOptions()
        options.print_summary = False
        pycolmap.bundle_adjustment(model, options)
    else:
        model.cameras[1].params = known.params
    photos = [TaskPhoto(image.name, image.name, "", 0, WIDTH, HEIGHT, None) for image in model.images.values()]
    task = ColmapTask(photos, [known], Path(), Path(), Path(), SfmOptions())
    lenses = adjust_lenses(task, model)
    if scene.get("rtk"):
        lenses = _with_rtk(model, lenses, views)
    (report,) = camera_reports(model, lenses)
    return report.model_dump() | {
        "findings": [finding.sentence for finding in lens_findings(model, lenses)],
        "witnesses": [witness.contradicts for witness in focal_witnesses(model, lenses)],
        "parallel": has_parallel_views(model),
    }


def _with_rtk(model: Any, lenses: Any, views: list[tuple[Array, Array]]) -> Any:
    random, std = np.random.default_rng(2), np.full(3, 0.015)
    names = [f"{number}.jpg" for number in range(1, len(views) + 1)]
    places = np.array([centre for centre, _ in views]) + random.normal(0, std, (len(views), 3))
    options = pycolmap.RANSACOptions()
    options.max_error = 5.0
    model.transform(pycolmap.align_reconstruction_to_locations(model, names, places, 3, options))
    priors = Priors(
        positions={name: PositionPrior(place, std) for name, place in zip(names, places, strict=True)},
        focal=focal_priors(model, lenses, has_positions=True),
    )
    robust_bundle_adjustment(model, priors)
    return with_positions(model, lenses, priors)


def compare_signs() -> dict[str, Any]:
    """How far COLMAP's OPENCV model shows points from where DJI's formula does, in pixels."""
    camera = pycolmap.Camera(model="OPENCV", width=WIDTH, height=HEIGHT, params=LENS, camera_id=1)
    x, y = np.meshgrid(np.linspace(-0.7, 0.7, 7), np.linspace(-0.5, 0.5, 7))
    fx, fy, cx, cy, k1, k2, p1, p2 = LENS
    square = x * x + y * y
    radial = 1 + k1 * square + k2 * square**2
    across = fx * (x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)) + cx
    down = fy * (y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y) + cy
    seen = np.array([camera.img_from_cam(np.array([a, b, 1.0])) for a, b in zip(x.ravel(), y.ravel(), strict=True)])
    return {"apart_px": float(np.abs(seen - np.column_stack([across.ravel(), down.ravel()])).max())}


def run(case: str) -> dict[str, Any]:
    random = np.random.default_rng(0)
    unknown = known_lens(source="unknown", focal_std=None)
    calibrated = known_lens(
        source="calibration", model="OPENCV", params=[736.0, 736.0, *LENS[2:4], -0.265, 0.1, 1e-3, -6e-4],
        focal_std=0.005, exif_focal=950.0, exif_focal_std=0.025,
    )  # fmt: skip
    dewarped = known_lens(
        source="calibration", model="SIMPLE_PINHOLE", params=[736.0, *PINHOLE[1:]], focal_std=0.005, dewarped=True
    )
    flat = {"lens": PINHOLE, "model": "SIMPLE_PINHOLE"}
    cases: dict[str, Any] = {
        "nadir, exif": lambda: adjust(grid(24, random, 1.0), known_lens(focal=745.0)),
        "nadir, unknown": lambda: adjust(grid(24, random, 1.0), unknown),
        "nadir, calibrated": lambda: adjust(grid(24, random, 1.0), calibrated),
        "nadir, dewarped": lambda: adjust(grid(24, random, 1.0), dewarped, **flat),
        "nadir, rtk, exif": lambda: adjust(grid(24, random, 1.0), known_lens(focal=745.0), rtk=True),
        "nadir, rtk, unknown": lambda: adjust(grid(24, random, 1.0), unknown, rtk=True),
        "plane, exif": lambda: adjust(grid(24, random, 0.05), known_lens(focal=745.0), relief=0.0),
        "orbit, unknown": lambda: adjust(orbit(12, random), unknown),
        "orbit, exif wrong": lambda: adjust(orbit(12, random), known_lens(focal=950.0)),
        "signs": compare_signs,
        "3 photos, calibrated": lambda: adjust(grid(12, random, 1.0)[:3], calibrated),
        "3 photos": lambda: adjust(grid(12, random, 1.0)[:3], known_lens(focal=745.0)),
    }
    return cases[case]()  # type: ignore[no-any-return]


if __name__ == "__main__":
    pycolmap.logging.minloglevel = 2
    print(json.dumps({case: run(case) for case in sys.argv[1:]}))
