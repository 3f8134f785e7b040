"""Seeds by plane sweep: on a hill painted with known noise they lie on the hill, in its colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from services.train.dataset import Photo, Photos
from services.train.seeding import (
    NOT_VISIBLE,
    POINT_RADIUS,
    depth_hypotheses,
    neighbouring_views,
    plane_correlations,
    seed_points,
    uncovered_pixels,
)
from spaceport.splats.cameras import Camera

WIDTH, HEIGHT, FOCAL, UP = 120, 90, 110.0, 10.0


def camera(x: float, y: float, name: str = "a.png") -> Camera:
    """Looks straight down from 10 above the origin's plane."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = -pose[:3, :3] @ np.array([x, y, UP])
    return Camera(name, WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, pose)


def height(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 2.0 * np.exp(-(x**2 + y**2) / 8)


def paint(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], channel: int) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(channel)
    waves = [(random.normal(size=2) * 5, random.uniform(0, 6)) for _ in range(24)]
    mixed: npt.NDArray[np.float64] = 0.5 + sum(np.sin(k[0] * x + k[1] * y + p) for k, p in waves) / 24
    return mixed


class Painted(Photos):
    """Photos that are drawn when they are asked for, by marching each ray onto the hill."""

    def __init__(self) -> None:
        super().__init__(Path())
        self._drawn: dict[str, Photo] = {}

    def at(self, camera: Camera) -> Photo:
        if camera.name not in self._drawn:
            self._drawn[camera.name] = self._draw(camera)
        return self._drawn[camera.name]

    def _draw(self, camera: Camera) -> Photo:
        u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
        a, b = (u - camera.cx) / camera.fx, -(v - camera.cy) / camera.fy
        depth = np.full(u.shape, UP)
        for _ in range(25):
            x, y = camera.position[0] + a * depth, camera.position[1] + b * depth
            depth = UP - height(x, y)
        colours = [paint(x, y, channel) for channel in range(3)]
        return (np.clip(np.stack(colours, axis=-1), 0, 1) * 255).astype(np.uint8)


PHOTOS = Painted()
CAMERAS = [camera(x, y, f"{x}{y}.png") for x in (-1.0, 0.0, 1.0) for y in (-0.8, 0.8)]
FLAT_GROUND = np.random.default_rng(1).uniform(-4, 4, (60, 3)) * (1, 1, 0)


def test_seeds_lie_on_the_surface_in_its_colours() -> None:
    xyz, rgb = seed_points(CAMERAS, PHOTOS, FLAT_GROUND, 2_000, np.random.default_rng(0))
    assert xyz.shape == rgb.shape
    assert 500 < len(xyz) < 2_000  # the more of a photo the sparse points account for, the fewer seeds it gets
    errors = np.abs(xyz[:, 2] - height(xyz[:, 0], xyz[:, 1]))
    assert np.median(errors) < 0.1  # a plane of the sweep is 0.2 thick here; the sparse points knew of no hill
    assert np.mean(errors < 0.4) > 0.9
    on_hill = np.hypot(xyz[:, 0], xyz[:, 1]) < 1
    assert on_hill.sum() > 20
    painted = np.stack([paint(xyz[:, 0], xyz[:, 1], channel) for channel in range(3)], axis=-1) * 255
    assert np.median(np.abs(painted - rgb)) < 8


def test_the_same_seed_gives_the_same_points_and_none_are_none() -> None:
    first, second = (seed_points(CAMERAS[:3], PHOTOS, FLAT_GROUND, 50, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert len(seed_points(CAMERAS, PHOTOS, FLAT_GROUND, 0, np.random.default_rng(0))[0]) == 0


def test_empty_pictures_one_camera_or_unseen_points_give_no_seeds() -> None:
    class Grey(Painted):
        def at(self, camera: Camera) -> Photo:
            return np.full((camera.height, camera.width, 3), 127, np.uint8)

    random = np.random.default_rng(0)
    assert len(seed_points(CAMERAS, Grey(), FLAT_GROUND, 100, random)[0]) == 0
    assert len(seed_points(CAMERAS[:1], PHOTOS, FLAT_GROUND, 100, random)[0]) == 0
    assert len(seed_points(CAMERAS, PHOTOS, FLAT_GROUND + 500.0, 100, random)[0]) == 0


def test_holes_are_where_no_point_is_near() -> None:
    middle = np.array([[CAMERAS[0].position[0], CAMERAS[0].position[1], 0.0]])
    uncovered = uncovered_pixels(CAMERAS[0], middle)
    assert uncovered.shape == (HEIGHT, WIDTH)
    rows = slice(HEIGHT // 2 - POINT_RADIUS, HEIGHT // 2 + POINT_RADIUS)
    columns = slice(WIDTH // 2 - POINT_RADIUS, WIDTH // 2 + POINT_RADIUS)
    assert not uncovered[rows, columns].any()
    assert uncovered.sum() == HEIGHT * WIDTH - (2 * POINT_RADIUS + 1) ** 2
    assert uncovered_pixels(CAMERAS[0], FLAT_GROUND + 500.0).all()


def test_neighbours_are_near_and_look_the_same_way() -> None:
    away = replace(camera(0.1, 0), world_to_camera=np.eye(4))
    here = CAMERAS[0]
    views = neighbouring_views(here, [here, away, camera(9, 9), *CAMERAS[1:]])
    assert views == [CAMERAS[2], CAMERAS[1], CAMERAS[3]]


def test_depths_reach_beyond_the_points_and_need_some() -> None:
    depths = depth_hypotheses(CAMERAS[0], FLAT_GROUND)
    assert depths is not None
    assert float(depths[0]) == pytest.approx(0.6 * UP)
    assert float(depths[-1]) == pytest.approx(1.15 * UP)
    assert depth_hypotheses(CAMERAS[0], FLAT_GROUND[:2]) is None


def test_a_camera_correlates_with_itself_and_not_outside_another() -> None:
    grey = torch.rand((1, 1, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0))
    depths = torch.tensor([5.0, 10.0])
    same = plane_correlations(CAMERAS[0], CAMERAS[0], grey, grey, depths)
    assert float(same.min()) > 0.97
    assert (plane_correlations(CAMERAS[0], camera(500, 0), grey, grey, depths) == NOT_VISIBLE).all()


def test_every_photo_is_a_place_to_stop() -> None:
    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    with pytest.raises(Enough):
        seed_points(CAMERAS, PHOTOS, FLAT_GROUND, 10, np.random.default_rng(0), stop)
