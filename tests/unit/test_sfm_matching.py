"""Which photos are compared with which."""

from __future__ import annotations

import numpy as np
import pytest

from services.sfm.colmap.matching import PORTION, TILE, exclude_pairs, select_pairs, split_pairs
from services.sfm.colmap.policy import (
    PhotoSet,
    are_positions_doubtful,
    choose_matching,
    fallback_matching,
    needs_global_mapper,
    should_retry_unregistered,
)
from services.sfm.colmap.retrieval import CENTRES, Descriptors, global_descriptors, most_similar_pairs


@pytest.mark.parametrize(
    ("option", "photos", "expected"),
    [
        ("auto", PhotoSet(18, 18, 120.0, True), "spatial"),
        ("auto", PhotoSet(100, 90, 120.0, False), "spatial"),
        ("auto", PhotoSet(1000, 1000, 500.0, True), "spatial"),
        ("auto", PhotoSet(100, 89, 120.0, True), "sequential"),
        ("auto", PhotoSet(100, 100, 0.2, True), "sequential"),  # all in one place: a fixed or false position
        ("auto", PhotoSet(60, 0, 0.0, True), "exhaustive"),
        ("auto", PhotoSet(61, 0, 0.0, True), "sequential"),
        ("auto", PhotoSet(61, 0, 0.0, False), "retrieval"),
        ("auto", PhotoSet(3, 1, 0.0, False), "exhaustive"),
        ("spatial", PhotoSet(18, 18, 120.0, True), "spatial"),
        ("spatial", PhotoSet(18, 0, 0.0, True), "exhaustive"),
        ("spatial", PhotoSet(400, 3, 50.0, True), "sequential"),
        ("exhaustive", PhotoSet(400, 400, 120.0, True), "exhaustive"),
        ("sequential", PhotoSet(10, 10, 120.0, False), "sequential"),
        ("retrieval", PhotoSet(10, 10, 120.0, True), "retrieval"),
    ],
)
def test_the_matching_method(option: str, photos: PhotoSet, expected: str) -> None:
    assert choose_matching(option, photos) == expected


@pytest.mark.parametrize(
    ("method", "total", "expected"),
    [
        ("spatial", 60, "exhaustive"),
        ("spatial", 61, "retrieval"),
        ("sequential", 61, "retrieval"),
        ("sequential", 20, "exhaustive"),
        ("retrieval", 500, None),
        ("exhaustive", 20, None),
        ("exhaustive", 500, None),
    ],
)
def test_the_fallback(method: str, total: int, expected: str | None) -> None:
    assert fallback_matching(method, total) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("total", "registered", "expected"),
    [(16, 15, True), (16, 12, True), (16, 11, False), (16, 16, False), (20, 10, False), (3, 3, False), (8, 0, False)],
)
def test_a_few_unregistered_photos_are_matched_again(total: int, registered: int, expected: bool) -> None:
    assert should_retry_unregistered(total, registered) is expected


def test_neighbours_that_do_not_match_make_positions_doubtful() -> None:
    assert are_positions_doubtful("spatial", 100, 29)
    assert not are_positions_doubtful("spatial", 100, 30)
    assert not are_positions_doubtful("exhaustive", 100, 5)


@pytest.mark.parametrize(
    ("option", "connected", "registered", "expected"),
    [
        ("auto", 16, 15, True),
        ("auto", 16, 16, False),
        ("auto", 200, 180, False),
        ("auto", 200, 179, True),
        ("auto", 0, 0, False),
        ("incremental", 16, 3, False),
        ("global", 16, 3, False),
    ],
)
def test_when_the_global_mapper_is_tried_too(option: str, connected: int, registered: int, expected: bool) -> None:
    assert needs_global_mapper(option, connected, registered) == expected


def grid(rows: int, columns: int, step_m: float = 10.0) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:columns]
    return np.stack([x.ravel(), y.ravel()], axis=1) * step_m


def as_set(pairs: np.ndarray) -> set[tuple[int, int]]:
    unique = {(int(i), int(j)) for i, j in pairs}
    assert len(unique) == len(pairs)
    assert all(i < j for i, j in unique)
    return unique


def test_exhaustive_pairs_are_all_pairs() -> None:
    assert len(as_set(select_pairs("exhaustive", np.zeros((18, 2))))) == 153


def random_descriptors(total: int) -> Descriptors:
    descriptors = np.random.default_rng(0).normal(size=(total, 16)).astype(np.float32)
    return np.asarray(descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True))


def test_a_small_set_is_compared_completely_whatever_the_method() -> None:
    assert len(as_set(select_pairs("sequential", np.zeros((5, 2)), random_descriptors(5)))) == 10
    assert len(as_set(select_pairs("retrieval", np.zeros((5, 2)), random_descriptors(5)))) == 10
    assert len(as_set(select_pairs("spatial", grid(2, 3)))) == 15


def test_spatial_pairs_are_neighbours() -> None:
    places = grid(20, 20)
    pairs = as_set(select_pairs("spatial", places))
    distances = [np.linalg.norm(places[i] - places[j]) for i, j in pairs]
    assert max(distances) < 60
    for index in range(400):
        assert sum(index in pair for pair in pairs) >= 6


