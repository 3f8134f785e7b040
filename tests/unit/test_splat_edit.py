"""Changes to a whole model: what is seen of it afterwards is what was seen before, from the changed place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from format_cases import angles, made
from hypothesis import given
from hypothesis import strategies as st

from services.compress.proving.views import look_at
from spaceport.splats import edit
from spaceport.splats.frame import Frame
from spaceport.splats.metrics import psnr
from spaceport.splats.model import Gaussians
from spaceport.splats.render import SimdRasteriser
from spaceport.splats.sh import basis, rotate_bands
from spaceport.splats.sog.lod.merge import reduce_to

turns = st.tuples(*[st.floats(-360, 360)] * 3)


@given(degrees=turns, seed=st.integers(0, 99))
def test_a_turned_model_is_seen_turned(degrees: tuple[float, float, float], seed: int) -> None:
    shN = made(3, 3, seed).shN
    rotation = edit.rotation_about_axes(degrees)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    directions = np.random.default_rng(seed).normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    before = np.einsum("dk,nkc->ndc", basis(directions, 3)[:, 1:], shN)
    after = np.einsum("dk,nkc->ndc", basis(directions @ rotation.T, 3)[:, 1:], rotate_bands(shN, rotation))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_the_order_of_axes_is_x_then_y_then_z() -> None:
    quarter = edit.rotation_about_axes((90, 0, 0))
    np.testing.assert_allclose(quarter @ (0, 1, 0), (0, 0, 1), atol=1e-12)
    both = edit.rotation_about_axes((90, 90, 0))
    np.testing.assert_allclose(both @ (0, 1, 0), edit.rotation_about_axes((0, 90, 0)) @ (0, 0, 1), atol=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_pictures_of_a_transformed_model_are_the_same_from_the_transformed_camera(degree: int) -> None:
    model = replace(made(300, degree, 3, spread=1.0), frame=Frame(up=(0.0, 0.0, 1.0), is_metric=True))
    model.scales[:] = np.clip(model.scales, -4, -1.5)
    rotation, scale, move = edit.rotation_about_axes((30, -70, 200)), 2.5, (4.0, -1.0, 9.0)
    moved = edit.transform(model, rotation, scale, move)

    def picture(of: Gaussians, position: np.ndarray, target: np.ndarray, up: np.ndarray) -> np.ndarray:
        camera = look_at(position, target, up, (160, 120), 120.0)
        return np.clip(SimdRasteriser().render(of.arrays(), camera), 0, 1)

    position, target, up = np.array((0.5, -6.0, 2.0)), np.zeros(3), np.array((0.0, 0.0, 1.0))
    before = picture(model, position, target, up)
    seen_from, seen = (scale * rotation @ point + move for point in (position, target))
    after = picture(moved, seen_from, seen, rotation @ up)
    assert before.std() > 0.05 and psnr(before, after) > 45
    assert moved.frame.up == pytest.approx(rotation @ up) and not moved.frame.is_metric


def test_a_transform_that_does_nothing_changes_nothing() -> None:
    model = replace(made(50, 2, 1), frame=Frame(up=(0.0, 0.0, 1.0), is_metric=True))
    same = edit.transform(model, np.eye(3), 1.0, (0, 0, 0))
    for name in ("means", "scales", "opacities", "sh0"):
        np.testing.assert_array_equal(getattr(same, name), getattr(model, name))
    np.testing.assert_allclose(same.shN, model.shN, atol=1e-6)
    assert angles(same, model).max() < 0.1 and same.frame == model.frame


def test_a_box_keeps_what_lies_in_it() -> None:
    model = made(500, 1, 2)
    low, high = (-2.0, -3.0, -1.0), (4.0, 2.0, 5.0)
    kept = edit.crop(model, low, high)
    inside = ((model.means >= low) & (model.means <= high)).all(axis=1)
    assert 0 < len(kept) == inside.sum() < 500
    np.testing.assert_array_equal(kept.shN, model.shN[inside])


def test_joined_models_lie_in_the_first_ones_frame() -> None:
    first, second = made(20, 0, 1), made(30, 2, 2)
    first = replace(first, frame=Frame(origin=(1000.0, 0.0, 0.0)))
    second = replace(second, frame=Frame(origin=(1010.0, 0.0, -5.0)), notes=("Of the second.",))
    both = edit.join([first, second])
    assert len(both) == 50 and both.sh_degree == 2 and both.frame == first.frame and both.notes == ("Of the second.",)
    np.testing.assert_allclose(both.means[20:], second.means + np.array((10, 0, -5)), atol=1e-5)
    assert not both.shN[:20].any()
    with pytest.raises(ValueError, match="a million units apart"):
        edit.join([first, replace(second, frame=Frame(origin=(5e6, 0.0, 0.0)))])
    with pytest.raises(ValueError, match="antialiased"):
        edit.join([first, replace(second, antialiased=True)])


@given(count=st.integers(1, 60), target=st.integers(1, 80))
def test_decimation_ends_at_the_number_that_was_asked_for(count: int, target: int) -> None:
    fewer = reduce_to(made(count, 1, count), target)
    assert len(fewer) == min(count, target)
    assert all(np.isfinite(array).all() for array in fewer.arrays().values())
