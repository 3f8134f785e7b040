"""A flight over relief as COLMAP would hold it: cameras on a grid, looking down through a real lens, and no pixels.

Imports pycolmap, so only for scripts that tests run in a process of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray

Array = NDArray[np.float64]

WIDTH, HEIGHT = 1600, 1300
LENS = [1973.0, 1966.0, 800.0, 650.0, -0.4, 0.15, 0.0008, -0.0006]
"""OPENCV: the barrel of a Phantom 4 Multispectral's camera, as its maker calibrated it, a little stronger."""
FLIGHT_HEIGHT_M = 45.0


@dataclass(frozen=True, eq=False)
class Flight:
    """The model as features see it, and the truth: metres east, north, up."""

    model: Any
    centres: dict[str, Array]
    relief: Array


def ground(xy: Array) -> Array:
    """Height [N] of the relief at xy [N,2], metres."""
    x, y = xy.T
    return np.asarray(1.5 * np.sin(x / 11) + 1.0 * np.cos(y / 7) + 0.3 * np.sin((x + y) / 3))


def fly(rows: int = 4, columns: int = 8, points: int = 900, noise_px: float = 0.3, seed: int = 0) -> Flight:
    """A boustrophedon with 70 % overlap; features `noise_px` off. The model has the true poses and the true lens."""
    random = np.random.default_rng(seed)
    footprint = np.array([WIDTH, HEIGHT]) / LENS[0] * FLIGHT_HEIGHT_M
    step = 0.3 * footprint
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera(camera_id=1, model="OPENCV", width=WIDTH, height=HEIGHT, params=LENS)
    model.add_camera_with_trivial_rig(camera)
    low, high = -footprint / 2, np.array([columns - 1, rows - 1]) * step + footprint / 2
    xy = random.uniform(low, high, (points, 2))
    relief = np.column_stack([xy, ground(xy)])
    tracks = [pycolmap.Track() for _ in relief]
    centres = {}
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        column = column if row % 2 == 0 else columns - 1 - column
        centre = np.array([column * step[0], row * step[1], FLIGHT_HEIGHT_M]) + random.normal(0, 0.4, 3)
        pose = _look_down(centre, 0.0 if row % 2 == 0 else np.pi, random.normal(0, 0.02, 3))
        image = pycolmap.Image(name=f"{number:06d}.jpg", camera_id=1, image_id=number + 1)
        pixels, seen = project(camera, pose, relief)
        image.points2D = pycolmap.Point2DList(
            [pycolmap.Point2D(pixel + random.normal(0, noise_px, 2)) for pixel in pixels[seen]]
        )
        model.add_image_with_trivial_frame(image, pose)
        centres[image.name] = centre
        for index, point in enumerate(np.flatnonzero(seen)):
            tracks[point].add_element(image.image_id, index)
    for place, track in zip(relief, tracks, strict=True):
        if track.length() > 1:
            model.add_point3D(place, track)
    model.update_point_3d_errors()
    return Flight(model, centres, relief)


def project(camera: Any, pose: Any, points: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Pixels [N,2] of points [N,3], and which of them are in the picture."""
    matrix = pose.matrix()
    local = points @ matrix[:, :3].T + matrix[:, 3]
    ahead = (local[:, 2] > 0) & (np.abs(local[:, :2] / local[:, 2:]).max(axis=1) < 0.45)
    pixels = np.full((len(points), 2), np.nan)
    pixels[ahead] = camera.img_from_cam(local[ahead])
    return pixels, ahead & ((pixels >= 0) & (pixels < (WIDTH, HEIGHT))).all(axis=1)


def marks(model: Any, point: Array, noise_px: float, seed: int = 0) -> list[tuple[str, float, float]]:
    """Where the photos of a model that is not bent show a point [3]."""
    random = np.random.default_rng(seed)
    seen = []
    for image in model.images.values():
        pixels, visible = project(model.cameras[1], image.cam_from_world(), point[None])
        if visible[0]:
            x, y = pixels[0] + random.normal(0, noise_px, 2)
            seen.append((image.name, float(x), float(y)))
    return seen


def bend(flight: Flight, focal: float = 1368.0) -> None:
    """What mapping makes of it: one radial parameter, a wrong focal length, least squares, another frame."""
    model = flight.model
    camera = model.cameras[1]
    scale = focal / LENS[0]
    for image in model.images.values():  # as far below as the focal length is shorter
        pose = image.cam_from_world()
        centre = image.projection_center() * [1, 1, scale]
        rotation = pose.rotation.matrix()
        model.frame(image.frame_id).rig_from_world = pycolmap.Rigid3d(pose.rotation, -rotation @ centre)
    for point in model.points3D.values():
        point.xyz = point.xyz * [1, 1, scale]
    camera.model = pycolmap.CameraModelId.SIMPLE_RADIAL
    camera.params = [focal, WIDTH / 2, HEIGHT / 2, -0.1]
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    pycolmap.bundle_adjustment(model, options)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    model.transform(pycolmap.Sim3d(np.column_stack([0.05 * turn, [1.0, 2.0, 3.0]])))
    model.update_point_3d_errors()


def with_lens(model: Any, name: str) -> None:
    """The same camera in a richer model of OpenCV's."""
    camera = model.cameras[1]
    focal, cx, cy, k = camera.params
    camera.model = getattr(pycolmap.CameraModelId, name)
    camera.params = [focal, focal, cx, cy, k, 0.0, 0.0, 0.0]


def _look_down(centre: Array, yaw: float, tilt: Array) -> Any:
    """Camera from world: x to the right of the flight, z down, turned by `yaw` and a little by `tilt` (radians)."""
    down = np.diag([1.0, -1.0, -1.0])
    rotation = _turn(tilt) @ down @ _turn(np.array([0.0, 0.0, yaw]))
    return pycolmap.Rigid3d(np.column_stack([rotation, -rotation @ centre]))


def _turn(vector: Array) -> Array:
    """Rodrigues' rotation [3,3] about `vector`, by its length in radians."""
    angle = float(np.linalg.norm(vector)) or 1e-12
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
