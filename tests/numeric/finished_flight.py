"""`finish_model` on a bent flight with what a pilot may add to it: `finished_flight.py CASE…` prints what came out.

Run by test_sfm_finish.py in a process of its own, since COLMAP shares none with Pillow.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from nadir_model import Array, bend, fly, ground, marks, with_lens

from services.sfm.colmap.bundle_adjustment import robust_bundle_adjustment
from services.sfm.colmap.finish import finish_model
from services.sfm.georeference.wgs84 import to_enu
from services.sfm.messages import ColmapTask, TaskCamera, TaskControlPoint, TaskPhoto
from spaceport.pipeline.options import SfmOptions

ORIGIN = np.array([46.84, -91.99, 198.0])
RTK = (0.01, 0.01, 0.02)
GRID = np.array(
    [(2.0, 3.0), (60.0, 2.0), (4.0, 25.0), (62.0, 27.0), (30.0, 12.0), (20.0, 20.0), (45.0, 8.0), (15.0, 6.0)]
)
LINE = np.column_stack([np.linspace(0, 60, 5), np.linspace(0, 20, 5)])

flight = fly()
names = sorted(flight.centres)
truth = np.array([flight.centres[name] for name in names])
original = pycolmap.Reconstruction(flight.model)
bend(flight)
with_lens(flight.model, "OPENCV")
robust_bundle_adjustment(flight.model)  # once: each case begins near to where its own first adjustment ends


def degrees(metres: Array) -> tuple[float, float, float]:
    place = ORIGIN.copy()
    for _ in range(10):  # Newton with a fixed slope: metres per degree
        miss = metres - to_enu(place[None], ORIGIN)[0]
        place = place + miss[[1, 0, 2]] / np.array([111_000.0, 76_000.0, 1.0])
    latitude, longitude, height = map(float, place)
    return latitude, longitude, height


def photos(random: np.random.Generator, noise: Any, **tags: Any) -> list[TaskPhoto]:
    measured = truth + random.normal(0, 1, truth.shape) * noise
    return [
        TaskPhoto(name, f"DJI_{name}", name, 0, 1600, 1300, degrees(place), **tags)
        for name, place in zip(names, measured, strict=True)
    ]


def control(random: np.random.Generator, spots: Array, checks: int = 0) -> list[TaskControlPoint]:
    """Points measured to 2 and 3 cm, marks to half a pixel; the last ones only check."""
    points = []
    for number, place in enumerate(np.column_stack([spots, ground(spots)])):
        seen = marks(original, place, 0.5, number)
        surveyed = degrees(place + random.normal(0, [0.02, 0.02, 0.03]))
        points.append(TaskControlPoint(f"P{number + 1}", surveyed, seen, check=number >= len(spots) - checks))
    return points


def moved(point: TaskControlPoint, metres: float) -> TaskControlPoint:
    latitude, longitude, height = point.position
    return TaskControlPoint(
        point.name, (latitude + metres / 111_000, longitude, height), point.observations, point.check
    )


def with_swapped_mark(point: TaskControlPoint) -> TaskControlPoint:
    (first, *_), (second, x, y), *rest = point.observations
    return TaskControlPoint(point.name, point.position, [(first, x + 300, y), (second, x, y), *rest], point.check)


def case(name: str) -> tuple[list[TaskPhoto], list[TaskControlPoint]]:
    random = np.random.default_rng(3)
    exact = photos(random, [0.015, 0.015, 0.025], position_std_m=RTK, rtk_flag=50)
    plain = photos(random, [1.5, 1.5, 3.0])
    nowhere = [TaskPhoto(each, f"DJI_{each}", each, 0, 1600, 1300, None) for each in names]
    points = control(random, GRID, 3)
    wrong = [moved(points[0], 10.0), points[1], with_swapped_mark(points[2]), *points[3:]]
    off = [moved(point, 25.0) for point in points]
    cases = {
        "rtk": (exact, []),
        "plain": (plain, []),
        "liar": (photos(random, [2.0, 2.0, 2.0], position_std_m=RTK, rtk_flag=50), []),
        "control": (nowhere, points),
        "control and plain": (plain, points),
        "wrong": (nowhere, wrong),
        "small error": (nowhere, [moved(points[0], 0.4), *points[1:]]),
        "rough": (
            nowhere,
            [moved(point, metres) for point, metres in zip(points, random.normal(0, 3, 8), strict=True)],
        ),
        "both": (exact, points),
        "two datums": (exact, off),
        "unlabelled": (nowhere, control(random, GRID)),
        "line": (exact, control(random, LINE)),
        "two": (exact, points[:2]),
        "two only": (nowhere, points[:2]),
    }
    return cases[name]


def finish(name: str) -> dict[str, Any]:
    task_photos, points = case(name)
    camera = TaskCamera("", 1600, 1300, "SIMPLE_RADIAL", [1950.0, 800.0, 650.0, 0.0], "exif", 0.05, "OPENCV")
    task = ColmapTask(task_photos, [camera], Path(), Path(), Path(), SfmOptions(), control_points=points)
    done = finish_model(task, pycolmap.Reconstruction(flight.model))
    model, georeference = done.reconstruction, done.georeference
    centres = np.array([model.find_image_with_name(each).projection_center() for each in names])
    place = georeference.origin
    off = np.full(3, np.nan)
    if place is not None:
        frame = to_enu(np.array([[place.latitude, place.longitude, place.altitude_m]]), ORIGIN)[0]
        off = centres + frame - truth
    return {
        "georeference": georeference.model_dump(),
        "findings": [finding.sentence for finding in done.findings],
        "off": np.median(np.abs(off), axis=0).tolist() if place else None,
        "focal": model.cameras[1].params[:2].tolist(),
        "error": model.compute_mean_reprojection_error(),
    }


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print("FIGURES", json.dumps({"name": argument, **finish(argument)}))
