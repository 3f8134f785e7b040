"""The views of the proof: where people look at a model from.

For a model without cameras they are chosen from its density: from an orbit around it, from near, from above, and from
inside. A job's are some of its photos' (`flown.py`). The first of each kind come first: the search measures on those.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.compress.proving.density import Array, Bulk, Density
from spaceport.pipeline.reports.compress import ViewKind
from spaceport.splats.cameras import Camera
from spaceport.splats.model import Gaussians

SIZE = (512, 384)
FOCAL = 480.0
ORBIT_DISTANCE = 1.1  # of the bulk's diagonal, from its middle
ORBIT_ELEVATION = 35.0  # degrees
ABOVE_ELEVATION = 82.0
NEAR_DISTANCES = (0.35, 0.5, 0.75)  # of the bulk's diagonal; a farther one where there is no room nearer
NEAR_ELEVATIONS = (20.0, 40.0)
INSIDE_ELEVATIONS = (-8.0, -25.0)  # a visitor who is there looks down a little
INSIDE_CANDIDATES = 96  # free places that are looked around from
INSIDE_SURROUNDED = 8  # of them, the most surrounded, that are looked at in each direction
LEAST_SURROUNDED = 0.7  # share of the sides on which something must be: else nobody is inside there
LEAST_ROOM = 0.1  # of the bulk's diagonal, to the nearest thing around an inside view
TURNS = np.arange(8) * 2 * np.pi / 8


@dataclass(frozen=True)
class View:
    """A camera of the proof."""

    kind: ViewKind
    camera: Camera


def views_of_photos(cameras: Iterable[Camera]) -> list[View]:
    """One from each camera."""
    return [View(ViewKind.PHOTO, camera) for camera in cameras]


def views_of_model(gaussians: Gaussians) -> list[View]:
    """Views of a model that came without cameras. The same model has the same ones.

    There may be none from inside, and from near fewer: where nobody can stand, or nothing is to be seen from there.

    Raises:
        ValueError: the model holds no finite Gaussian.
    """
    density = Density(gaussians)
    kinds = {
        ViewKind.ORBIT: orbit_cameras(density.bulk, 2),
        ViewKind.NEAR: _near_cameras(density),
        ViewKind.ABOVE: [_look_at_bulk(density.bulk, ABOVE_ELEVATION, TURNS[1], "above")],
        ViewKind.INSIDE: _inside_cameras(density),
    }
    return one_of_each_first(View(kind, camera) for kind, cameras in kinds.items() for camera in cameras)


def one_of_each_first(views: Iterable[View]) -> list[View]:
    """The first of each kind, then the second of each, and so on."""
    seen: dict[str, int] = {}
    ranked = []
    for view in views:
        seen[view.kind] = seen.get(view.kind, 0) + 1
        ranked.append((seen[view.kind], view))
    return [view for _, view in sorted(ranked, key=lambda pair: pair[0])]


def orbit_cameras(bulk: Bulk, count: int) -> list[Camera]:
    """Cameras evenly around the bulk, looking at its middle from above."""
    turns = np.arange(count) * 2 * np.pi / count + np.pi / 8
    return [_look_at_bulk(bulk, ORBIT_ELEVATION, turn, f"orbit {i}") for i, turn in enumerate(turns, start=1)]


def _look_at_bulk(bulk: Bulk, elevation: float, turn: float, name: str) -> Camera:
    direction = _directions(bulk.up, np.array([turn]), elevation)[0]
    position = bulk.middle + direction * ORBIT_DISTANCE * bulk.diagonal
    return look_at(position, bulk.middle, bulk.up, SIZE, FOCAL, name)


def _near_cameras(density: Density) -> list[Camera]:
    """One for each half of the model: of the place with the most Gaussians, from the side that shows most of it."""
    cameras = []
    sides = np.concatenate([_directions(density.bulk.up, TURNS, elevation) for elevation in NEAR_ELEVATIONS])
    farther = np.repeat(np.arange(len(NEAR_DISTANCES)), len(sides))
    distances = density.bulk.diagonal * np.take(NEAR_DISTANCES, farther)
    sides = np.tile(sides, (len(NEAR_DISTANCES), 1))
    for number, focus in enumerate(density.crowded_places(), start=1):
        eyes = focus + distances[:, None] * sides
        sight = density.depths(eyes, -sides[:, None], distances.max())[:, 0]
        depths = density.depths(eyes, picture_rays(-sides, density.bulk.up), density.bulk.diagonal)
        score = (
            np.isfinite(depths).mean(axis=1) + (sight > 0.7 * distances) + 3.0 * density.is_free(eyes) - 1.1 * farther
        )
        eye = eyes[int(np.argmax(score))]
        cameras.append(look_at(eye, focus, density.bulk.up, SIZE, FOCAL, f"near {number}"))
    return cameras


def _inside_cameras(density: Density) -> list[Camera]:
    """From one of the free places with the most around them, to where most is to be seen."""
    up, reach = density.bulk.up, density.bulk.diagonal
    eyes = density.free_places(INSIDE_CANDIDATES)
    around = np.stack([_directions(up, TURNS, elevation) for elevation in (-30.0, 0.0, 30.0)])
    depths = density.depths(eyes, around.reshape(-1, 3), reach).reshape(len(eyes), *around.shape[:2])
    is_roomy = depths.min(axis=(1, 2), initial=np.inf) > LEAST_ROOM * reach
    sides = np.isfinite(depths).any(axis=1).mean(axis=1)
    surrounded = np.where(is_roomy & (sides >= LEAST_SURROUNDED), np.isfinite(depths).mean(axis=(1, 2)), 0)
    best = np.argsort(-surrounded, kind="stable")[:INSIDE_SURROUNDED]
    eyes = eyes[best][surrounded[best] > 0]
    if not len(eyes):
        return []
    axes = np.concatenate([_directions(up, TURNS, elevation) for elevation in INSIDE_ELEVATIONS])
    ahead = density.depths(eyes, picture_rays(axes, up).reshape(-1, 3), reach).reshape(len(eyes), len(axes), -1)
    seen = np.mean(np.isfinite(ahead) & (ahead > LEAST_ROOM * reach), axis=2)
    place, axis = np.unravel_index(int(seen.argmax()), seen.shape)
    return [look_at(eyes[place], eyes[place] + axes[axis] * reach, up, SIZE, FOCAL, "inside")]


def _directions(up: Array, turns: Array, elevation: float) -> Array:
    """[T,3] unit vectors that rise by `elevation` degrees, turned about `up` by so many radians each."""
    side = np.eye(3)[int(np.argmin(np.abs(up)))]
    side -= (side @ up) * up
    side /= np.linalg.norm(side)
    level = np.cos(turns)[:, None] * side + np.sin(turns)[:, None] * np.cross(up, side)
    return np.asarray(np.cos(np.radians(elevation)) * level + np.sin(np.radians(elevation)) * up)


def picture_rays(axes: Array, up: Array) -> Array:
    """[T,24,3] unit vectors through an even 6 x 4 grid of the pictures of cameras that look along `axes` [T,3] and have
    `up`, [3] or [T,3], above."""
    right = np.cross(axes, up)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    down = np.cross(axes, right)
    x, y = np.meshgrid((np.arange(6) - 2.5) / 6 * SIZE[0] / FOCAL, (np.arange(4) - 1.5) / 4 * SIZE[1] / FOCAL)
    rays = axes[:, None] + x.reshape(-1, 1) * right[:, None] + y.reshape(-1, 1) * down[:, None]
    return np.asarray(rays / np.linalg.norm(rays, axis=2, keepdims=True))


def look_at(
    position: NDArray[np.float64],
    target: NDArray[np.float64],
    up: NDArray[np.float64],
    size: tuple[int, int],
    focal: float,
    name: str = "",
) -> Camera:
    """A camera at `position` with `target` in its middle; `size` in pixels, and `focal` too.

    It must not look straight along `up`.
    """
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ position
    width, height = size
    return Camera(name, width, height, focal, focal, width / 2, height / 2, pose)
