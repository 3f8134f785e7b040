"""Which ground each photo shows, how finely, and how often each spot was seen. Pure geometry on a flat ground."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

FARTHEST: Final = 4.0  # in heights above ground: what an oblique photo shows beyond is too thin to count
GRID: Final = 120  # cells along the longer side of the survey, in which views are counted
ENOUGH_VIEWS: Final = 3
SAME_VIEW: Final = math.cos(math.radians(40))  # SIFT finds little again in a photo that looks more than this aside

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Aim:
    """Where a camera was and where it looked.

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

    `overlap` holds for each photo the largest share of its footprint that one other photo shows too, of those that look
    in about the same direction;
    `area_m2` is of all footprints together, `views` the median number of photos that show a spot of it, and
    `thin` the share of it that fewer than three show.
    """

    overlap: Array
    area_m2: float
    views: float
    thin: float


def footprint(aim: Aim) -> Array | None:
    """The ground in a photo as a polygon [4,2], metres east and north; None if it looks above the horizon."""
    forward, right, up = _axes(aim)
    corners = []
    for across, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        ray = forward + across * aim.width / 2 / aim.focal_px * right - down * aim.height_px / 2 / aim.focal_px * up
        corners.append(_on_ground(ray) * aim.height)
    polygon = np.array(corners) + np.array([aim.east, aim.north])
    looks_down = forward[2] < -1 / math.hypot(1, FARTHEST)
    return polygon if looks_down and shapely.Polygon(polygon).is_valid else None


def ground_sampling_m(aim: Aim) -> float:
    """Metres of ground in one pixel at the middle of the photo, across the line of sight."""
    return aim.height / max(math.sin(math.radians(-aim.pitch)), 1 / math.hypot(1, FARTHEST)) / aim.focal_px


def view(aim: Aim) -> Array:
    """The direction [3] in which the camera looked, of unit length: east, north, up."""
    return _axes(aim)[0]


def cover(polygons: list[Array], views: list[Array]) -> Coverage:
    """Measure overlap and coverage of at least one footprint; `views` are the photos' directions."""
    shapes = np.array([shapely.Polygon(polygon) for polygon in polygons])
    ground = shapely.union_all(shapes)
    counts = _views(shapes, ground)
    return Coverage(
        overlap=_largest_overlaps(shapes, np.array(views)),
        area_m2=float(ground.area),
        views=float(np.median(counts)) if len(counts) else float(len(shapes)),
        thin=float(np.mean(counts < ENOUGH_VIEWS)) if len(counts) else 0.0,
    )


def _axes(aim: Aim) -> tuple[Array, Array, Array]:
    """Forward, right and up of the picture as unit vectors east, north, up."""
    pitch, yaw = math.radians(aim.pitch), math.radians(aim.yaw)
    ahead, right = np.array([math.sin(yaw), math.cos(yaw), 0.0]), np.array([math.cos(yaw), -math.sin(yaw), 0.0])
    zenith = np.array([0.0, 0.0, 1.0])
    forward = math.cos(pitch) * ahead + math.sin(pitch) * zenith
    up = -math.sin(pitch) * ahead + math.cos(pitch) * zenith
    return forward, right, up


def _on_ground(ray: Array) -> Array:
    """Where a ray from height 1 meets the ground [2], at most FARTHEST away."""
    flat = ray[:2]
    away = float(np.linalg.norm(flat))
    reach = min(away / -ray[2], FARTHEST) if ray[2] < 0 else FARTHEST
    return np.asarray(flat / away * reach if away > 0 else flat)


def _largest_overlaps(shapes: NDArray[np.object_], views: Array) -> Array:
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    others = (first != second) & ((views[first] * views[second]).sum(axis=1) >= SAME_VIEW)
    first, second = first[others], second[others]
    shares = shapely.area(shapely.intersection(shapes[first], shapes[second])) / shapely.area(shapes[first])
    largest = np.zeros(len(shapes))
    np.maximum.at(largest, first, shares)
    return largest


def _views(shapes: NDArray[np.object_], ground: Any) -> NDArray[np.int64]:
    """How many footprints hold each cell of a grid over the ground that they cover."""
    west, south, east, north = ground.bounds
    step = max(east - west, north - south) / GRID
    x, y = np.meshgrid(np.arange(west + step / 2, east, step), np.arange(south + step / 2, north, step))
    spots = shapely.points(x.ravel(), y.ravel())
    _, found = shapely.STRtree(spots).query(shapes, predicate="contains")
    counts = np.bincount(found, minlength=len(spots))
    return counts[counts > 0]
