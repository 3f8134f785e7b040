"""The views of a job's proof: some of its photos' cameras, and made ones between and below them.

A model is sharpest where photos were taken; a visitor goes between those places, and down from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.compress.proving.density import Array, Density
from services.compress.proving.views import View, one_of_each_first, picture_rays, views_of_model
from spaceport.pipeline.reports.compress import ViewKind
from spaceport.splats.cameras import Camera, sample_evenly
from spaceport.splats.model import Gaussians

MAX_PHOTOS = 6
MAX_BETWEEN = 2
MAX_BELOW = 2
LONGEST_SIDE = 800
CANDIDATES = 32  # cameras that views between and below are sought from
NEIGHBOURS = 8  # of them, the one that looks the same way most is the other end of a view between
LONGEST_LOOK = 4.0  # of the bulk's diagonal: a camera that sees nothing within it has no view below
SAME_WAY = 0.5  # cosine of the angle between two cameras' axes, under which nobody goes from one to the other
WAY_DOWN = 0.5  # of the way to what a camera looks at


def choose_views(gaussians: Gaussians, cameras: Sequence[Camera]) -> list[View]:
    """The views that a model is proven from: with the cameras of its photos, or without any.

    Raises:
        ValueError: the model holds no finite Gaussian.
    """
    return views_of_job(gaussians, cameras) if cameras else views_of_model(gaussians)


def views_of_job(gaussians: Gaussians, cameras: Sequence[Camera]) -> list[View]:
    """The first of each kind come first, held-out photos before others.

    Args:
        gaussians: the model.
        cameras: of its photos; at least one.
    """
    scaled = [camera.rescale(min(1.0, LONGEST_SIDE / max(camera.width, camera.height))) for camera in cameras]
    candidates = sample_evenly(scaled, CANDIDATES)
    kinds = {
        ViewKind.PHOTO: select_photos(scaled),
        ViewKind.BETWEEN: _between(scaled),
        ViewKind.BELOW: sample_evenly(_below(Density(gaussians), candidates), MAX_BELOW),
    }
    return one_of_each_first(View(kind, camera) for kind, made in kinds.items() for camera in made)


def select_photos(cameras: Sequence[Camera], most: int = MAX_PHOTOS) -> list[Camera]:
    """At most `most` cameras, held-out ones first and each kind evenly spread over the flight."""
    held_out = [camera for camera in cameras if camera.held_out]
    trained = [camera for camera in cameras if not camera.held_out]
    first = sample_evenly(held_out, most)
    return first + sample_evenly(trained, most - len(first))


def _between(cameras: Sequence[Camera]) -> list[Camera]:
    """Views from halfway from one camera to a neighbour that looks the same way, spread over the flight."""
    positions = np.array([camera.position for camera in cameras])
    axes = np.array([camera.world_to_camera[2, :3] for camera in cameras])
    even = np.linspace(0, len(cameras) - 1, min(CANDIDATES, len(cameras))).round().astype(np.intp)
    spread = np.linspace(0, len(even) - 1, 2 * MAX_BETWEEN + 1).round().astype(np.intp)[1::2]
    made: dict[frozenset[int], Camera] = {}
    for index in dict.fromkeys([*even[spread], *even]):
        camera, distances = cameras[index], np.linalg.norm(positions - positions[index], axis=1)
        others = np.argsort(distances, kind="stable")
        others = others[distances[others] > 0][:NEIGHBOURS]
        likeness = axes[others] @ axes[index]
        if len(made) == MAX_BETWEEN or likeness.max(initial=-1) < SAME_WAY:
            continue
        other = int(others[int(likeness.argmax())])
        rotation = _middle_rotation(camera.world_to_camera[:3, :3], cameras[other].world_to_camera[:3, :3])
        name = f"between {camera.name} and {cameras[other].name}"
        middle = (positions[index] + positions[other]) / 2
        made.setdefault(frozenset((int(index), other)), _moved(camera, middle, rotation, name))
    return list(made.values())


def _below(density: Density, cameras: Sequence[Camera]) -> list[Camera]:
    """From halfway down to what a camera looks at, in its direction: where there is something, and room."""
    positions = np.array([camera.position for camera in cameras])
    tops = -np.array([camera.world_to_camera[1, :3] for camera in cameras])
    axes = np.array([camera.world_to_camera[2, :3] for camera in cameras])
    depths = density.depths(positions, picture_rays(axes, tops), LONGEST_LOOK * density.bulk.diagonal)
    depths = np.median(depths, axis=1)
    eyes = positions + WAY_DOWN * np.where(np.isfinite(depths), depths, 0)[:, None] * axes
    good = np.isfinite(depths) & density.is_free(eyes)
    return [
        _moved(camera, eye, camera.world_to_camera[:3, :3], f"below {camera.name}")
        for camera, eye, is_good in zip(cameras, eyes, good, strict=True)
        if is_good
    ]


def _middle_rotation(a: Array, b: Array) -> Array:
    """The rotation halfway between two; `a` where they are opposite."""
    left, sizes, right = np.linalg.svd(a + b)
    middle = left @ right
    return np.asarray(middle if sizes[-1] > 1e-6 and np.linalg.det(middle) > 0 else a)


def _moved(camera: Camera, position: Array, rotation: NDArray[np.float64], name: str) -> Camera:
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = -rotation @ position
    return replace(camera, name=name, world_to_camera=pose, held_out=False)
