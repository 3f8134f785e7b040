"""The drone's heights and the lens's own figures contradict a model that is wrong, and leave a right one alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfm.georeference.witnesses import (
    contradict,
    focal_witness,
    height_witnesses,
    heights_over_ground,
)
from spaceport.pipeline.reports.sfm import Georeference, Verdict

METRIC = Georeference(aligned=True, metric=True, axes="enu")


def flight(
    height: float, stretch: float = 1.0, climb: float = 0.0, slope: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Relative altitudes [N], centres [N,3] and points [M,3]: a wrong focal length stretches the depth."""
    random = np.random.default_rng(0)
    centres = np.column_stack([random.uniform(-50, 50, (30, 2)), height + climb * np.linspace(0, 1, 30)])
    told = centres[:, 2] + random.normal(0, 0.3, 30)
    points = random.uniform(-80, 80, (4000, 3)) * (1, 1, 0) + random.normal(0, 0.5, (4000, 3))
    points[:, 2] += slope * points[:, 0]
    points[:, 2] = height - (height - points[:, 2]) * stretch
    return told, centres, points


def test_heights_are_over_the_ground_below() -> None:
    points = np.array([[x, y, 0.1 * x] for x in np.linspace(-20, 20, 30) for y in np.linspace(-20, 20, 30)])
    heights = heights_over_ground(np.array([[0.0, 0, 50], [10.0, 0, 50]]), points)
    assert heights == pytest.approx([50, 49], abs=0.2)
    assert np.isnan(heights_over_ground(np.zeros((2, 3)), points[:5])).all()


@given(st.floats(20, 200), st.floats(-0.1, 0.1))
def test_a_right_model_is_not_contradicted(height: float, slope: float) -> None:
    told, centres, points = flight(height, slope=slope)
    assert not any(witness.contradicts for witness in height_witnesses(told, centres, points))


def test_a_focal_length_thirty_per_cent_off_is_found_by_the_height() -> None:
    told, centres, points = flight(44.45, stretch=28.4 / 44.45)
    (witness,) = height_witnesses(told, centres, points)
    assert witness.contradicts
    assert witness.finding().level is Verdict.WARN
    assert "44.5 m" in witness.sentence and "28.4 m" in witness.sentence
    georeference = contradict(METRIC, [witness])
    assert not georeference.metric
    assert "28.4 m" in (georeference.metric_reason or "")


def test_five_per_cent_may_be_the_take_off() -> None:
    told, centres, points = flight(50.0, stretch=1.048)
    (witness,) = height_witnesses(told, centres, points)
    assert not witness.contradicts
    assert witness.finding().level is Verdict.GO
    assert contradict(METRIC, [witness]) is METRIC


def test_a_climb_does_not_depend_on_the_take_off() -> None:
    told, centres, points = flight(60.0, climb=30.0)
    height, climb = height_witnesses(told - 40, centres, points)  # from a hill 40 m up
    assert height.contradicts and not climb.contradicts
    wrong = centres * (1, 1, 1.25)
    assert height_witnesses(told, wrong, points)[1].contradicts


@pytest.mark.parametrize("altitude", [np.nan, 0.0, -20.0, 2.0])
def test_heights_that_say_nothing_are_no_witness(altitude: float) -> None:
    _, centres, points = flight(50.0)
    assert height_witnesses(np.full(30, altitude), centres, points) == []
    assert height_witnesses(np.full(3, 50.0), centres[:3], points) == []


def test_a_focal_length_is_compared_within_both_uncertainties() -> None:
    assert not focal_witness("FC330", "EXIF", 2311.0, 0.03, 2340.0, 0.005).contradicts
    wrong = focal_witness("FC330", "EXIF", 2311.0, 0.03, 1600.0, 0.005)
    assert wrong.contradicts and "2,311" in wrong.sentence and "1,600" in wrong.sentence
    assert contradict(METRIC, [wrong]) is METRIC  # it depends on the flight whether lengths follow
