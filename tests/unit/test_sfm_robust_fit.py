"""The similarity onto positions of which many are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from flight_paths import as_model, circle, lawnmower, moments, strip
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfm.georeference.robust_fit import fit_robust_similarity
from services.sfm.georeference.similarity import fit_similarity

STD = np.array([0.5, 0.5, 1.0])


@pytest.mark.parametrize("flight", [lawnmower(), circle()])
@pytest.mark.parametrize("photos", [8, 15, 60, 200])
def test_four_tenths_may_be_wrong(flight: object, photos: int) -> None:
    random = np.random.default_rng(photos)
    every = 5.0 if photos < 20 else 2.0
    places = flight(moments(photos, every))  # type: ignore[operator]
    positions = places + STD * random.normal(size=places.shape)
    bad = random.choice(photos, int(0.4 * photos), replace=False)
    positions[bad] += random.uniform(60, 25_000, (len(bad), 3)) * random.choice([-1, 1], (len(bad), 3))
    fit = fit_robust_similarity(as_model(places, random), positions, np.tile(STD, (photos, 1)))
    assert np.flatnonzero(~fit.inliers).tolist() == sorted(bad)
    assert fit.similarity.scale == pytest.approx(10, rel=0.06 if photos < 20 else 0.02)


def test_without_outliers_it_is_least_squares() -> None:
    random = np.random.default_rng(3)
    places = lawnmower()(moments(60))
    model, positions = as_model(places, random), places + random.normal(size=places.shape)
    fit, plain = fit_robust_similarity(model, positions, np.ones_like(places)), fit_similarity(model, positions)
    assert fit.similarity.scale == pytest.approx(plain.similarity.scale, rel=2e-3)
    np.testing.assert_allclose(fit.residuals, plain.residuals, atol=0.3)


def test_one_place_is_no_fit() -> None:
    for source, target in ((np.eye(3)[:2], np.eye(3)[:2]), (np.eye(3), np.ones((3, 3)))):
        with pytest.raises(ValueError, match="one place"):
            fit_robust_similarity(source, target, np.ones_like(target))


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    photos=st.sampled_from([5, 8, 12, 30, 100]),
    kind=st.sampled_from(["lawnmower", "circle", "strip"]),
    noise=st.floats(0.01, 12.0),
)
def test_no_good_position_is_an_outlier(seed: int, photos: int, kind: str, noise: float) -> None:
    random = np.random.default_rng(seed)
    flight = {"lawnmower": lawnmower(), "circle": circle(), "strip": strip()}[kind]
    places = flight(moments(photos, 4.0))
    positions = places + noise * STD * random.normal(size=places.shape)
    assert fit_robust_similarity(as_model(places, random), positions, np.tile(STD, (photos, 1))).inliers.all()
