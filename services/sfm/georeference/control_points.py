"""Ground control points (GCPs) as a model's photos show them: marks that contradict each other, wrong coordinates,
which points control the model and which only check it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from services.sfm.georeference.similarity import (
    MIN_TRI_ANGLE,
    Similarity,
    fit_similarity_robustly,
    triangulate_robustly,
)
from services.sfm.georeference.wgs84 import Array, median_position, to_enu
from services.sfm.messages import TaskControlPoint
from services.sfm.wording import length

MARK_SIGMAS: Final = 8.0  # by which a mark may miss: a bent model adds to the hand's error
MARK_SHARE: Final = 0.004  # of a photo's longer side, by which a mark may always miss
POINT_SIGMAS: Final = 5.0
WRONG_SHARE: Final = 0.02  # of the points' extent: what a model may be bent by before they straighten it
MIN_CONTROL: Final = 5  # with fewer, none is held out
CHECK_SHARE: Final = 0.25
MAX_HELD_OUT: Final = 10
MAX_COMPARED: Final = 200  # points that these are chosen from
MAX_MARKS: Final = 200  # of one point that are used: more make it no better
UNSEEN: Final = "fewer than two placed photos see it from different sides"
UNCLEAR: Final = "its marks contradict each other: no two photos in three agree on one place"

Mark = tuple[str, float, float]


@dataclass(frozen=True, eq=False)
class MeasuredPoint:
    """A point of the task: its marks without those that are wrong, and its place [3] in the model's frame."""

    point: TaskControlPoint
    target: Array
    """[3], metres east, north, up."""
    role: Literal["control", "check"]
    marks: list[Mark]
    left_out: list[str]
    """Files of photos whose mark contradicts the others."""
    place: Array
    """[3]; NaN where its marks determine none."""
    reprojection_px: float | None = None
    reason: str | None = None
    """Why it is not used."""

    @property
    def controls(self) -> bool:
        return self.role == "control" and self.reason is None

    @property
    def checks(self) -> bool:
        return self.role == "check" and self.reason is None

    @property
    def std(self) -> Array:
        """[3]"""
        across, up = self.point.std_m
        return np.array([across, across, up])


@dataclass(frozen=True, eq=False)
class ControlNetwork:
    """All points, and the origin [3] of their frame: latitude, longitude, height."""

    origin: Array
    points: list[MeasuredPoint]

    @property
    def control(self) -> list[MeasuredPoint]:
        return [point for point in self.points if point.controls]

    @property
    def check(self) -> list[MeasuredPoint]:
        return [point for point in self.points if point.checks]

    def measured(self, model: Any) -> ControlNetwork:
        """The same points, with the places that `model` has now and the marks that it does not contradict."""
        images = {image.name: image for image in model.images.values() if image.has_pose}
        points = [replace(_measure(model, images, each.point, each.target), role=each.role) for each in self.points]
        kept = [replace(new, reason=new.reason or old.reason) for new, old in zip(points, self.points, strict=True)]
        return ControlNetwork(self.origin, kept)

    def without(self, wrong: dict[int, str]) -> ControlNetwork:
        """With a reason not to use some, by their number among `points`."""
        points = [replace(point, reason=wrong.get(n, point.reason)) for n, point in enumerate(self.points)]
        return ControlNetwork(self.origin, points)

    def only_checking(self) -> ControlNetwork:
        """All points as check points."""
        return ControlNetwork(self.origin, [replace(point, role="check") for point in self.points])


def measure_control_points(model: Any, points: list[TaskControlPoint], origin: Array | None = None) -> ControlNetwork:
    """The points as a `pycolmap.Reconstruction` sees them. `origin` is their median where none is set."""
    surveyed = np.array([point.position for point in points], dtype=np.float64).reshape(-1, 3)
    origin = median_position(surveyed) if origin is None else origin
    images = {image.name: image for image in model.images.values() if image.has_pose}
    targets = to_enu(surveyed, origin)
    return ControlNetwork(
        origin, [_measure(model, images, point, to) for point, to in zip(points, targets, strict=True)]
    )


