"""How far a level is from the finest one: zero for the same picture, more the more of it is gone or has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_models import gaussians

from spaceport.splats.model import Gaussians
from spaceport.splats.sog.lod.image_error import LeafErrors


def ball(count: int = 600, colour: float = 0.0, seed: int = 0) -> Gaussians:
    """A closed surface of radius 1 in one colour: 0.5 + 0.28 `colour`."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(count, 3))
    return gaussians(
        means=points / np.linalg.norm(points, axis=1, keepdims=True),
        quats=random.normal(size=(count, 4)),
        scales=np.full((count, 3), np.log(0.12)),
        opacities=np.full(count, 3.0),
        sh0=np.full((count, 1, 3), colour),
        shN=np.zeros((count, 3, 3)),
    )


def measure(*levels: Gaussians, scale: float = 1.0) -> list[float]:
    return LeafErrors(levels[0].antialiased).measure(levels, *(np.full(3, sign * 1.2 * scale) for sign in (-1, 1)))


def thinned(model: Gaussians, every: int) -> Gaussians:
    return model.subset(np.arange(0, len(model), every))


def test_the_same_picture_has_no_error_and_an_unseen_one_the_whole() -> None:
    model = ball()
    unseen = replace(model, opacities=np.full(len(model), -9.0, np.float32))
    assert measure(model, model, unseen) == pytest.approx([0, 0, 1], abs=1e-6)


def test_nothing_to_see_is_no_error_and_something_instead_is_a_whole_one() -> None:
    model = ball()
    unseen = replace(model, opacities=np.full(len(model), -9.0, np.float32))
    assert measure(unseen, unseen, model) == [0, 0, 1]


def test_fewer_gaussians_are_a_larger_error_and_it_never_falls() -> None:
    model = ball()
    errors = measure(model, thinned(model, 2), thinned(model, 8), model)
    assert 0 == errors[0] < errors[1] < errors[2] == errors[3] < 1


def test_black_before_black_counts_by_what_it_covers() -> None:
    black = ball(colour=-0.5 / 0.28209479177387814)
    assert measure(black, thinned(black, 8))[1] > 0.1, "its colours are all zero"


def test_colour_that_only_harmonics_show_counts() -> None:
    model = ball()
    bands: Any = np.zeros((len(model), 3, 3), np.float32)
    bands[:, 1] = 0.5
    assert measure(replace(model, shN=bands), model)[1] > 0.01


def test_size_and_place_do_not_matter() -> None:
    model, far = ball(), np.array([5e4, -3e4, 100.0])
    small = replace(model, means=model.means * np.float32(0.01), scales=model.scales + np.float32(np.log(0.01)))
    moved = replace(
        model, means=(model.means * 100 + far).astype(np.float32), scales=model.scales + np.float32(np.log(100))
    )
    expected = measure(model, thinned(model, 4))[1]
    assert measure(small, thinned(small, 4), scale=0.01)[1] == pytest.approx(expected, rel=0.02)
    low, high = far - 120, far + 120
    assert LeafErrors(False).measure([moved, thinned(moved, 4)], low, high)[1] == pytest.approx(expected, rel=0.05)
