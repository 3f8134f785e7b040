"""Sets of posed cameras with points, as structure from motion would leave them: in a frame turned at random.

East, north and up are true before the turn, in metres; nothing is rendered. Cameras shake by a few degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from services.sfm.georeference.up.photos import PosedPhotos
from services.sfm.georeference.wgs84 import Array

UP = np.array([0.0, 0.0, 1.0])
# world to camera turns of the stored grid that each EXIF orientation undoes
STORED = {
    1: np.eye(3),
    3: np.diag([-1.0, -1.0, 1.0]),
    6: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    8: np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
}


@dataclass(frozen=True, eq=False)
class CameraSet:
    """`photos` in the model's frame; `up` is true up in it, `targets` the true centres in metres [N,3]."""

    photos: PosedPhotos
    up: Array
    targets: Array

    def angle_deg(self, direction: Array) -> float:
        """Degrees between a direction in the model and true up."""
        return float(np.degrees(np.arccos(np.clip(direction @ self.up, -1.0, 1.0))))


def look(centre: Array, forward: Array, top: Array = UP) -> Array:
    """World to camera [3,3]: along `forward`, the picture's upper side as near to `top` as can be."""
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, top)
    right /= np.linalg.norm(right)
    return np.array([right, np.cross(forward, right), forward])


def shaken(rotations: Array, rng: np.random.Generator, degrees: float) -> Array:
    return np.array([_turn(rng.normal(0, np.radians(degrees), 3)) @ rotation for rotation in rotations])


def _turn(vector: Array) -> Array:
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / max(angle, 1e-12)
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k)


def ground_points(rng: np.random.Generator, size: float, slope_deg: float = 0.0) -> Array:
    """A ground of `size` metres with houses and trees on a third of it, noisy."""
    points = rng.uniform([-size / 2, -size / 2, 0], [size / 2, size / 2, 0], (900, 3))
    points[:300, 2] = rng.uniform(0, size / 10, 300)
    points[:, 2] += np.tan(np.radians(slope_deg)) * points[:, 0]
    return np.asarray(points + rng.normal(0, size / 1000, points.shape))


def make_set(
    rotations: Array,
    centres: Array,
    points: Array,
    seed: int,
    *,
    shake_deg: float = 1.5,
    orientations: Array | None = None,
    gimbals: Array | bool = False,
) -> CameraSet:
    """Shake the cameras, store their pictures by their orientation tags, and turn all into a model's frame.

    `gimbals`: pitch, roll and yaw in degrees [N,3]; or whether there are true ones, which know nothing of the roll.
    """
    rng = np.random.default_rng([seed, 7])
    rotations = shaken(rotations, rng, shake_deg)
    if orientations is None:
        orientations = np.ones(len(centres), dtype=np.int64)
    stored = np.array([STORED[int(tag)] @ rotation for tag, rotation in zip(orientations, rotations, strict=True)])
    if gimbals is True:
        gimbals = gimbal_of(rotations)
    elif gimbals is False:
        gimbals = np.full((len(centres), 3), np.nan)
    frame = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    frame *= np.linalg.det(frame)
    scale, shift = rng.uniform(0.02, 0.2), rng.uniform(-5, 5, 3)
    photos = PosedPhotos(
        rotations=stored @ frame.T,
        centres=scale * centres @ frame.T + shift,
        orientations=np.asarray(orientations, dtype=np.int64),
        gimbals=gimbals,
        points=scale * points @ frame.T + shift,
    )
    return CameraSet(photos, frame @ UP, centres)


def gimbal_of(rotations: Array) -> Array:
    """Pitch, roll and yaw in degrees [N,3] as a gimbal that keeps its roll at 0 notes them; past nadir it flips."""
    right, forward = rotations[:, 0], rotations[:, 2]
    ahead = np.column_stack([-right[:, 1], right[:, 0], np.zeros(len(right))])  # horizontal, left of `right`
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    pitch = np.degrees(np.arctan2(forward[:, 2], (forward * ahead).sum(axis=1)))
    yaw = np.degrees(np.arctan2(ahead[:, 0], ahead[:, 1]))
    past = pitch < -90
    return np.column_stack(
        [np.where(past, -180 - pitch, pitch), np.where(past, 180.0, 0.0), np.where(past, yaw + 180, yaw)]
    )