def fit_control_points(network: ControlNetwork) -> tuple[Similarity, ControlNetwork]:
    """The similarity from the model's frame to metres over the control points, and the survey without the wrong ones.

    Where there are enough and none is labelled as a check point, some are held out as such.

    Raises:
        ValueError: the points determine no similarity; the message says why.
    """
    numbers = [number for number, point in enumerate(network.points) if point.controls]
    control = [network.points[number] for number in numbers]
    places = np.array([point.place for point in control]).reshape(-1, 3)
    targets = np.array([point.target for point in control]).reshape(-1, 3)
    stds = np.array([np.linalg.norm(point.std) for point in control])
    reach = 2 * float(np.median(np.linalg.norm(targets - np.median(targets, axis=0), axis=1))) if len(targets) else 0.0
    tolerances = np.maximum(POINT_SIGMAS * stds, WRONG_SHARE * reach)
    fit, good = fit_similarity_robustly(places, targets, tolerances)
    wrong = {numbers[n]: contradicts(float(fit.distances[n])) for n in np.flatnonzero(~good)}
    network = network.without(wrong)
    if any(point.role == "check" for point in network.points):
        return fit.similarity, network
    held_out = {numbers[n] for n in _held_out(targets, good)}
    points = [replace(each, role="check") if n in held_out else each for n, each in enumerate(network.points)]
    return fit.similarity, ControlNetwork(network.origin, points)


def contradicts(metres: float) -> str:
    return f"it contradicts the other points by {length(metres)}: check its coordinates and which point its marks show"


def _held_out(targets: Array, good: Any) -> list[int]:
    """Numbers of the points that others stand for: what farthest-point sampling from the rim inwards takes last."""
    free = np.flatnonzero(good)
    count = min(int(CHECK_SHARE * len(free)), len(free) - MIN_CONTROL, MAX_HELD_OUT)
    if count <= 0:
        return []
    free = free[:: -(-len(free) // MAX_COMPARED)]
    distances = np.linalg.norm(targets[free] - targets[free].mean(axis=0), axis=1)
    nearest = np.full(len(free), np.inf)
    order: list[int] = []
    for _ in free:
        chosen = int(np.argmax(distances))
        order.append(chosen)
        nearest = np.minimum(nearest, np.linalg.norm(targets[free] - targets[free[chosen]], axis=1))
        distances = np.where(np.isin(np.arange(len(free)), order), -1.0, nearest)
    return [int(free[number]) for number in order[-count:]]


def _measure(model: Any, images: dict[str, Any], point: TaskControlPoint, target: Array) -> MeasuredPoint:
    role: Literal["control", "check"] = "check" if point.check else "control"
    error_px = MARK_SIGMAS * point.mark_std_px
    rays = {
        mark: ray for mark in point.observations[:MAX_MARKS] if (ray := _ray(model, images, mark, error_px)) is not None
    }
    marks = list(rays)
    origins = np.array([ray.origin for ray in rays.values()]).reshape(-1, 3)
    directions = np.array([ray.direction for ray in rays.values()]).reshape(-1, 3)
    tolerances = np.array([ray.tolerance for ray in rays.values()])
    seen = triangulate_robustly(origins, directions, tolerances)
    if seen is None:
        reason = UNCLEAR if len(marks) > 1 and _differ_in_direction(directions) else UNSEEN
        return MeasuredPoint(point, target, role, marks, [], np.full(3, np.nan), reason=reason)
    place, good = seen
    kept = [mark for mark, is_good in zip(marks, good, strict=True) if is_good]
    left_out = [mark[0] for mark, is_good in zip(marks, good, strict=True) if not is_good]
    error = _reprojection_error(images, kept, place)
    return MeasuredPoint(point, target, role, kept, left_out, place, error)


class _Ray(NamedTuple):
    """A mark's ray in the model: origin and unit direction [3], and by how many radians it may miss."""

    origin: Array
    direction: Array
    tolerance: float


def _ray(model: Any, images: dict[str, Any], mark: Mark, error_px: float) -> _Ray | None:
    file, x, y = mark
    if (image := images.get(file)) is None:
        return None
    camera = model.cameras[image.camera_id]
    if (local := camera.cam_from_img(np.array([x, y]))) is None:
        return None
    direction = image.cam_from_world().rotation.matrix().T @ np.array([*local, 1.0])
    error_px = max(error_px, MARK_SHARE * max(camera.width, camera.height))
    tolerance = error_px / camera.mean_focal_length()
    return _Ray(image.projection_center(), direction / np.linalg.norm(direction), tolerance)


def _differ_in_direction(directions: Array) -> bool:
    """Whether two rays differ enough in direction that they should meet."""
    return bool(np.clip(directions @ directions.T, -1, 1).min() < np.cos(MIN_TRI_ANGLE))


def _reprojection_error(images: dict[str, Any], marks: list[Mark], place: Array) -> float | None:
    """Root mean square distance in pixels between marks and where their photos show `place`."""
    shown = [(images[file].project_point(place), np.array([x, y])) for file, x, y in marks]
    squares = [float(np.square(pixel - mark).sum()) for pixel, mark in shown if pixel is not None]
    return float(np.sqrt(np.mean(squares))) if squares else None
