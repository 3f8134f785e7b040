"""The alignment of estimated camera positions to the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceport.demo.align import align


def _rotation(random: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q * np.array([1, 1, np.linalg.det(q)]))


@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.floats(0.01, 100), st.booleans())
def test_a_random_similarity_is_recovered(seed: int, count: int, scale: float, flat: bool) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(size=(count, 3)) * (1, 1, 0 if flat else 1) + random.normal(size=3)
    rotation, translation = _rotation(random), random.normal(size=3) * 50
    true = scale * points @ rotation.T + translation
    alignment = align(points, true)
    assert np.isclose(alignment.scale, scale, rtol=1e-6)
    assert np.allclose(alignment.rotation, rotation, atol=1e-5)
    assert np.allclose(alignment.apply(points), true, atol=1e-6 * (1 + scale))
    assert alignment.residuals.max() < 1e-6 * (1 + scale)


def test_a_mirror_image_is_not_taken_for_a_rotation() -> None:
    points = np.random.default_rng(1).normal(size=(20, 3))
    alignment = align(points, points * (1, 1, -1))
    assert np.isclose(np.linalg.det(alignment.rotation), 1)
    assert alignment.residuals.max() > 0.1


def test_one_wrong_point_stands_out() -> None:
    points = np.random.default_rng(2).normal(size=(30, 3))
    true = points.copy()
    true[7] += (0, 0, 0.5)
    assert int(align(points, true).residuals.argmax()) == 7


@pytest.mark.parametrize("points", [np.zeros((2, 3)), np.outer(np.arange(5.0), (1, 2, 3)), np.zeros((4, 2))])
def test_too_little_is_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="points"):
        align(points, points)
