"""How a large model is cut for streaming: leaves, sets and manifest keep within bounds however large and wide it is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.api.model import MAX_FILES
from spaceport.splats.sog.codec.meta import LARGEST_COUNT
from spaceport.splats.sog.lod.reader import LARGEST_META
from spaceport.splats.sog.lod.tree import (
    LARGEST_MANIFEST,
    LOD_LEVELS,
    MAX_LEAVES,
    MAX_SETS,
    LodSizes,
    build_tree,
    join_bounds,
    leaves,
)
from spaceport.splats.sog.lod.writer import manifest

FILES_OF_A_SET = 8


def survey(count: int, width: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Positions of ground with towns on it, and of a few floaters far away, metres [N,3]."""
    random = np.random.default_rng(seed)
    towns = random.uniform(-width / 2, width / 2, (20, 2))
    ground = random.uniform(-width / 2, width / 2, (count // 2, 2))
    houses = towns[random.integers(20, size=count - len(ground))] + random.normal(0, width / 100, (1, 2))
    houses = houses + random.normal(0, width / 60, houses.shape)
    plane = np.concatenate([ground, houses])
    heights = random.gamma(2, 3, (count, 1))
    positions = np.concatenate([plane, heights], axis=1)
    positions[:: max(1, count // 200)] *= 50
    return positions.astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 3000),
    width=st.floats(0.01, 1e6),
    smallest=st.integers(1, 500),
    largest=st.integers(1, 2000),
    seed=st.integers(0, 9),
)
def test_leaves_hold_every_gaussian_once_and_none_is_too_small(
    count: int, width: float, smallest: int, largest: int, seed: int
) -> None:
    sizes = LodSizes(smallest_leaf=smallest, largest_leaf=largest)
    means = survey(count, width, seed)
    indices = [index for _, index in leaves(build_tree(means, sizes))]
    assert sorted(np.concatenate(indices).tolist()) == list(range(count))
    assert min(map(len, indices)) >= min(smallest, count)
    for index in indices:
        extent = means[index].max(axis=0) - means[index].min(axis=0)
        if len(index) >= 2 * smallest:
            assert len(index) <= largest and extent.max() <= sizes.leaf_width


def test_a_wide_model_is_cut_down_to_the_floor_and_no_further() -> None:
    sizes = LodSizes.of(300_000)
    counts = [len(index) for _, index in leaves(build_tree(survey(300_000, 40_000), sizes))]
    assert sizes.smallest_leaf == 8192 and min(counts) >= 8192 and max(counts) < 2 * 8192


@pytest.mark.parametrize("count", [1, 130_000, 1_200_000, 10_000_000, 21_000_000, LARGEST_COUNT])
def test_no_model_has_more_leaves_or_sets_than_the_bounds(count: int) -> None:
    sizes = LodSizes.of(count)
    assert count / sizes.smallest_leaf <= MAX_LEAVES
    fewest_leaves = count / max(sizes.largest_leaf, 2 * sizes.smallest_leaf)
    of_levels = [count / 2**level + fewest_leaves for level in range(LOD_LEVELS)]  # each leaf's is rounded up
    assert sum(int(gaussians / sizes.file) + 1 for gaussians in of_levels) <= MAX_SETS
    assert MAX_SETS * FILES_OF_A_SET + 1 <= MAX_FILES, "or the page loads the model whole"


def test_the_manifest_of_the_largest_model_keeps_its_bound() -> None:
    """The tree of the most leaves that there can be, in an awkward place, with the longest figures."""
    count = 400_000
    means = survey(count, 1e6) - np.float32(1e5)
    tree = build_tree(means, LodSizes(smallest_leaf=-(-count // MAX_LEAVES)))
    every = list(leaves(tree))
    for leaf, index in every:
        low, high = (np.array([float(f"{value:.7g}") for value in edge]) for edge in _bound(means[index]))
        place = {"file": MAX_SETS - 1, "offset": LARGEST_COUNT // 10 - 1, "count": LARGEST_COUNT // 10 - 1}
        lods = {str(level): place for level in range(LOD_LEVELS)}
        leaf.update({"bound": {"min": low.tolist(), "max": high.tolist()}, "lods": lods})
        leaf["errors"] = [0.0, 1.234e-05, 1.234e-05, 1.234e-05]
    join_bounds(tree)
    names = [f"{level}_{number}/meta.json" for level in range(LOD_LEVELS) for number in range(MAX_SETS // LOD_LEVELS)]
    text = manifest(tree, names, [LARGEST_COUNT] * LOD_LEVELS)
    assert MAX_LEAVES / 2 <= len(every) <= MAX_LEAVES
    assert len(text) * MAX_LEAVES / len(every) <= LARGEST_MANIFEST <= LARGEST_META
    assert json.loads(text)["tree"]["children"]


def _bound(means: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[Any, Any]:
    """With all their digits: tenths of the thousandth part of a metre at a hundred kilometres."""
    return means.min(axis=0).astype(np.float64) - 0.123456, means.max(axis=0).astype(np.float64) + 0.123456
