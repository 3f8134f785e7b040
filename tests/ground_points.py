"""Points of the ground under a flight of `flights.py`: where photos show them, and what a surveyor makes of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spaceport.demo.geodesy import from_enu
from spaceport.demo.lens import Lens
from spaceport.demo.scene import Scene
from spaceport.demo.survey import ORIGIN
from spaceport.demo.terrain import height_at

Array = NDArray[np.float64]

CONTROL_STD: Final = 0.012
MARK_STD_PX: Final = 0.3
_CONTROL: Final = [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8), (0.0, 0.0)]
_CHECK: Final = [(0.0, -0.6), (0.6, 0.2), (-0.6, 0.3)]


@dataclass(frozen=True)
class GroundPoint:
    """A point of the ground [3] (ENU around `ORIGIN`, metres), and where the photos that see it show it (pixels)."""

    name: str
    place: list[float]
    marks: dict[str, tuple[float, float]]


def find_ground_points(
    scene: Scene, names: list[str], poses: list[Array], lenses: list[Lens], depths: list[Array]
) -> Iterator[GroundPoint]:
    """A grid of 9 x 9 over what was flown over; only those on the ground that three photos see."""
    centres = np.array([-pose[:3, :3].T @ pose[:3, 3] for pose in poses])
    low, high = centres.min(axis=0), centres.max(axis=0)
    middle, reach = (low + high) / 2, np.maximum((high - low) / 2, 10.0)
    for row, north in enumerate(np.linspace(-1.0, 1.0, 9)):
        for column, east in enumerate(np.linspace(-1.0, 1.0, 9)):
            x, y = middle[0] + east * reach[0], middle[1] + north * reach[1]
            place = np.array([x, y, height_at(scene.heights, x, y)])
            marks = {
                name: (float(mark[0]), float(mark[1]))
                for name, pose, lens, depth in zip(names, poses, lenses, depths, strict=True)
                if (mark := _mark(place, pose, lens, depth)) is not None
            }
            if len(marks) >= 3:
                yield GroundPoint(f"{row}{column}", place.tolist(), marks)


def _mark(place: Array, pose: Array, lens: Lens, depth: Array) -> Array | None:
    """Where a photo shows a place [3]; None where it is out of the photo, or something is before it."""
    seen = pose[:3, :3] @ place + pose[:3, 3]
    if seen[2] <= 0 or math.hypot(seen[0], seen[1]) / seen[2] > 0.6 * math.hypot(lens.width, lens.height) / lens.focal:
        return None
    mark = lens.project(seen[None])[0]
    if not (6 < mark[0] < lens.width - 6 and 6 < mark[1] < lens.height - 6):
        return None
    hidden = depth[int(mark[1]), int(mark[0])] < np.linalg.norm(seen) - 0.3
    return None if hidden else np.asarray(mark)


def choose_control_points(points: list[GroundPoint]) -> dict[str, GroundPoint]:
    """Five of `points` as control points and three as check points, where a surveyor would lay them out."""
    places = np.array([point.place[:2] for point in points])
    low, high = places.min(axis=0), places.max(axis=0)
    names = [f"GCP{k + 1}" for k in range(5)] + [f"CHECK{k + 1}" for k in range(3)]
    chosen: dict[str, GroundPoint] = {}
    for name, spot in zip(names, _CONTROL + _CHECK, strict=True):
        wanted = (low + high) / 2 + np.array(spot) * (high - low) / 2
        free = [point for point in points if point not in chosen.values()]
        chosen[name] = min(free, key=lambda point: float(np.linalg.norm(np.array(point.place[:2]) - wanted)))
    return chosen


def gcp_list(points: list[GroundPoint], random: np.random.Generator) -> str:
    """`gcp_list.txt`: places measured to `CONTROL_STD`, marks to `MARK_STD_PX`."""
    lines = ["EPSG:4326"]
    for name, point in choose_control_points(points).items():
        place = from_enu(np.array(point.place) + random.normal(0, CONTROL_STD, 3), ORIGIN)
        where = f"{place.longitude:.10f} {place.latitude:.10f} {place.altitude:.4f}"
        for photo, mark in point.marks.items():
            x, y = np.array(mark) + random.normal(0, MARK_STD_PX, 2)
            lines.append(f"{where} {x:.2f} {y:.2f} {photo} {name}")
    return "\n".join(lines) + "\n"
