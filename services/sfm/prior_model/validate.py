"""Validates an uploaded COLMAP model before COLMAP reads it: what it says must be possible. Pure reading."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from services.sfm.georeference.wgs84 import Array
from services.sfm.prior_model.records import read_camera_records, read_image_records, read_point_records
from spaceport.pipeline.file_names import relative_path
from spaceport.pipeline.text import visible
from spaceport.splats.formats.colmap import CAMERA_MODELS, CameraRecord, ImageRecord

MIN_POINTS: Final = 4  # what training needs
MAX_POINTS: Final = 10_000_000
MAX_SIDE: Final = 1 << 16
MAX_FOCAL: Final = 1000.0  # of the longer side: a telescope
MAX_OFFSET: Final = 2.0  # of a side, that the principal point may lie outside of the photo
MAX_DISTANCE: Final = 1000.0  # of the middle from the origin, in extents of the points: splats are single precision
MAX_COORDINATE: Final = 1e12
_ROOT: Final = re.compile(r"^(?:[A-Za-z]:)?[/\\]*")  # of the machine on which the model was made
MAX_SHOWN: Final = 80  # letters of a name in a sentence
_EXTENT: Final = (5, 95)  # percent of the points, on each axis: stray ones do not count
_CHECK_EVERY: Final = 10_000


@dataclass(frozen=True)
class PriorImage:
    """An image of the model: its id and name there, and its camera's width and height."""

    image_id: int
    name: str
    size: tuple[int, int]


@dataclass(frozen=True)
class PriorModelContents:
    """What a model holds, in the order of its files."""

    images: list[PriorImage]
    points: int


def read_prior_model(parts: dict[str, Path], check: Callable[[], None]) -> PriorModelContents:
    """Read and validate the three files of a model, `cameras`, `images` and `points3D`, `.bin` or `.txt`.

    `check` is called every few thousand records; its exceptions propagate.

    Raises:
        ValueError: what is impossible in it, as the end of a sentence.
    """
    cameras: dict[int, tuple[int, int]] = {}
    for camera in read_camera_records(parts["cameras"]):
        if camera.number in cameras:
            raise ValueError(f"camera {camera.number} is listed twice")
        _check_camera(camera)
        cameras[camera.number] = (camera.width, camera.height)
    images = _read_images(read_image_records(parts["images"]), cameras, check)
    return PriorModelContents(images, _count_points(parts["points3D"], check))


def _check_camera(camera: CameraRecord) -> None:
    _, focals, _ = CAMERA_MODELS[camera.model]
    sides = camera.width, camera.height
    if not all(0 < side < MAX_SIDE for side in sides):
        raise ValueError(f"camera {camera.number} is {camera.width} x {camera.height} pixels large")
    if not all(map(math.isfinite, camera.params)):
        raise ValueError(f"camera {camera.number} has parameters that are no numbers")
    if not all(1 <= focal <= MAX_FOCAL * max(sides) for focal in camera.params[:focals]):
        raise ValueError(f"camera {camera.number} has an impossible focal length")
    principal_point = camera.params[focals : focals + 2]
    if any(
        abs(coordinate - side / 2) > (MAX_OFFSET + 0.5) * side
        for coordinate, side in zip(principal_point, sides, strict=True)
    ):
        raise ValueError(f"camera {camera.number} has a principal point far outside of its photos")


def _read_images(
    records: Iterable[ImageRecord], cameras: dict[int, tuple[int, int]], check: Callable[[], None]
) -> list[PriorImage]:
    images: dict[int, PriorImage] = {}
    names: set[str] = set()
    for count, image in enumerate(records):
        if count % _CHECK_EVERY == 0:
            check()
        name = safe_name(image.name)
        shown = name[:MAX_SHOWN]
        if image.number in images or name in names:
            raise ValueError(f"photo {shown} is listed twice")
        if image.camera not in cameras:
            raise ValueError(f"photo {shown} has a camera that is missing")
        norm = math.sqrt(sum(value * value for value in image.pose[:4]))
        if not 0.5 < norm < 2 or not all(abs(value) <= MAX_COORDINATE for value in image.pose):
            raise ValueError(f"the pose of photo {shown} is no rigid motion")
        names.add(name)
        images[image.number] = PriorImage(image.number, name, cameras[image.camera])
    if not images:
        raise ValueError("it holds no photo")
    return list(images.values())


def safe_name(name: str) -> str:
    """The name as a path with `/` that stays below its folder.

    Raises:
        ValueError: it climbs out of it, or is no name.
    """
    try:
        return relative_path(_ROOT.sub("", name))
    except ValueError:
        raise ValueError(f"it names a photo in a way that is not safe ({visible(name, MAX_SHOWN)})") from None


def _count_points(path: Path, check: Callable[[], None]) -> int:
    numbers, coordinates = array("Q"), array("d")
    for count, (number, xyz) in enumerate(read_point_records(path)):
        if count % _CHECK_EVERY == 0:
            check()
        if count == MAX_POINTS:
            raise ValueError(f"it holds more than {MAX_POINTS:,} points")
        numbers.append(number)
        coordinates.extend(xyz)
    if len(numbers) < MIN_POINTS:
        raise ValueError(f"it holds {len(numbers)} points, and training needs at least {MIN_POINTS} to begin with")
    if len(np.unique(numbers)) < len(numbers):
        raise ValueError(f"{path.name} lists a point twice")
    _check_extent(np.frombuffer(coordinates).reshape(-1, 3))
    return len(numbers)


def _check_extent(points: Array) -> None:
    """Raise `ValueError` for points [P,3] that are not finite, in one place, or too far out for single precision."""
    if not (np.abs(points) <= MAX_COORDINATE).all():  # NaN too
        raise ValueError("it holds points that lie nowhere")
    low, high = np.percentile(points, _EXTENT, axis=0)
    extent, distance = float(np.linalg.norm(high - low)), float(np.linalg.norm(np.median(points, axis=0)))
    if extent == 0:
        raise ValueError("its points lie all in one place")
    if distance > MAX_DISTANCE * extent:
        raise ValueError(
            f"it lies {distance:,.0f} units from its origin and is {extent:,.0f} large; splats are kept in single"
            " precision, which is too coarse out there, so move the origin into its middle"
        )
