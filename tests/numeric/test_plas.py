"""PLAS: as smooth as the reference schedule, on any rectangle, the same for any number of threads."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from plas_reference import sort_square

from spaceport.pipeline.errors import Stopped
from spaceport.progress import Silent
from spaceport.simd.thread_pool import ThreadPool
from spaceport.splats.sog.plas import PlasSettings, mean_neighbour_distance, sort_grid
from spaceport.splats.sog.plas.assign import reorder
from spaceport.splats.sog.plas.blur import box_blur

SHORT = PlasSettings(largest_radius=3)


def colours(count: int, features: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, features)).astype(np.float32)


@pytest.mark.parametrize(("side", "features", "seeds"), [(32, 3, 3), (32, 13, 1)])
def test_as_smooth_as_the_reference_schedule(side: int, features: int, seeds: int) -> None:
    ours, theirs = [], []
    for seed in range(seeds):
        values = colours(side * side, features, seed)
        ours.append(mean_neighbour_distance(values[sort_grid(values, side, Silent(), seed=seed).order], side))
        theirs.append(mean_neighbour_distance(values[sort_square(values, side, seed)], side))
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.02)


@pytest.mark.parametrize(
    ("count", "width"), [(1, 1), (3, 4), (4, 4), (97, 8), (300, 100), (301, 4), (1000, 33), (5, 9)]
)
def test_every_element_keeps_exactly_one_cell(count: int, width: int) -> None:
    result = sort_grid(colours(count), width, Silent())
    assert sorted(result.order.tolist()) == list(range(count))


def test_rectangles_and_ragged_last_rows_get_smooth_too() -> None:
    for count, width in ((30 * 60, 60), (30 * 60 - 47, 30)):
        values = colours(count)
        result = sort_grid(values, width, Silent())
        assert mean_neighbour_distance(values[result.order], width) < 0.2 * mean_neighbour_distance(values, width)


def test_threads_change_nothing_and_seeds_do() -> None:
    values = colours(100 * 90, 5)
    first, second, other = (
        sort_grid(values, 100, Silent(), seed=seed, threads=threads, settings=SHORT)
        for seed, threads in ((0, 1), (0, 3), (1, 1))
    )
    assert np.array_equal(first.order, second.order) and first.reorders == second.reorders
    assert not np.array_equal(first.order, other.order)


def test_four_cells_get_the_best_of_all_assignments() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        cells, targets = np.zeros((2, 4, 16), np.float32)
        cells[:], targets[:] = random.normal(size=(2, 4, 16))
        values, order = cells.copy(), np.arange(4, dtype=np.int32)
        drawn = np.array([[[0, 0]], [[0, 1]], [[1, 0]], [[1, 1]]], np.int32)
        corner, turns = np.zeros((1, 2), np.int64), np.zeros(4, np.int64)
        gained = reorder(cells, targets, order, corner, (2, 2), drawn, turns, (0, 1))
        costs = [np.square(values[list(p)] - targets).sum() for p in itertools.permutations(range(4))]
        assert np.square(cells - targets).sum() == pytest.approx(min(costs), rel=1e-5)
        assert gained == pytest.approx(np.square(values - targets).sum() - min(costs), abs=1e-4)
        assert np.array_equal(cells, values[order])


def test_the_blur_is_a_box_on_a_ring_of_rows_and_mirrored_columns() -> None:
    height, width, radius = 11, 14, 3
    cells = np.random.default_rng(1).normal(size=(height * width, 16)).astype(np.float32)
    padded = np.pad(cells.reshape(height, width, 16), ((radius, radius), (0, 0), (0, 0)), mode="reflect")
    padded = np.pad(padded, ((0, 0), (radius, radius), (0, 0)), mode="wrap")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1, 2 * radius + 1), axis=(0, 1))
    expected = windows.mean(axis=(-1, -2)).reshape(-1, 16)
    assert np.allclose(box_blur(cells, width, radius, ThreadPool(2)), expected, atol=1e-5)


def test_a_blur_of_equal_cells_changes_nothing_even_at_a_ragged_edge() -> None:
    cells = np.ones((7 * 5 + 3, 16), np.float32)
    assert np.allclose(box_blur(cells, 7, 9, ThreadPool(1)), 1, atol=1e-6)


def test_bad_features_are_refused_and_a_stop_passes() -> None:
    with pytest.raises(ValueError, match="at most 16 finite"):
        sort_grid(colours(10, 17), 5, Silent())
    with pytest.raises(ValueError, match="finite"):
        sort_grid(np.full((10, 3), np.nan), 5, Silent())

    class Stop(Silent):
        def check(self) -> None:
            raise Stopped

    with pytest.raises(Stopped):
        sort_grid(colours(100), 10, Stop())
