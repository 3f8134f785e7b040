"""More points to begin with, where structure from motion found few: depth by plane sweep over neighbouring photos.

Trees and meadows give hardly a feature that two photos agree on. The sparse model leaves holes there, and no
densification fills a hole within a few thousand iterations: it stays one green blot. A plane sweep (Collins, A
space-sweep approach to true multi-image matching, 1996) with normalised cross-correlation finds a depth for most
pixels in a third of a second per photo; training corrects the points from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import avg_pool2d, grid_sample, max_pool2d

from services.train.dataset import Photo, Photos, finest
from services.train.evaluate import spread
from spaceport.splats.cameras import Camera

Points = tuple[npt.NDArray[np.float64], Photo]
"""Positions [S,3] and colours [S,3]."""

Pixels = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

SIDE: Final = 200
"""Pixels, longest side of the photos that are swept."""
PLANES: Final = 48
NEIGHBOURS: Final = 3
MOST_PHOTOS: Final = 100
WINDOW: Final = 7
FLAT: Final = 0.02
"""Contrast, of 1, of windows that begin to correlate with nothing: noise on an empty road has no depth."""
LEAST_SCORE: Final = 0.3
"""Correlation from which on a depth is believed. Leaves in wind seldom reach 0.7."""
RANGE: Final = (0.6, 1.15)
"""Depths are sought from the nearest to the farthest sparse points, widened by these: trees have few points."""
REACH: Final = 6
"""Pixels around a sparse point that it accounts for."""
FEWEST_POINTS: Final = 4
SAME_WAY: Final = 0.7
"""Least cosine between the directions of two photos that are compared."""
UNSEEN: Final = -2.0


def seed_points(
    cameras: list[Camera],
    photos: Photos,
    xyz: npt.NDArray[np.float64],
    count: int,
    random: np.random.Generator,
    check: Callable[[], None] = lambda: None,
) -> Points:
    """At most `count` points that two photos or more agree on, in equal parts from each photo.

    Args:
        cameras: of the training photos, in the frame of `xyz`.
        photos: theirs.
        xyz: [P,3] sparse points, which tell where depths are sought.
        count: points wanted.
        random: of the choice among pixels.
        check: called before each photo; what it raises passes.
    """
    swept = [finest(camera, SIDE) for camera in cameras]
    chosen = spread(swept, MOST_PHOTOS)
    found: list[Points] = [(np.empty((0, 3)), np.empty((0, 3), np.uint8))]
    for camera in chosen if count > 0 else []:
        check()
        found.append(_points_of(camera, swept, photos, xyz, -(-count // len(chosen)), random))
    points, colours = (np.concatenate(part) for part in zip(*found, strict=True))
    kept = random.permutation(len(points))[:count]
    return points[kept], colours[kept]


def _points_of(
    camera: Camera,
    cameras: list[Camera],
    photos: Photos,
    xyz: npt.NDArray[np.float64],
    count: int,
    random: np.random.Generator,
) -> Points:
    """Points at randomly chosen pixels of one photo, those with a believable depth."""
    others, depths = neighbours(camera, cameras), plausible_depths(camera, xyz)
    if not others or depths is None:
        return np.empty((0, 3)), np.empty((0, 3), np.uint8)
    grey = _grey(photos.at(camera))
    scores = torch.stack([correlations(camera, other, grey, _grey(photos.at(other)), depths) for other in others])
    best, plane = _window(_agreement(scores)).max(0)
    bare = holes(camera, xyz)
    rows, columns = np.nonzero((best > LEAST_SCORE).numpy() & bare)
    picked = random.permutation(len(rows))[: round(count * float(bare.mean()))]
    rows, columns = rows[picked], columns[picked]
    depth = depths[plane].numpy()[rows, columns].astype(np.float64)
    x, y = (columns + 0.5 - camera.cx) / camera.fx, (rows + 0.5 - camera.cy) / camera.fy
    pose = camera.world_to_camera
    local = np.stack([x * depth, y * depth, depth], axis=1)
    return (local - pose[:3, 3]) @ pose[:3, :3], photos.at(camera)[rows, columns]


def holes(camera: Camera, xyz: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """[H,W] True where no sparse point [P,3] is seen within `REACH` pixels: elsewhere a point says it better."""
    rows, columns = _seen(camera, xyz)[1]
    marks = torch.zeros((1, 1, camera.height, camera.width))
    marks[0, 0, rows, columns] = 1
    near = max_pool2d(marks, 2 * REACH + 1, stride=1, padding=REACH)[0, 0]
    return np.asarray(near.numpy() == 0)


def neighbours(camera: Camera, cameras: list[Camera]) -> list[Camera]:
    """The nearest others that look the same way, from another place."""
    gaps = [(float(np.linalg.norm(other.position - camera.position)), index) for index, other in enumerate(cameras)]
    forward = camera.world_to_camera[2, :3]
    alike = [(gap, i) for gap, i in gaps if gap > 0 and cameras[i].world_to_camera[2, :3] @ forward > SAME_WAY]
    return [cameras[index] for _, index in sorted(alike)[:NEIGHBOURS]]


def plausible_depths(camera: Camera, xyz: npt.NDArray[np.float64]) -> torch.Tensor | None:
    """[planes] depths, evenly spaced in 1/depth; None when the camera sees too few sparse points [P,3] to tell."""
    seen = _seen(camera, xyz)[0]
    if len(seen) < FEWEST_POINTS:
        return None
    near, far = np.percentile(seen, (2, 98)) * RANGE
    return torch.tensor(1 / np.linspace(1 / near, 1 / far, PLANES), dtype=torch.float32)


def _seen(camera: Camera, xyz: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], Pixels]:
    """Depths of the points that fall into the photo, and their rows and columns."""
    u, v, depth = camera.project(xyz)
    inside = (depth > 0) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    return depth[inside], (v[inside].astype(np.int64), u[inside].astype(np.int64))


def correlations(
    mine: Camera, other: Camera, grey: torch.Tensor, theirs: torch.Tensor, depths: torch.Tensor
) -> torch.Tensor:
    """Normalised cross-correlation [planes,H,W] of windows, were all of `mine` at each depth; `UNSEEN` outside `other`.

    Args:
        mine, other: two cameras.
        grey, theirs: their photos, [1,1,H,W] in 0 to 1.
        depths: [planes] before `mine`.
    """
    v, u = torch.meshgrid(torch.arange(mine.height) + 0.5, torch.arange(mine.width) + 0.5, indexing="ij")
    rays = torch.stack([(u - mine.cx) / mine.fx, (v - mine.cy) / mine.fy, torch.ones_like(u)], dim=-1)
    relative = torch.tensor(other.world_to_camera @ np.linalg.inv(mine.world_to_camera), dtype=torch.float32)
    x, y, z = (depths[:, None, None, None] * (rays @ relative[:3, :3].T) + relative[:3, 3]).unbind(-1)
    before = z.clamp(min=1e-6)
    across = 2 * (other.fx * x / before + other.cx) / other.width - 1
    down = 2 * (other.fy * y / before + other.cy) / other.height - 1
    grid = torch.stack([across, down], dim=-1)
    warped = grid_sample(theirs.expand(len(depths), 1, -1, -1), grid, align_corners=False)[:, 0]
    mean, mean_warped = _window(grey[0]), _window(warped)
    variance = (_window(grey[0] ** 2) - mean**2).clamp(min=0) + FLAT**2
    variance_warped = (_window(warped**2) - mean_warped**2).clamp(min=0) + FLAT**2
    covariance = _window(grey[0] * warped) - mean * mean_warped
    unseen = (grid.abs() > 1).any(-1) | (z <= 0)
    return (covariance / torch.sqrt(variance * variance_warped)).masked_fill(unseen, UNSEEN)


def _agreement(scores: torch.Tensor) -> torch.Tensor:
    """[planes,H,W] mean of the two best of [K,planes,H,W], so that one neighbour may be hidden; or the only one."""
    best = scores.topk(min(2, len(scores)), dim=0).values
    return torch.where(best[-1] > UNSEEN, best.mean(0), best[0])


def _window(planes: torch.Tensor) -> torch.Tensor:
    """Means over windows of [planes,H,W], one axis after the other; at the edges, of what lies inside."""
    for side in ((WINDOW, 1), (1, WINDOW)):
        padding = (side[0] // 2, side[1] // 2)
        planes = avg_pool2d(planes[:, None], side, stride=1, padding=padding, count_include_pad=False)[:, 0]
    return planes


def _grey(photo: Photo) -> torch.Tensor:
    return torch.from_numpy(photo.mean(2, dtype=np.float32) / 255)[None, None]
