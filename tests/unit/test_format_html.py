"""What the page shows first: the right way up, and all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_models import noise

from spaceport.splats.cameras import Camera
from spaceport.splats.formats import html
from spaceport.splats.frame import Vec3

Y_DOWN = (0.0, -1.0, 0.0)


def test_land_is_flat_along_its_upward_axis_and_all_else_has_y_downwards() -> None:
    model = noise(500)
    assert html.likely_up(model) == Y_DOWN
    for axis in range(3):
        flat = model.means * np.where(np.arange(3) == axis, 0.05, 1).astype(np.float32)
        up = np.zeros(3)
        up[axis] = -1
        assert html.likely_up(replace(model, means=flat)) == tuple(up)


@pytest.mark.parametrize("shape", [(1, 1, 1), (0.2, 2, 0.3), (9, 0.1, 5)])
@pytest.mark.parametrize("up", [Y_DOWN, (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)])
def test_a_model_is_seen_whole_and_from_above(shape: tuple[float, float, float], up: Vec3) -> None:
    random = np.random.default_rng(0)
    means = random.uniform(-1, 1, (2000, 3)) * shape + (5, -3, 8)
    means[:10] += 1e4  # floaters
    model = replace(noise(2000), means=means.astype(np.float32), opacities=np.ones(2000, np.float32))
    view = html.first_view(model, up)
    ahead = np.array(view.target) - view.eye
    ahead /= np.linalg.norm(ahead)
    towards = means[10:] - view.eye
    cosine = towards @ ahead / np.linalg.norm(towards, axis=1)
    assert np.degrees(np.arccos(cosine)).max() < 25  # half of the page's field of view
    assert ahead @ np.array(up) < -0.5


def test_with_cameras_it_begins_where_a_photo_was_taken() -> None:
    pose = np.eye(4)
    pose[:3, 3] = (0, 0, 7)
    camera = Camera("a", 64, 48, 50, 50, 32, 24, pose)
    view = html.first_view(noise(500), Y_DOWN, [camera])
    assert view.eye == pytest.approx((0, 0, -7)) and view.target[:2] == pytest.approx((0, 0))
    assert abs(view.target[2]) < 0.5 and view.up == Y_DOWN


@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.0, 0.0, -1.0)])
def test_what_stands_on_land_says_which_side_of_it_is_up(up: Vec3) -> None:
    model = noise(1000)
    height = np.abs(model.means[:, 2]) * up[2] * 0.05
    assert html.likely_up(replace(model, means=np.column_stack([model.means[:, :2], height]))) == up
