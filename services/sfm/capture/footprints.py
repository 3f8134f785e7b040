"""Which ground each photo shows, at what resolution, and how often each spot was seen. Geometry on a flat ground."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

MAX_REACH: Final = 4.0  # in heights above ground: what an oblique photo shows beyond is too thin to count
GRID: Final = 120  # cells along the longer side of the survey, in which views are counted
ENOUGH_VIEWS: Final = 3
SAME_DIRECTION: Final = math.cos(math.radians(40))  # SIFT matches little between photos whose directions differ by more

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CameraAim:
    """Where a camera was and in which direction it pointed.

    `east`, `north` and `height` in metres, the height above the ground; `pitch` in degrees, -90 straight down;
    `yaw` in degrees clockwise from north; `focal_px`, `width` and `height_px` of the stored photo.
    """

    east: float
    north: float
    height: float
    pitch: float
    yaw: float
    focal_px: float
    width: int
    height_px: int


@dataclass(frozen=True)
class Coverage:
    """How the footprints cover the ground.

    `overlap` holds for each photo the largest share of its footprint that one other photo shows too, of those that
    point in about the same direction; `area_m2` is of all footprints together, `views` the median number of photos that
    show a spot of it, and `thin` the share of it that fewer than three show.
    """

    overlap: Array
    area_m2: float
    views: float
    thin: float


def project_footprint(aim: CameraAim) -> Array | None:
    """The ground in a photo as a polygon [4,2], metres east and north; None if it points above the horizon."""
    forward, right, up = _axes(aim)
    corners = []
    for across, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        ray = forward + across * aim.width / 2 / aim.focal_px * right - down * aim.height_px / 2 / aim.focal_px * up
        corners.append(_intersect_ground(ray) * aim.height)
    polygon = np.array(corners) + np.array([aim.east, aim.north])
    looks_down = forward[2] < -1 / math.hypot(1, MAX_REACH)
    return polygon if looks_down and shapely.Polygon(polygon).is_valid else None


def ground_sampling_m(aim: CameraAim) -> float:
    """Metres of ground in one pixel at the middle of the photo, across the line of sight."""
    return aim.height / max(math.sin(math.radians(-aim.pitch)), 1 / math.hypot(1, MAX_REACH)) / aim.focal_px


def view_direction(aim: CameraAim) -> Array:
    """The direction [3] in which the camera pointed, of unit length: east, north, up."""
    return _axes(aim)[0]


def measure_coverage(polygons: list[Array], directions: list[Array]) -> Coverage:
    """Measure overlap and coverage of at least one footprint; `directions` are those of the photos [3]."""
    shapes = np.array([shapely.Polygon(polygon) for polygon in polygons])
    ground = shapely.union_all(shapes)
    counts = _count_views(shapes, ground)
    return Coverage(
        overlap=_largest_overlaps(shapes, np.array(directions)),
        area_m2=float(ground.area),
        views=float(np.median(counts)) if len(counts) else float(len(shapes)),
        thin=float(np.mean(counts < ENOUGH_VIEWS)) if len(counts) else 0.0,
    )


def _axes(aim: CameraAim) -> tuple[Array, Array, Array]:
    """Forward, right and up of the picture as unit vectors east, north, up."""
    pitch, yaw = math.radians(aim.pitch), math.radians(aim.yaw)
    ahead, right = np.array([math.sin(yaw), math.cos(yaw), 0.0]), np.array([math.cos(yaw), -math.sin(yaw), 0.0])
    zenith = np.array([0.0, 0.0, 1.0])
    forward = math.cos(pitch) * ahead + math.sin(pitch) * zenith
    up = -math.sin(pitch) * ahead + math.cos(pitch) * zenith
    return forward, right, up


def _intersect_ground(ray: Array) -> Array:
    """Where a ray from height 1 intersects the ground [2], at most MAX_REACH away."""
    flat = ray[:2]
    distance = float(np.linalg.norm(flat))
    reach = min(distance / -ray[2], MAX_REACH) if ray[2] < 0 else MAX_REACH
    return np.asarray(flat / distance * reach if distance > 0 else flat)


def _largest_overlaps(shapes: NDArray[np.object_], directions: Array) -> Array:
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    others = (first != second) & ((directions[first] * directions[second]).sum(axis=1) >= SAME_DIRECTION)
    first, second = first[others], second[others]
    shares = shapely.area(shapely.intersection(shapes[first], shapes[second])) / shapely.area(shapes[first])
    largest = np.zeros(len(shapes))
    np.maximum.at(largest, first, shares)
    return largest


def _count_views(shapes: NDArray[np.object_], ground: Any) -> NDArray[np.int64]:
    """How many footprints hold each cell of a grid over the ground that they cover."""
    west, south, east, north = ground.bounds
    step = max(east - west, north - south) / GRID
    x, y = np.meshgrid(np.arange(west + step / 2, east, step), np.arange(south + step / 2, north, step))
    spots = shapely.points(x.ravel(), y.ravel())
    _, seen = shapely.STRtree(spots).query(shapes, predicate="contains")
    counts = np.bincount(seen, minlength=len(spots))
    return counts[counts > 0]
