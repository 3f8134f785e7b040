"""Place, scale and north from positions whose up is known: exact, among wild ones, on a line, without height."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfm.georeference.level_alignment import level_similarity
from services.sfm.georeference.wgs84 import Array


def model_of(targets: Array, seed: int) -> tuple[Array, Array]:
    """Centres in a frame of any rotation, place and scale, whose positions are `targets`; and up in it."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    return (targets - rng.uniform(-50, 50, 3)) @ rotation / rng.uniform(0.1, 30), rotation.T @ [0.0, 0.0, 1.0]


def grid(seed: int, count: int = 20) -> Array:
    return np.random.default_rng(seed).uniform([-60, -40, 38], [60, 40, 42], (count, 3))


@given(st.integers(0, 10_000))
def test_exact_positions_are_met_in_any_frame(seed: int) -> None:
    targets = grid(seed)
    centres, up = model_of(targets, seed)
    fit = level_similarity(centres, up, targets)
    assert np.allclose(fit.similarity.apply(centres), targets, atol=1e-6)
    assert np.allclose(fit.residuals, 0, atol=1e-6)
    assert np.allclose(fit.similarity.rotation @ up, [0, 0, 1])
    assert np.linalg.det(fit.similarity.rotation) == pytest.approx(1)


@given(st.integers(0, 10_000))
def test_a_third_of_wild_positions_does_not_matter(seed: int) -> None:
    targets = grid(seed)
    centres, up = model_of(targets, seed)
    rng = np.random.default_rng([seed, 1])
    wrong = targets + rng.normal(0, 0.3, targets.shape)
    wrong[:6] += rng.uniform(200, 25_000, (6, 3))
    fit = level_similarity(centres, up, wrong)
    assert np.linalg.norm(fit.similarity.apply(centres) - targets, axis=1).max() < 2.0
    assert np.linalg.norm(fit.residuals[6:], axis=1).max() < 3.0
    assert np.linalg.norm(fit.residuals[:6], axis=1).min() > 100


def test_positions_on_a_line_turn_nothing_over() -> None:
    targets = np.array([[0.0, 10.0 * number, 40.0] for number in range(6)])
    centres, up = model_of(targets + np.random.default_rng(0).normal(0, 0.3, targets.shape), 3)
    fit = level_similarity(centres, up, targets + np.random.default_rng(1).normal(0, 1.5, targets.shape))
    assert np.linalg.norm(fit.similarity.apply(centres) - targets, axis=1).max() < 4.0
    assert np.allclose(fit.similarity.rotation @ up, [0, 0, 1])


def test_without_height_east_and_north_decide() -> None:
    targets = grid(5)
    centres, up = model_of(targets, 5)
    flat = level_similarity(centres, up, targets[:, :2])
    assert np.allclose(flat.similarity.apply(centres)[:, :2], targets[:, :2], atol=1e-6)
    assert np.median(flat.similarity.apply(centres)[:, 2]) == pytest.approx(0, abs=1e-6)
    assert not flat.residuals[:, 2].any()
    some = targets.copy()
    some[3:, 2] = np.nan
    assert np.allclose(level_similarity(centres, up, some).similarity.apply(centres), targets, atol=1e-6)


def test_positions_in_one_place_are_refused() -> None:
    centres, up = model_of(grid(1), 1)
    with pytest.raises(ValueError, match="one place"):
        level_similarity(centres, up, np.zeros((20, 3)))
