"""Changes to a whole model: cut to a box, turned, enlarged, moved, joined with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.cameras import Camera
from spaceport.splats.frame import AXES, Vec3, direction, rotation_to_y_up
from spaceport.splats.model import Floats, Gaussians
from spaceport.splats.scratch import allocate, folder_of, row_blocks
from spaceport.splats.sh import rotate_bands
from spaceport.splats.sog.attributes.rotations import matrices, normalise, product, quaternions

Rotation = NDArray[np.float64]


def crop(model: Gaussians, low: Vec3, high: Vec3) -> Gaussians:
    """The Gaussians whose centres lie in a box, its sides included; coordinates of the model."""
    inside = ((model.means >= np.array(low)) & (model.means <= np.array(high))).all(axis=1)
    return model.subset(np.flatnonzero(inside))


def rotation_about_axes(degrees: Vec3) -> Rotation:
    """The rotation [3,3] about x first, then y, then z, each by so many degrees."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        step, (i, j) = np.eye(3), [(1, 2), (2, 0), (0, 1)][axis]
        step[i, i] = step[j, j] = np.cos(angle)
        step[j, i], step[i, j] = np.sin(angle), -np.sin(angle)
        matrix = step @ matrix
    return matrix


def transform(model: Gaussians, rotation: Rotation, scale: float, move: Vec3) -> Gaussians:
    """The model turned by `rotation` [3,3] about 0, then `scale` times as large, then moved; SH and up turn with it."""
    means = scale * (model.means.astype(np.float64) @ rotation.T) + np.array(move)
    quats = product(quaternions(rotation[None]), normalise(model.quats))
    up = model.frame.up
    if up is not None:
        up = direction(np.round(rotation @ np.array(up), 12) + 0.0)
    arrays: dict[str, Any] = {
        "means": means,
        "quats": quats,
        "scales": model.scales + np.float32(np.log(scale)),
        "shN": _rotate_sh(model.shN, rotation),
    }
    return replace(model, **arrays, frame=replace(model.frame, up=up, is_metric=model.frame.is_metric and scale == 1))


def turn_upright(model: Gaussians, cameras: Sequence[Camera]) -> tuple[Gaussians, list[Camera]]:
    """The model with y up and its cameras with it; as it is where nothing says which way is up."""
    up = model.frame.up
    if up is None or up == AXES["y"]:
        return model, list(cameras)
    x, y, z, w = rotation_to_y_up(up)
    rotation = matrices(np.array([[w, x, y, z]]))[0]
    back = np.eye(4)
    back[:3, :3] = rotation.T
    turned = [replace(camera, world_to_camera=camera.world_to_camera @ back) for camera in cameras]
    return transform(model, rotation, 1.0, (0.0, 0.0, 0.0)), turned


def _rotate_sh(sh: Floats, rotation: Rotation) -> Floats:
    turned = allocate(sh.shape, folder_of(sh))
    for rows in row_blocks(sh, turned):
        turned[rows] = rotate_bands(sh[rows], rotation)
    return turned


def join(models: Sequence[Gaussians]) -> Gaussians:
    """All Gaussians of several models, in the frame of the first; SH bands that one lacks are zeros.

    Raises:
        ValueError: they are drawn in different ways, or lie too far from each other to share an origin.
    """
    first = models[0]
    if any(model.antialiased != first.antialiased for model in models):
        raise ValueError("One model must be drawn antialiased and another must not: together they cannot be right.")
    rest = max(model.shN.shape[1] for model in models)
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in first.arrays()}
    for model in models:
        offset = np.array(model.frame.origin) - np.array(first.frame.origin)
        if np.abs(offset).max() > 1e6:
            raise ValueError("The models lie more than a million units apart. Have they the same coordinates?")
        arrays = model.arrays() | {"means": model.means + offset}
        arrays["shN"] = np.pad(model.shN, ((0, 0), (0, rest - model.shN.shape[1]), (0, 0)))
        for name, array in arrays.items():
            parts[name].append(array)
    whole: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return replace(first, **whole, notes=tuple(note for model in models for note in model.notes))
