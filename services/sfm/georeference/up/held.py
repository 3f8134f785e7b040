"""Up from how cameras are held: level, right side up, looking ahead or down, and straight down from the air."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from services.sfm.georeference.up.evidence import OPEN, UpEvidence, isotropic
from services.sfm.georeference.up.photos import PosedPhotos
from services.sfm.georeference.up.planes import GROUND
from services.sfm.georeference.up.robust import COMMON_SHARE, mean_direction, mean_sigma
from services.sfm.georeference.up.sphere import DIRECTIONS
from services.sfm.georeference.wgs84 import Array

LEVEL: Final = "level horizons"
HELD: Final = "how the cameras were held"
STRAIGHT_DOWN: Final = "views straight down"
STRAIGHT_AHEAD: Final = "views straight ahead"
WALL: Final = "the facade that they show"

HABIT: Final = np.radians(1.0)  # by which all photos of one camera may lean
LEAN: Final = 1.2  # to the scatter: cameras without a gimbal lean in the wind, all to one side (Caliterra: 5.6 to 4.2)
PLUMB: Final = np.radians(2.0)  # facades, and their windows and ledges
ROUGHLY: Final = np.radians(40.0)
ONE_WAY: Final = 0.9  # length of the mean view, from which on all cameras look the same way
SAME_SIDE_UP: Final = 0.8  # length of the mean of the tops, from which on no camera was turned about its view
SPREAD_ENOUGH: Final = 0.3
ACROSS: Final = 0.9  # cosine of the angle between a plane's normal and the view
MOSTLY: Final = 0.85
MAX_PITCH_RANGE: Final = np.radians(110.0)  # nobody tilts a camera by more within one set
SHAKE: Final = np.radians(2.5)  # of a camera; right sides that spread by less are one
ROUNDS: Final = 20
CHANCE: Final = 6.0  # over the root of the number of photos: by how much variances differ by chance, as a share


def level_evidence(photos: PosedPhotos) -> UpEvidence | None:
    """Up is at right angles to the right sides of all pictures that were taken level, whatever their pitch.

    It is the smallest principal axis of the right sides, by iteratively reweighted least squares with Cauchy's
    weights. Where all pictures have the same right side, the rotation about it is open. Looking straight down, left
    and upper sides are horizontal too, so that a wrong orientation tag does no harm there.
    """
    if len(photos.rotations) < 3:
        return None
    rights, tops = photos.rights, photos.tops
    up, sigmas, axes = _across(rights)
    if np.isfinite(sigmas).all() and sigmas.max() >= OPEN / 4 and _range_about(rights, tops) > MAX_PITCH_RANGE:
        # pictures that were taken upright and have lost their orientation tag
        up, sigmas, axes = _across(tops)
        return UpEvidence(LEVEL, up, axes, sigmas, 0.5, signed=False)
    heights = tops @ up
    if np.median(heights) < 0:
        up, heights = -up, -heights
    same_side = np.median(heights) > SPREAD_ENOUGH and (heights > 0).mean() > MOSTLY
    signed = bool(same_side and sigmas.max() < OPEN / 4)
    return UpEvidence(LEVEL, up, axes, sigmas, 0.8, signed)


def _across(sides: Array) -> tuple[Array, Array, Array]:
    """The direction [3] at right angles to the unit vectors [N,3], its sigmas [2] and their axes [2,3]."""
    errors = np.minimum(np.square(sides @ DIRECTIONS.T), np.sin(np.radians(15)) ** 2).sum(axis=0)
    up = DIRECTIONS[int(np.argmin(errors))]
    scatter, lengths, axes = 0.0, np.ones(3), np.eye(3)
    for _ in range(ROUNDS):
        misses = np.abs(sides @ up)
        scatter = max(1e-6, 1.4826 * float(np.median(misses)))
        weights = 1 / (1 + np.square(misses / (2.4 * scatter)))
        lengths, columns = np.linalg.eigh((weights[:, None] * sides).T @ sides / weights.sum())
        axes, up = columns.T, columns[:, 0]
    noise = scatter**2 + HABIT**2
    by_chance = max(float(lengths[0]), SHAKE**2) * (1 + CHANCE / np.sqrt(len(sides)))
    information = np.maximum(lengths[1:] - by_chance, 1e-9) / noise / (1 / len(sides) + COMMON_SHARE)
    return up, np.sqrt(1 / information + HABIT**2 + (LEAN * scatter) ** 2), axes[1:]


def _range_about(rights: Array, tops: Array) -> float:
    """The range (radians) of the turns of the tops [N,3] about the common right side."""
    axis, _ = mean_direction(rights)
    start = tops[0] - (tops[0] @ axis) * axis
    start /= max(1e-9, float(np.linalg.norm(start)))
    turns = np.sort(np.arctan2(tops @ np.cross(axis, start), tops @ start))
    gaps = np.diff(np.append(turns, turns[0] + 2 * np.pi))
    return float(2 * np.pi - gaps.max())


def held_evidence(photos: PosedPhotos) -> UpEvidence | None:
    """Roughly: cameras are held the right side up, and look ahead or down, not to the sky."""
    mean = photos.tops.mean(axis=0) - photos.views.mean(axis=0)
    if not np.linalg.norm(mean) > SPREAD_ENOUGH:
        return None
    return isotropic(HELD, mean, ROUGHLY, 0.9)


def one_way_evidence(photos: PosedPhotos, planes: list[UpEvidence]) -> list[UpEvidence]:
    """Where all cameras look the same way: straight down from the air, or straight ahead at a facade; and `planes`.

    A camera that was turned about its view by a lot, or moved in a plane across its view, looks down. On a single
    line, drones fly towards the picture's upper side, and people walk along the facade to its right. Where nothing
    but this speaks against a facade, the planes that lie across the view are no witnesses of their own: a facade that
    is flown along has them too. They share one vote.
    """
    views, tops = photos.views, photos.tops
    if len(views) < 3 or np.linalg.norm(views.mean(axis=0)) < ONE_WAY:
        return planes
    view, scatter = mean_direction(views)
    turned = bool(np.linalg.norm(tops.mean(axis=0)) < SAME_SIDE_UP)
    down, ahead = _shares(photos, view, turned)
    error = float(np.hypot(LEAN * scatter, np.radians(2.0 if turned else 5.0)))
    evidence = isotropic(STRAIGHT_DOWN, -view, mean_sigma(scatter, len(views), error), down)
    if turned:
        return [*planes, replace(evidence, vote=0.5)]  # a lean is that of the level horizons too
    across = [plane for plane in planes if abs(float(plane.direction @ view)) > ACROSS and plane.sigmas.max() < OPEN]
    vote = 1 / (1 + len(across))
    together = [replace(plane, vote=vote, reliability=min(plane.reliability, down)) for plane in across]
    top, top_scatter = mean_direction(tops)
    sigma = mean_sigma(top_scatter, len(tops), np.radians(5.0))
    others = [plane for plane in planes if plane not in across]
    walls = [_as_wall(plane, top, ahead) for plane in across if plane.source == GROUND]
    return [*others, *together, replace(evidence, vote=vote), isotropic(STRAIGHT_AHEAD, top, sigma, ahead), *walls]


def _as_wall(plane: UpEvidence, top: Array, reliability: float) -> UpEvidence:
    """The plane of most points as a facade: up lies in it, and the turn about its normal is open."""
    within = top - (top @ plane.direction) * plane.direction
    within /= max(1e-9, float(np.linalg.norm(within)))
    axes = np.array([plane.direction, np.cross(plane.direction, within)])
    return UpEvidence(WALL, within, axes, np.array([PLUMB, 2 * OPEN]), reliability, signed=False, vote=0.5)


def _shares(photos: PosedPhotos, view: Array, turned: bool) -> tuple[float, float]:
    """The probability that the cameras look straight down, and that they look straight ahead."""
    if turned:
        return 0.85, 0.0
    _, lengths, axes = np.linalg.svd(photos.centres - photos.centres.mean(axis=0), full_matrices=False)
    is_plane = len(photos.centres) > 3 and lengths[2] <= 0.35 * lengths[1] and lengths[1] > 0.1 * lengths[0]
    if is_plane:
        return (0.75, 0.1) if abs(float(axes[2] @ view)) > 0.8 else (0.2, 0.4)
    to_the_right = np.median(np.abs(photos.rights @ axes[0]))
    return (0.2, 0.6) if to_the_right > 0.8 else (0.6, 0.15)
