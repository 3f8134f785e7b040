"""More points to begin with, where structure from motion has few: depth by plane sweep over neighbouring photos.

Trees and meadows have hardly a feature that matches between two photos. The sparse model leaves holes there, and no
densification fills a hole within a few thousand iterations: it stays one green blot. A plane sweep (Collins, A
space-sweep approach to true multi-image matching, 1996) with normalised cross-correlation finds a depth for most
pixels in a third of a second per photo; training corrects the points from there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import grid_sample, max_pool2d

from services.train.dataset import Photo, Photos, limit_size
from spaceport.splats.cameras import Camera, sample_evenly

Points = tuple[npt.NDArray[np.float64], Photo]
"""Positions [S,3] and colours [S,3]."""

Pixels = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

LONGEST_SIDE: Final = 200
"""Pixels, longest side of the photos that are swept."""
PLANES: Final = 48
NEIGHBOURS: Final = 3
MAX_SWEPT_PHOTOS: Final = 100
WINDOW_SIDE: Final = 7
CONTRAST_FLOOR: Final = 0.02
"""Standard deviation, of 1, below which a window correlates with nothing: noise on an empty road has no depth."""
MIN_CORRELATION: Final = 0.3
"""Correlation from which on a depth is accepted. Leaves in wind seldom reach 0.7."""
DEPTH_MARGIN: Final = (0.6, 1.15)
"""Depths are swept from the nearest to the farthest sparse points, widened by these factors: trees have few points."""
POINT_RADIUS: Final = 6
"""Pixels around a sparse point in which no seed is needed."""
MIN_POINTS: Final = 4
MIN_VIEW_COSINE: Final = 0.7
"""Between the viewing directions of two photos that are compared."""
NOT_VISIBLE: Final = -2.0


def seed_points(
    cameras: list[Camera],
    photos: Photos,
    xyz: npt.NDArray[np.float64],
    count: int,
    random: np.random.Generator,
    check: Callable[[], None] = lambda: None,
) -> Points:
    """At most `count` points on which two photos or more agree, in equal parts from each photo.

    Args:
        cameras: of the training photos, in the frame of `xyz`.
        photos: of these cameras.
        xyz: [P,3] sparse points, which limit the depths.
        count: points at most.
        random: chooses among pixels.
        check: called before each photo; what it raises passes.
    """
    resized = [limit_size(camera, LONGEST_SIDE) for camera in cameras]
    references = sample_evenly(resized, MAX_SWEPT_PHOTOS)
    seeds: list[Points] = [(np.empty((0, 3)), np.empty((0, 3), np.uint8))]
    for camera in references if count > 0 else []:
        check()
        seeds.append(_sweep_photo(camera, resized, photos, xyz, -(-count // len(references)), random))
    points, colours = (np.concatenate(part) for part in zip(*seeds, strict=True))
    sample = random.permutation(len(points))[:count]
    return points[sample], colours[sample]


def _sweep_photo(
    camera: Camera,
    cameras: list[Camera],
    photos: Photos,
    xyz: npt.NDArray[np.float64],
    count: int,
    random: np.random.Generator,
) -> Points:
    """Points at randomly chosen pixels of one photo, those with an accepted depth."""
    others, depths = neighbouring_views(camera, cameras), depth_hypotheses(camera, xyz)
    if not others or depths is None:
        return np.empty((0, 3)), np.empty((0, 3), np.uint8)
    grey = _to_grey(photos.at(camera))
    scores = torch.stack(
        [plane_correlations(camera, other, grey, _to_grey(photos.at(other)), depths) for other in others]
    )
    best, plane = _window_mean(_aggregate(scores)).max(0)
    uncovered = uncovered_pixels(camera, xyz)
    rows, columns = np.nonzero((best > MIN_CORRELATION).numpy() & uncovered)
    sample = random.permutation(len(rows))[: round(count * float(uncovered.mean()))]
    rows, columns = rows[sample], columns[sample]
    depth = depths[plane].numpy()[rows, columns].astype(np.float64)
    x, y = (columns + 0.5 - camera.cx) / camera.fx, (rows + 0.5 - camera.cy) / camera.fy
    pose = camera.world_to_camera
    local = np.stack([x * depth, y * depth, depth], axis=1)
    return (local - pose[:3, 3]) @ pose[:3, :3], photos.at(camera)[rows, columns]


def uncovered_pixels(camera: Camera, xyz: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """[H,W] True where no sparse point [P,3] lies within `POINT_RADIUS` pixels: elsewhere no seed is needed."""
    rows, columns = _visible_points(camera, xyz)[1]
    marks = torch.zeros((1, 1, camera.height, camera.width))
    marks[0, 0, rows, columns] = 1
    near = max_pool2d(marks, 2 * POINT_RADIUS + 1, stride=1, padding=POINT_RADIUS)[0, 0]
    return np.asarray(near.numpy() == 0)


def neighbouring_views(camera: Camera, cameras: list[Camera]) -> list[Camera]:
    """The nearest others with a similar viewing direction, from another place."""
    gaps = [(float(np.linalg.norm(other.position - camera.position)), index) for index, other in enumerate(cameras)]
    forward = camera.world_to_camera[2, :3]
    similar = [(gap, i) for gap, i in gaps if gap > 0 and cameras[i].world_to_camera[2, :3] @ forward > MIN_VIEW_COSINE]
    return [cameras[index] for _, index in sorted(similar)[:NEIGHBOURS]]


def depth_hypotheses(camera: Camera, xyz: npt.NDArray[np.float64]) -> torch.Tensor | None:
    """[planes] depths, evenly spaced in 1/depth; None when the camera sees too few sparse points [P,3]."""
    visible = _visible_points(camera, xyz)[0]
    if len(visible) < MIN_POINTS:
        return None
    near, far = np.percentile(visible, (2, 98)) * DEPTH_MARGIN
    return torch.tensor(1 / np.linspace(1 / near, 1 / far, PLANES), dtype=torch.float32)


def _visible_points(camera: Camera, xyz: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], Pixels]:
    """Depths of the points that fall into the photo, and their rows and columns."""
    u, v, depth = camera.project(xyz)
    inside = (depth > 0) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    return depth[inside], (v[inside].astype(np.int64), u[inside].astype(np.int64))


def plane_correlations(
    reference: Camera, source: Camera, grey_reference: torch.Tensor, grey_source: torch.Tensor, depths: torch.Tensor
) -> torch.Tensor:
    """Normalised cross-correlation [planes,H,W] of windows, with all of `reference` at each depth in turn.

    Where `source` does not see it: `NOT_VISIBLE`.

    Args:
        reference: the camera that is swept.
        source: a neighbour.
        grey_reference: its photo, [1,1,H,W] in 0 to 1.
        grey_source: the neighbour's photo, likewise.
        depths: [planes] in front of `reference`.
    """
    v, u = torch.meshgrid(torch.arange(reference.height) + 0.5, torch.arange(reference.width) + 0.5, indexing="ij")
    rays = torch.stack(
        [(u - reference.cx) / reference.fx, (v - reference.cy) / reference.fy, torch.ones_like(u)], dim=-1
    )
    relative = torch.tensor(source.world_to_camera @ np.linalg.inv(reference.world_to_camera), dtype=torch.float32)
    x, y, z = (depths[:, None, None, None] * (rays @ relative[:3, :3].T) + relative[:3, 3]).unbind(-1)
    positive_z = z.clamp(min=1e-6)
    grid_x = 2 * (source.fx * x / positive_z + source.cx) / source.width - 1
    grid_y = 2 * (source.fy * y / positive_z + source.cy) / source.height - 1
    grid = torch.stack([grid_x, grid_y], dim=-1)
    warped = grid_sample(grey_source.expand(len(depths), 1, -1, -1), grid, align_corners=False)[:, 0]
    mean, mean_warped = _window_mean(grey_reference[0]), _window_mean(warped)
    variance = (_window_mean(grey_reference[0] ** 2) - mean**2).clamp(min=0) + CONTRAST_FLOOR**2
    variance_warped = (_window_mean(warped**2) - mean_warped**2).clamp(min=0) + CONTRAST_FLOOR**2
    covariance = _window_mean(grey_reference[0] * warped) - mean * mean_warped
    invisible = (grid.abs() > 1).any(-1) | (z <= 0)
    return (covariance / torch.sqrt(variance * variance_warped)).masked_fill(invisible, NOT_VISIBLE)


def _aggregate(scores: torch.Tensor) -> torch.Tensor:
    """[planes,H,W] mean of the two best of [K,planes,H,W], so that one neighbour may be occluded; or the only one."""
    best = scores.topk(min(2, len(scores)), dim=0).values
    return torch.where(best[-1] > NOT_VISIBLE, best.mean(0), best[0])


def _window_mean(planes: torch.Tensor) -> torch.Tensor:
    """Means over windows of [planes,H,W]; at the edges, of what lies inside."""
    height, width = planes.shape[1:]
    return _window_weights(height) @ planes @ _window_weights(width).T


@cache
def _window_weights(side: int) -> torch.Tensor:
    """[side,side] what each pixel adds to the mean about each: a product of matrices is 4 times as fast as a filter."""
    places = torch.arange(side)
    near = ((places[:, None] - places).abs() <= WINDOW_SIDE // 2).float()
    return near / near.sum(1, keepdim=True)


def _to_grey(photo: Photo) -> torch.Tensor:
    return torch.from_numpy(photo.mean(2, dtype=np.float32) / 255)[None, None]
