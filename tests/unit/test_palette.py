"""The SH palette: small enough, good enough, weighted, and the same each time."""

import numpy as np
import pytest

from spaceport.progress import Silent
from spaceport.splats.sog.palette import growth, palette
from spaceport.splats.sog.palette.palette import Palette, PaletteSettings, fit_palette

RANDOM = np.random.default_rng(0)
CLUSTERS = RANDOM.normal(0, 0.3, (1500, 9)).astype(np.float32)
FEATURES = (CLUSTERS[RANDOM.integers(0, 1500, 4000)] + RANDOM.normal(0, 0.01, (4000, 9))).astype(np.float32)
EVEN = np.ones(4000)


def made(error: float = 0.001, size: int | None = None, weights: np.ndarray = EVEN, seed: int = 0) -> Palette:
    return fit_palette(FEATURES, weights, PaletteSettings(error, size, rounds=6, step=0.0, seed=seed), Silent())


def true_error(fitted: Palette, weights: np.ndarray) -> float:
    squares = np.square(FEATURES - fitted.centroids[fitted.labels]).sum(axis=1)
    return float(np.sqrt((squares * weights).sum() / weights.sum() / (12 * np.pi)))


def test_the_error_that_is_reported_is_the_error() -> None:
    fitted = made(size=256)
    assert len(fitted.centroids) <= 256
    assert np.isclose(fitted.error, true_error(fitted, EVEN), rtol=1e-4)


def test_it_grows_until_the_error_is_reached() -> None:
    coarse, fine = made(error=0.05), made(error=0.006)
    assert len(coarse.centroids) <= 1024 < len(fine.centroids) <= 4096
    assert fine.error < 0.0065 < coarse.error < 0.05


def test_it_stops_growing_at_the_most_that_was_allowed() -> None:
    settings = PaletteSettings(0.0, None, rounds=4, step=0.0, seed=0, max_size=1300)
    assert 1024 < len(fit_palette(FEATURES, EVEN, settings, Silent()).centroids) <= 1300


def test_every_label_is_the_nearest_entry() -> None:
    fitted = made(size=128)
    distances = np.linalg.norm(FEATURES[:300, None] - fitted.centroids[None], axis=2)
    chosen = distances[np.arange(300), fitted.labels[:300]]
    assert np.allclose(chosen, distances.min(axis=1), atol=1e-4)


def test_weight_buys_likeness() -> None:
    weights = np.where(np.arange(4000) < 600, 100.0, 0.01)
    even, weighted = made(size=128), made(size=128, weights=weights)
    assert true_error(weighted, weights) < 0.9 * true_error(even, weights)


def test_the_same_seed_gives_the_same_palette() -> None:
    first, second, other = made(size=200), made(size=200), made(size=200, seed=1)
    assert np.array_equal(first.codes, second.codes) and np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.codes, other.codes)


def test_few_distinct_features_are_kept_exactly() -> None:
    features = CLUSTERS[RANDOM.integers(0, 100, 4000)]
    fitted = fit_palette(features, EVEN, PaletteSettings(0.01, None, 5, 0.0, 0), Silent())
    assert len(fitted.centroids) == len(np.unique(features, axis=0))
    step = np.ptp(features) / 255
    assert np.abs(fitted.centroids[fitted.labels] - features).max() <= step / 2 + 1e-6


def test_coarse_groups_come_close_to_one_flat_search(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = made(size=1024)
    monkeypatch.setattr(growth, "FLAT_LIMIT", 0)
    monkeypatch.setattr(growth, "GROUPS", 16)
    grouped = made(size=1024)
    assert len(grouped.centroids) <= 1024
    assert grouped.error < 1.15 * flat.error


def test_most_used_entries_come_first() -> None:
    uses = np.bincount(made(size=300).labels)
    assert (np.diff(uses) <= 0).all()


def test_the_order_of_entries() -> None:
    codes, labels = np.arange(4, dtype=np.uint8)[:, None], np.array([3, 1, 1, 3, 2, 1, 0])
    few, by_use = palette.sort_centroids(codes, labels, 0.01)
    assert by_use.tolist() == [1, 0, 0, 1, 3, 0, 2] and few[by_use].tolist() == codes[labels].tolist()
    many, by_first = palette.sort_centroids(codes, labels, 0.5)
    assert by_first.tolist() == [0, 1, 1, 0, 2, 1, 3] and many[by_first].tolist() == codes[labels].tolist()


def test_entries_that_a_sample_does_not_use_come_last() -> None:
    codes, ranks = palette.sort_centroids(np.arange(3, dtype=np.uint8)[:, None], np.array([2, 2, 0]), 0.5)
    assert codes[:, 0].tolist() == [2, 0, 1] and ranks.tolist() == [0, 0, 1]
