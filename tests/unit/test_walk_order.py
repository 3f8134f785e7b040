"""A walk from like to like inside stretches of the Z-order."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import noise

from spaceport.progress import Silent
from spaceport.splats.sog.attributes.quality import STANDARD
from spaceport.splats.sog.codec.encode import EncoderSettings, centroids_image, encode, to_image
from spaceport.splats.sog.codec.errors import TooMany
from spaceport.splats.sog.codec.order import (
    LARGEST_SIDE,
    SIDE_STEP,
    Order,
    file_order,
    grid_width,
    morton_order,
    sort_gaussians,
    walk_features,
)
from spaceport.splats.sog.codec.reader import read_bundle
from spaceport.splats.sog.codec.walk import nearest_neighbour_walk
from spaceport.splats.sog.codec.writer import write_bundle


def greedy(features: np.ndarray) -> list[int]:
    """The same walk through one run, said in the plainest way."""
    left, path = list(range(1, len(features))), [0]
    while left:
        nearest = min(left, key=lambda i: np.square(features[i] - features[path[-1]]).sum())
        path.append(nearest)
        left.remove(nearest)
    return path


def test_each_run_is_walked_greedily_from_its_first() -> None:
    features = np.random.default_rng(1).normal(size=(230, 5)).astype(np.float32)
    expected = [start + i for start in (0, 100, 200) for i in greedy(features[start : start + 100])]
    assert nearest_neighbour_walk(features, run=100).tolist() == expected


@pytest.mark.parametrize("count", [1, 2, 3, 2048, 2049, 5000])
def test_everybody_is_met_once_and_nobody_leaves_the_run(count: int) -> None:
    order = nearest_neighbour_walk(np.random.default_rng(count).normal(size=(count, 9)))
    assert sorted(order.tolist()) == list(range(count))
    assert (order // 2048 == np.arange(count) // 2048).all()


def test_equal_gaussians_and_infinite_opacities_do_no_harm() -> None:
    same = noise(1).subset(np.zeros(50, np.intp))
    same.opacities[3] = np.inf
    for order in ("walk", "plas"):
        assert len(sort_gaussians(same, np.zeros((50, 3), np.uint16), order, 0, Silent())) == 50
    assert np.isfinite(walk_features(same, np.zeros((50, 3), np.uint16))).all()


@pytest.mark.parametrize("order", ["auto", "walk", "morton", "plas", "unchanged"])
def test_every_order_holds_the_same_gaussians(order: Order, tmp_path: Path) -> None:
    model = noise(300)
    encoded = encode(model, EncoderSettings(STANDARD, order=order), Silent())
    write_bundle(tmp_path / "a.sog", encoded.files)
    decoded = read_bundle((tmp_path / "a.sog").read_bytes())
    assert np.abs(decoded.means - encoded.gaussians.means).max() < 0.05
    assert sorted(encoded.gaussians.means[:, 0].tolist()) == sorted(model.means[:, 0].tolist())
    if order == "unchanged":
        assert np.array_equal(encoded.gaussians.means, model.means)


def test_neighbours_on_the_walk_are_more_alike_than_on_the_curve() -> None:
    model = noise(4000)
    q = np.random.default_rng(2).integers(0, 65536, (4000, 3)).astype(np.uint16)
    curve = morton_order(q)
    features = walk_features(model.subset(curve), q[curve])
    walked = features[nearest_neighbour_walk(features)]
    steps = [np.linalg.norm(np.diff(rows, axis=0), axis=1).mean() for rows in (features, walked)]
    assert steps[1] < 0.6 * steps[0]


def test_auto_is_the_smaller_of_walk_and_curve() -> None:
    alike, unlike = noise(3000), noise(3000, seed=1)
    alike.sh0[:, 0] = np.sign(alike.sh0[:, 0, :1])  # two colours: a walk keeps each together
    alike.scales[:] = alike.scales[:, :1].round()
    chosen = []
    for model in (alike, unlike):
        sizes = {
            order: sum(map(len, encode(model, EncoderSettings(STANDARD, order=order), Silent()).files.values()))
            for order in ("auto", "walk", "morton")
        }
        assert sizes["auto"] == min(sizes.values())
        chosen.append(sizes["auto"] == sizes["walk"])
    assert chosen[0]


@given(count=st.integers(1, (LARGEST_SIDE - 3) ** 2))
def test_no_image_is_larger_than_a_webp_can_be(count: int) -> None:
    width = grid_width(count)
    height = SIDE_STEP * -(-count // (width * SIDE_STEP))  # as `to_image` has it
    assert height <= width <= LARGEST_SIDE and width * height >= count


def test_more_gaussians_than_an_image_holds_are_refused_before_any_work() -> None:
    class Crowd:
        def __len__(self) -> int:
            return 300_000_000

    with pytest.raises(TooMany, match="300,000,000 Gaussians do not fit"):
        file_order(Crowd(), np.zeros((0, 3), np.uint16), "walk", 0, Silent())  # type: ignore[arg-type]  # asked for its length alone


def test_a_large_image_has_the_shape_that_was_promised() -> None:
    assert to_image(np.zeros((9_999_999, 3), np.uint8)).shape == (3164, 3164, 3)
    assert centroids_image(np.zeros((65536, 45), np.uint8), 15).shape == (1024, 960, 3)  # the largest palette
