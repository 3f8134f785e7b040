"""The small parts of compression: what is dropped, codebooks and tolerances."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import gaussians

from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes import codebook, importance, positions, rotations
from spaceport.splats.sog.attributes.codebook import uniform_codebook
from spaceport.splats.sog.codec.sanitise import sanitise


@pytest.fixture
def model() -> Gaussians:
    random = np.random.default_rng(1)
    return gaussians(
        means=random.normal(0, 2, (400, 3)),
        quats=random.normal(size=(400, 4)),
        scales=random.normal(-4, 1, (400, 3)),
        opacities=random.normal(0, 2, 400).clip(-5, 5),
        sh0=random.normal(size=(400, 1, 3)),
        shN=np.zeros((400, 0, 3)),
    )


def test_a_clean_model_is_left_alone(model: Gaussians) -> None:
    kept, dropped = sanitise(model)
    assert kept is model and dropped == {}


def test_each_bad_gaussian_is_counted_once_under_its_reason(model: Gaussians) -> None:
    model.means[0, 1] = np.nan
    model.scales[1, 0] = -np.inf
    model.sh0[2] = np.inf
    model.opacities[3] = np.nan
    model.quats[4] = 0
    model.means[5, 2] = 1e9
    model.scales[6, 1] = 21
    model.sh0[7, 0, 0] = -1e5
    model.opacities[8] = -7
    model.opacities[9] = -np.inf
    model.opacities[10] = np.inf
    model.quats[0] = 0  # bad twice
    kept, dropped = sanitise(model)
    assert dropped == {
        "not finite": 4, "zero rotation": 1, "too far away": 1, "absurd size": 1, "absurd colour": 1, "invisible": 2,
    }  # fmt: skip
    assert len(kept) == 390 and kept.opacities[0] == np.inf


def test_a_codebook_is_even_pinned_and_ascending() -> None:
    values = np.random.default_rng(0).uniform(-9, -1, 5000)
    book = codebook.uniform_codebook(values)
    assert book.shape == (256,) and np.isclose(book[0], values.min()) and np.isclose(book[-1], values.max())
    assert np.allclose(np.diff(book), np.diff(book).mean(), rtol=1e-3)
    short = codebook.uniform_codebook(values, step=0.1)
    assert len(np.unique(short)) == 81 or len(np.unique(short)) == 80
    assert np.abs(short[codebook.nearest(short, values)] - values).max() <= 0.05 + 1e-6


def test_outliers_do_not_coarsen_the_rest() -> None:
    values = np.random.default_rng(0).normal(0, 1, 50_000)
    values[:3] = [-500.0, 300.0, 1000.0]
    book = codebook.uniform_codebook(values)
    error = np.abs(book[codebook.nearest(book, values)] - values)
    assert np.quantile(error, 0.99) < 0.025
    assert (error[:3] <= 0.1 * np.abs(values[:3])).all() and error[[0, 2]].max() < 1e-3
    assert (np.diff(book) >= 0).all() and len(book) == 256


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0], [-1e4, 1e4], [0.0, 1e-30], [1e-7, 1.0]])
def test_codebooks_of_few_values_hold_them(values: list[float]) -> None:
    book = codebook.uniform_codebook(np.array(values))
    assert np.allclose(book[codebook.nearest(book, np.array(values))], values, rtol=1e-6, atol=1e-25)


def test_light_gaussians_may_move_and_turn_more(model: Gaussians) -> None:
    visual = importance.visual_importance(model)
    order = np.argsort(visual)
    assert np.isclose(visual.mean(), 1, rtol=0.01)
    scales = np.tile(np.array([-4, -5, -6], np.float32), (400, 1))
    turn = importance.rotation_slack(replace(model, scales=scales), visual, 5.0)
    assert (np.diff(turn[order]) <= 1e-9).all()
    assert set(importance.multiples(turn, 0.64)) <= {1.0, 2.0, 4.0, 8.0, 16.0, 32.0}


def test_positions_stay_within_their_slack(model: Gaussians) -> None:
    bounds = positions.bounds(model.means)
    slack = np.full(400, 0.01)
    coarse = positions.encode(model.means, *bounds, slack)
    moved = np.abs(positions.decode(coarse, *bounds) - model.means)
    assert np.quantile(moved, 0.99) < 0.01 and moved.max() < 0.0145  # at the very ends a whole multiple
    exact = positions.encode(model.means, *bounds)
    assert len(np.unique(coarse & 255)) < len(np.unique(exact & 255))


def test_coarse_rotations_keep_their_mode_and_turn_little(model: Gaussians) -> None:
    exact, coarse = rotations.encode(model.quats), rotations.encode(model.quats, np.full(400, 8.0))
    assert np.array_equal(exact[:, 3], coarse[:, 3])
    assert np.abs(exact[:, :3].astype(int) - coarse[:, :3]).max() <= 4
    assert set(coarse[:, :3].reshape(-1) % 8) <= {0, 7}  # 255 is the end of the scale


@pytest.mark.parametrize("step", [0.1, 0.3, 1 / 3, 1e-3, 0.7])
def test_a_range_of_exactly_255_steps_needs_256_levels(step: float) -> None:
    """0.3 * 255 / 0.3 lies above 255 in floats: that must not make a 257th level."""
    for span in (step * 255, np.nextafter(step * 255, np.inf), np.nextafter(step * 255, 0)):
        book = uniform_codebook(np.array([0.0, span]), step)
        assert len(book) == 256
        assert (book[0], book[-1]) == (0, pytest.approx(span))
