"""Which photos are compared with which."""

from __future__ import annotations

import numpy as np
import pytest

from services.sfm.matching import CHUNK, NEIGHBOURS, TILE, choose, chunks, pairs_for


@pytest.mark.parametrize(
    ("wanted", "total", "located", "spread_m", "expected"),
    [
        ("auto", 18, 18, 120.0, "spatial"),
        ("auto", 100, 90, 120.0, "spatial"),
        ("auto", 100, 89, 120.0, "exhaustive"),
        ("auto", 100, 100, 0.2, "exhaustive"),  # all in one place: a fixed or false position
        ("auto", 150, 0, 0.0, "exhaustive"),
        ("auto", 151, 0, 0.0, "sequential"),
        ("auto", 1000, 1000, 500.0, "spatial"),
        ("auto", 3, 1, 0.0, "exhaustive"),
        ("spatial", 18, 18, 120.0, "spatial"),
        ("spatial", 18, 0, 0.0, "exhaustive"),
        ("spatial", 400, 3, 50.0, "sequential"),
        ("exhaustive", 400, 400, 120.0, "exhaustive"),
        ("sequential", 10, 10, 120.0, "sequential"),
    ],
)
def test_choice(wanted: str, total: int, located: int, spread_m: float, expected: str) -> None:
    assert choose(wanted, total, located, spread_m) == expected


def grid(rows: int, columns: int, step_m: float = 10.0) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:columns]
    return np.stack([x.ravel(), y.ravel()], axis=1) * step_m


def as_set(pairs: np.ndarray) -> set[tuple[int, int]]:
    found = {(int(i), int(j)) for i, j in pairs}
    assert len(found) == len(pairs)
    assert all(i < j for i, j in found)
    return found


def test_exhaustive_pairs_are_all_pairs() -> None:
    assert len(as_set(pairs_for("exhaustive", np.zeros((18, 2))))) == 153


def test_a_small_set_is_compared_completely_whatever_the_method() -> None:
    assert len(as_set(pairs_for("spatial", grid(3, 6)))) == 153
    assert len(as_set(pairs_for("sequential", np.zeros((5, 2))))) == 10


def test_spatial_pairs_are_neighbours_and_far_fewer() -> None:
    places = grid(20, 20)
    found = as_set(pairs_for("spatial", places))
    apart = [np.linalg.norm(places[i] - places[j]) for i, j in found]
    assert len(found) <= 400 * NEIGHBOURS < 400 * 399 / 2 / 9
    assert max(apart) < 80
    for index in range(400):
        assert sum(index in pair for pair in found) >= NEIGHBOURS


def test_photos_without_position_are_compared_in_order() -> None:
    places = grid(20, 20)
    places[200] = np.nan
    found = as_set(pairs_for("spatial", places))
    assert {(199, 200), (200, 201), (190, 200), (200, 210)} <= found
    assert (0, 200) not in found


def test_sequential_pairs_hold_neighbours_and_close_loops() -> None:
    found = as_set(pairs_for("sequential", np.zeros((1000, 2))))
    assert {(i, i + 1) for i in range(999)} <= found
    assert (0, 980) in found
    assert len(found) < 1000 * 25


@pytest.mark.parametrize("method", ["spatial", "sequential", "exhaustive"])
def test_chunks_hold_every_pair_once(method: str) -> None:
    pairs = pairs_for(method, grid(9, 9))  # type: ignore[arg-type]
    portions = chunks(pairs)
    assert as_set(np.concatenate(portions)) == as_set(pairs)
    assert all(len(portion) <= CHUNK for portion in portions)


def test_chunks_of_all_pairs_touch_few_photos() -> None:
    """Each photo of a portion is indexed anew, so portions of whole tiles save most of the time."""
    portions = chunks(pairs_for("exhaustive", np.zeros((60, 2))))
    touched = [len(np.unique(portion)) for portion in portions]
    assert np.mean(touched) <= 2 * TILE + 2


def test_no_pairs_make_no_chunks() -> None:
    assert chunks(np.empty((0, 2), dtype=np.int32)) == []