def nadir_grid(lines: int = 4, length: int = 5, to_and_fro: bool = True) -> tuple[Array, Array]:
    """Rotations and centres of a flight at 40 m; with `to_and_fro` every other line has the opposite heading."""
    places, rotations = [], []
    for line in range(lines):
        heading = -1.0 if to_and_fro and line % 2 else 1.0
        for step in range(length):
            centre = np.array([15.0 * (line - (lines - 1) / 2), heading * 9.0 * (step - (length - 1) / 2), 40.0])
            places.append(centre)
            rotations.append(look(centre, -UP, np.array([0.0, heading, 0.0])))
    return np.array(rotations), np.array(places)


def orbit(count: int = 16, arc_deg: float = 360.0, height: float = 30.0, radius: float = 30.0) -> tuple[Array, Array]:
    """Rotations and centres of an orbit that looks at the middle, in the picture's upper side up."""
    turns = np.radians(np.linspace(0, arc_deg, count, endpoint=arc_deg < 360))
    centres = np.column_stack([radius * np.cos(turns), radius * np.sin(turns), np.full(count, height)])
    return np.array([look(centre, np.array([0.0, 0.0, 1.5]) - centre) for centre in centres]), centres


def strip(count: int = 6) -> tuple[Array, Array]:
    """Rotations and centres of one line towards north at 40 m that looks straight down."""
    centres = np.array([[0.0, 9.0 * step, 40.0] for step in range(count)])
    return np.array([look(centre, -UP, np.array([0.0, 1.0, 0.0])) for centre in centres]), centres


def facade(length: int, rows: int) -> tuple[Array, Array]:
    """Rotations and centres of somebody who looks north at a wall, and goes along it in rows one over the other."""
    centres = np.array([[2.0 * step, 0.0, 1.6 + 6.0 * row] for row in range(rows) for step in range(length)])
    return np.array([look(centre, np.array([0.0, 1.0, 0.02])) for centre in centres]), centres


def wall_points(seed: int) -> Array:
    """A wall, and less of the ground before it."""
    rng = np.random.default_rng([seed, 5])
    wall, before = rng.uniform([-2, 10, 0], [26, 10.2, 8], (800, 3)), rng.uniform([-2, 2, 0], [26, 10, 0.1], (200, 3))
    return np.concatenate([wall, before])


def court(seed: int, count: int = 20) -> tuple[Array, Array, Array]:
    """Rotations, centres at the height of eyes, and points of the four walls around and a little of the ground."""
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ahead = np.column_stack([np.cos(turns), np.sin(turns), np.zeros(count)])
    rng, points = np.random.default_rng([seed, 6]), []
    for axis, place in ((0, -8), (0, 8), (1, -8), (1, 8)):
        wall = rng.uniform([-8, -8, 0], [8, 8, 6], (200, 3))
        wall[:, axis] = place
        points.append(wall)
    points.append(rng.uniform([-8, -8, 0], [8, 8, 0.05], (60, 3)))
    centres = 2 * ahead + [0, 0, 1.6]
    return (
        np.array([look(c, a + 0.1 * UP) for c, a in zip(centres, ahead, strict=True)]),
        centres,
        np.concatenate(points),
    )


def with_noise(centres: Array, seed: int, metres: float) -> Array:
    """Centres that were not flown so exactly."""
    return np.asarray(centres + np.random.default_rng([seed, 3]).normal(0, metres, centres.shape))


def retagged(chosen: CameraSet, orientations: Array) -> CameraSet:
    """The same pictures with other orientation tags, right or wrong."""
    return replace(chosen, photos=replace(chosen.photos, orientations=np.asarray(orientations, dtype=np.int64)))
