"""Models over positions that are wrong, late, without heights, or with heights of two systems: made flights."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from flight_paths import Flight, circle, lawnmower, moments, random_rotation, strip
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfm.georeference.position_findings import fit_findings, unused_positions, wrong_positions
from services.sfm.georeference.position_fit import PhotoCentres, PositionFit, fit_positions
from services.sfm.georeference.up.choice import by_photos, choose_up
from services.sfm.georeference.up.evidence import isotropic
from services.sfm.georeference.wgs84 import Array
from services.sfm.messages import TaskPhoto

HERE = np.array([50.44, -4.995, 100.0])
DEGREE = np.array([1 / 111_230, 1 / 70_960, 1.0])
GPS = np.array([0.5, 0.5, 1.0])


def terrain(photos: int, seed: int = 2) -> Array:
    """Heights [N] of a flight that follows the ground, +- 8 m."""
    return np.asarray(8 * np.sin(np.linspace(0, 9, photos) + seed))


def fit(
    metres: Array,
    places: Array,
    times: Array,
    *,
    up_sigma_deg: float = 2.0,
    up_error_deg: float = 1.0,
    seed: int = 0,
    fields: list[dict[str, Any]] | None = None,
) -> tuple[PositionFit, list[TaskPhoto], Array]:
    """The fit of a model of `places` to positions at `metres`, both [N,3]; NaN height: none. And up in the model."""
    random = np.random.default_rng(seed)
    turn = random_rotation(random)
    centres = 0.1 * places @ turn.T + random.normal(size=3) + 0.002 * random.normal(size=places.shape)
    rows = HERE + metres[:, [1, 0, 2]] * DEGREE
    photos = [
        TaskPhoto(
            file=f"{number:06d}.jpg",
            name=f"flight/p{number}.jpg",
            dense_name="",
            camera=0,
            width=640,
            height=480,
            position=(float(row[0]), float(row[1]), None if np.isnan(row[2]) else float(row[2])),
            taken_at=float(times[number]),
            **(fields[number] if fields else {}),
        )
        for number, row in enumerate(rows)
    ]
    lean = np.radians(up_error_deg)
    evidence = [
        isotropic("gimbal angles", turn @ [np.sin(lean), 0, np.cos(lean)], np.radians(up_sigma_deg), reliability=0.95)
    ]
    up = by_photos(evidence)
    found = fit_positions(PhotoCentres(photos, centres, up, partial(choose_up, evidence, up, 0.5)), seed)
    return found, photos, turn[:, 2]


def tilt_deg(found: PositionFit, true_up: Array) -> float:
    return float(np.degrees(np.arccos(np.clip((found.similarity.rotation @ true_up)[2], -1, 1))))


def sentences(found: PositionFit, photos: list[TaskPhoto]) -> str:
    return " ".join(finding.sentence for finding in fit_findings(found, photos))


@pytest.mark.parametrize("flight", [lawnmower(), circle()])
def test_good_positions_need_no_words(flight: Flight) -> None:
    times = moments(40)
    places = flight(times)
    found, photos, up = fit(places + GPS * np.random.default_rng(1).normal(size=places.shape), places, times)
    assert found.used.all()
    assert found.similarity.scale == pytest.approx(10, rel=0.01)
    assert tilt_deg(found, up) < 1.5
    assert (found.heights, found.clock, found.height_offsets) == ("position", None, None)
    assert fit_findings(found, photos) == []


@pytest.mark.parametrize("photos", [8, 40])
def test_wild_positions_are_outliers_with_a_reason(photos: int) -> None:
    times = moments(photos, 4.0 if photos < 10 else 2.0)
    places = lawnmower()(times)
    random = np.random.default_rng(photos)
    metres = places + GPS * random.normal(size=places.shape)
    bad = np.sort(random.choice(photos, int(0.35 * photos), replace=False))
    metres[bad] += random.uniform(40, 90, (len(bad), 3)) * random.choice([-1, 1], (len(bad), 3))
    found, _, up = fit(metres, places, times)
    assert sorted(found.outliers) == bad.tolist()
    assert "it misses the model by" in found.outliers[int(bad[0])]
    assert found.similarity.scale == pytest.approx(10, rel=0.06)
    assert tilt_deg(found, up) < 2.5


def test_a_last_fix_and_a_missing_fix_are_outliers_even_in_eight_photos() -> None:
    times = moments(8, 4.0)
    places = lawnmower()(times)
    metres = places + 0.1 * np.random.default_rng(3).normal(size=places.shape)
    metres[:2] = [25_000.0, -7_000.0, 0.0]
    metres[5] = (np.array([0.0, 0.0, 0.0]) - HERE)[[1, 0, 2]] / DEGREE[[1, 0, 2]]
    found, _, _ = fit(metres, places, times)
    assert sorted(found.outliers) == [0, 1, 5]
    assert "last fix" in found.outliers[0]
    assert "without a fix" in found.outliers[5]
    assert found.similarity.scale == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize("lag", [1.0, 2.0, -1.5])
def test_positions_that_lag_give_scale_and_up_all_the_same(lag: float) -> None:
    times = moments(45)
    places = lawnmower()(times)
    metres = lawnmower()(times - lag) + GPS * np.random.default_rng(4).normal(size=places.shape)
    found, photos, up = fit(metres, places, times)
    assert found.clock is not None
    assert found.clock.seconds == pytest.approx(lag, abs=0.15)
    assert found.similarity.scale == pytest.approx(10, rel=0.01)
    assert tilt_deg(found, up) < 2
    assert found.outliers == {}
    assert np.median(np.linalg.norm(found.residuals[found.used], axis=1)) < 1.8
    assert ("lag" if lag > 0 else "ahead of") in sentences(found, photos)


@pytest.mark.parametrize("flight", [lawnmower(), strip()])
def test_positions_without_heights_give_place_scale_and_north(flight: Flight) -> None:
    times = moments(30)
    places = flight(times)
    metres = places + GPS * np.random.default_rng(5).normal(size=places.shape)
    metres[:, 2] = np.nan
    found, photos, up = fit(metres, places, times)
    assert (found.heights, found.up.level) == ("none", True)
    assert found.similarity.scale == pytest.approx(10, rel=0.02)
    assert tilt_deg(found, up) < 2
    assert np.isnan(found.residuals[:, 2]).all()
    assert "no height" in sentences(found, photos)


def test_the_height_over_the_take_off_stands_in_for_a_missing_and_for_a_wild_altitude() -> None:
    times = moments(40)
    places = lawnmower()(times)
    places[:, 2] += terrain(40)
    random = np.random.default_rng(6)
    fields: list[dict[str, Any]] = [{"relative_altitude_m": float(height)} for height in places[:, 2]]
    missing, flat, drifting = (places + GPS * random.normal(size=places.shape) for _ in range(3))
    missing[:, 2], flat[:, 2] = np.nan, 45.0
    drifting[:, 2] += np.linspace(0, 110, 40)
    for metres, words in ((missing, "are missing"), (flat, "do not fit"), (drifting, "do not fit")):
        found, photos, up = fit(metres, places, times, fields=fields)
        assert found.heights == "relative", words
        assert tilt_deg(found, up) < 1.5
        assert found.similarity.scale == pytest.approx(10, rel=0.01)
        assert words in sentences(found, photos)


def test_heights_that_drift_do_not_tilt_the_model() -> None:
    times = moments(40)
    places = lawnmower()(times)
    metres = places + GPS * np.random.default_rng(7).normal(size=places.shape)
    metres[:, 2] += np.linspace(0, 110, 40)
    found, photos, up = fit(metres, places, times)
    assert found.up.contradicted
    assert (found.heights, found.up.level) == ("none", True)
    assert tilt_deg(found, up) < 2
    assert found.similarity.scale == pytest.approx(10, rel=0.02)
    assert "contradict the photos" in sentences(found, photos)
    assert "would tilt it by" in sentences(found, photos)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.5])
@pytest.mark.parametrize("offset", [47.0, -30.0])
def test_heights_of_two_systems_are_moved_into_one(share: float, offset: float) -> None:
    times = moments(40)
    places = lawnmower()(times)
    random = np.random.default_rng(8)
    metres = places + GPS * random.normal(size=places.shape)
    other = random.permutation(40) < share * 40
    metres[other, 2] += offset
    found, photos, up = fit(metres, places, times)
    assert found.height_offsets is not None
    assert found.used.all()
    moved = found.height_offsets[found.height_offsets != 0]
    assert abs(np.median(moved)) == pytest.approx(abs(offset), abs=1)
    assert tilt_deg(found, up) < 2
    assert "two systems" in sentences(found, photos)


def test_two_flights_with_errors_of_their_own_are_no_outliers() -> None:
    times = np.concatenate([moments(20), moments(20) + 4000])
    places = lawnmower()(np.concatenate([moments(20), moments(20)])) + np.repeat([[0, 0, 0], [5, 8, 0]], 20, axis=0)
    random = np.random.default_rng(9)
    metres = places + 0.3 * random.normal(size=places.shape)
    metres[20:] += [3.0, -2.0, 4.0]
    assert fit(metres, places, times)[0].outliers == {}


def test_positions_of_another_place_altogether_are_refused() -> None:
    times = moments(20)
    places = lawnmower()(times)
    with pytest.raises(ValueError, match="contradict the photos"):
        fit(200 * np.random.default_rng(10).normal(size=places.shape), places, times + 100 * np.arange(20))
    with pytest.raises(ValueError, match="one place"):
        fit(np.zeros_like(places), places, times)
    with pytest.raises(ValueError, match="2 placed photos have a position"):
        fit(places[:2], places[:2], times[:2])


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from([lawnmower, circle, strip]),
    photos=st.sampled_from([8, 15, 40]),
    noise=st.floats(0.02, 4.0),
)
def test_no_good_position_is_named(seed: int, kind: Any, photos: int, noise: float) -> None:
    times = moments(photos, 4.0)
    places = kind()(times)
    metres = places + noise * GPS * np.random.default_rng(seed).normal(size=places.shape)
    assert fit(metres, places, times, seed=seed % 1000)[0].outliers == {}


def test_the_sentences_name_photos_and_say_what_to_do() -> None:
    assert unused_positions(0, "x") == []
    assert "The positions of 5 photos were not used: they lie in one place. The model has no scale" in (
        unused_positions(5, "they lie in one place")[0].sentence
    )
    named = wrong_positions({f"p{number}.jpg": "it is wild" for number in range(5)}, 20)[0].sentence
    assert "of 5 photos are wrong, of 20, and not used: p0.jpg, p1.jpg, p2.jpg and 2 more (it is wild)" in named
    assert "geo.txt" in named
    assert wrong_positions({}, 20) == []
