"""Models for the tests of formats."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from random_models import gaussians

from spaceport.splats.model import Gaussians

REST = (0, 3, 8, 15)


def made(count: int, degree: int, seed: int, spread: float = 5.0) -> Gaussians:
    """Gaussians that every format can hold: SH within -1..1, sizes within e^-10..e^5, no two alike."""
    random = np.random.default_rng(seed)
    return gaussians(
        means=random.normal(0, spread, (count, 3)),
        quats=random.normal(size=(count, 4)),
        scales=random.uniform(-9, 2, (count, 3)),
        opacities=random.uniform(-5, 5, count),
        sh0=random.uniform(-1.7, 1.7, (count, 1, 3)),
        shN=random.uniform(-0.9, 0.9, (count, REST[degree], 3)),
    )


@st.composite
def models(draw: st.DrawFn) -> Gaussians:
    """1 to 700 Gaussians of any degree; some with one value for all, some with copies, some far out."""
    count = draw(st.integers(1, 700))
    model = made(count, draw(st.integers(0, 3)), draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.01, 5, 900])))
    arrays = {name: array.copy() for name, array in model.arrays().items()}
    for name in draw(st.sets(st.sampled_from(sorted(arrays)))):
        arrays[name][:] = arrays[name][:1]
    if draw(st.booleans()):
        arrays = {name: np.concatenate([array, array]) for name, array in arrays.items()}
    return gaussians(**arrays)


def angles(a: Gaussians, b: Gaussians) -> np.ndarray:
    """Degrees between the rotations of two models."""
    units = [each.quats.astype(np.float64) / np.linalg.norm(each.quats, axis=1, keepdims=True) for each in (a, b)]
    return np.asarray(np.degrees(2 * np.arccos(np.clip(np.abs((units[0] * units[1]).sum(axis=1)), 0, 1))))


def alphas(model: Gaussians) -> np.ndarray:
    """Opacities, 0 to 1."""
    return 1 / (1 + np.exp(-model.opacities.astype(np.float64)))


def assert_same(ours: Gaussians, theirs: Gaussians, degrees: float = 0.1) -> None:
    """The same Gaussians in the same order, but for what float32 and a logit lose; turned by `degrees` at most."""
    assert len(ours) == len(theirs) and ours.shN.shape == theirs.shN.shape
    for name in ("means", "scales", "sh0", "shN"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-5, atol=1e-5), name
    assert np.allclose(alphas(ours), alphas(theirs), atol=1e-4)
    assert angles(ours, theirs).max() < degrees