def test_photos_dense_along_lines_are_compared_across_them() -> None:
    """Photos every 4 metres on lines 40 metres apart: the twenty nearest of each are of its own line."""
    lines = grid(5, 60, 1.0) * (4.0, 40.0)
    pairs = as_set(select_pairs("spatial", lines))
    across = {(i // 60, j // 60) for i, j in pairs if i // 60 != j // 60}
    assert across == {(0, 1), (1, 2), (2, 3), (3, 4)}
    for index in range(60, 240):
        lines_met = {other // 60 for pair in pairs if index in pair for other in pair}
        assert {index // 60 - 1, index // 60 + 1} <= lines_met


@pytest.mark.parametrize("method", ["spatial", "sequential", "retrieval"])
def test_pairs_grow_with_the_photos_not_with_their_square(method: str) -> None:
    rows = {total: total // 25 for total in (125, 250, 500)}
    counts = [
        len(select_pairs(method, grid(count, 25), random_descriptors(total)))  # type: ignore[arg-type]
        for total, count in rows.items()
    ]
    assert counts[2] < 21 * 500 < 500 * 499 / 2 / 10
    assert counts[1] < 2.3 * counts[0]
    assert counts[2] < 2.3 * counts[1]


def test_only_new_pairs_are_compared_again() -> None:
    known = np.array([[0, 1], [1, 2]], np.int32)
    assert as_set(exclude_pairs(np.array([[0, 1], [0, 2], [1, 2], [2, 3]], np.int32), known)) == {(0, 2), (2, 3)}
    assert len(exclude_pairs(known, known)) == 0


def scenes(views: int, features: int = 300) -> list[np.ndarray]:
    """Descriptors of `views` photos of each of three places: most are those of the place, slightly changed."""
    random = np.random.default_rng(0)
    photos = []
    for _ in range(3):
        place = random.dirichlet(np.full(128, 0.1), features) * 512
        for _ in range(views):
            other = random.dirichlet(np.full(128, 0.1), features // 3) * 512
            seen = np.concatenate([place + random.normal(0, 2, place.shape), other])
            photos.append(np.clip(random.permutation(seen), 0, 255).astype(np.uint8))
    return photos


def test_photos_of_one_place_look_alike() -> None:
    photos = scenes(5)
    descriptors = global_descriptors(lambda number: photos[number], len(photos), seed=0)
    assert descriptors.shape == (15, CENTRES * 128)
    assert np.linalg.norm(descriptors, axis=1) == pytest.approx(1, rel=1e-5)
    assert all(first // 5 == second // 5 for first, second in most_similar_pairs(descriptors, 4))
    assert (descriptors == global_descriptors(lambda number: photos[number], len(photos), seed=0)).all()


def test_photos_without_features_are_alike_to_nothing_and_break_nothing() -> None:
    photos = [*scenes(2), np.empty((0, 128), np.uint8)]
    descriptors = global_descriptors(lambda number: photos[number], 7, seed=0)
    assert (descriptors[6] == 0).all()
    assert np.isfinite(descriptors).all()
    empty = global_descriptors(lambda _: np.empty((0, 128), np.uint8), 3, seed=0)
    assert len(as_set(select_pairs("retrieval", np.zeros((3, 2)), empty))) == 3


def test_photos_without_position_are_compared_in_order() -> None:
    places = grid(20, 20)
    places[200] = np.nan
    pairs = as_set(select_pairs("spatial", places))
    assert {(199, 200), (200, 201), (192, 200), (200, 208)} <= pairs
    assert (0, 200) not in pairs


def test_sequential_pairs_hold_neighbours_and_close_loops() -> None:
    descriptors = random_descriptors(1000)
    descriptors[950] = descriptors[3]
    pairs = as_set(select_pairs("sequential", np.zeros((1000, 2)), descriptors))
    assert {(i, i + 1) for i in range(999)} <= pairs
    assert {(0, 64), (3, 950)} <= pairs
    assert len(pairs) < 1000 * 30


def test_likeness_needs_vectors() -> None:
    with pytest.raises(ValueError, match="descriptors"):
        select_pairs("retrieval", np.zeros((5, 2)))


@pytest.mark.parametrize("method", ["spatial", "sequential", "retrieval", "exhaustive"])
def test_portions_hold_every_pair_once(method: str) -> None:
    pairs = select_pairs(method, grid(9, 9), random_descriptors(81))  # type: ignore[arg-type]
    portions = split_pairs(pairs)
    assert as_set(np.concatenate(portions)) == as_set(pairs)
    assert all(len(portion) <= PORTION for portion in portions)


def test_portions_of_all_pairs_touch_few_photos() -> None:
    """Each photo of a portion is indexed anew, so portions of whole tiles save most of the time."""
    portions = split_pairs(select_pairs("exhaustive", np.zeros((60, 2))))
    touched = [len(np.unique(portion)) for portion in portions]
    assert np.mean(touched) <= 2 * TILE + 2


def test_no_pairs_make_no_portions() -> None:
    assert split_pairs(np.empty((0, 2), dtype=np.int32)) == []
