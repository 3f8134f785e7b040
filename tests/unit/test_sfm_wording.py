"""Numbers as people say them, and cameras as they are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfm.photo import PhotoMetadata
from services.sfm.wording import count, duration, length


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (1800, "30 minutes"),
        (5400, "2 hours"),
        (36 * 3600, "2 days"),
        (3 * 86_400, "3 days"),
        (100 * 86_400, "3 months"),
        (3 * 365 * 86_400, "3 years"),
    ],
)
def test_a_pause_is_told_in_the_largest_sensible_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.floats(0.6, 1e10))
def test_a_pause_is_told_to_a_third(seconds: float) -> None:
    number, unit = duration(seconds).replace(",", "").rstrip("s").split()
    units = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "month": 30.44 * 86_400, "year": 365.25 * 86_400}
    assert int(number) * units[unit] == pytest.approx(seconds, rel=0.67 if unit == "second" else 0.34)


@pytest.mark.parametrize(
    ("metres", "words"),
    [
        (12_345, "12 km"),
        (1234, "1.2 km"),
        (999, "1.0 km"),
        (18.2, "18 m"),
        (9.99, "10 m"),
        (4.21, "4.2 m"),
        (-0.353, "-35 cm"),
        (0.0121, "1.2 cm"),
        (0.0021, "2.1 mm"),
        (0.0, "0.0 mm"),
    ],
)
def test_a_length_has_the_unit_in_which_it_is_said(metres: float, words: str) -> None:
    assert length(metres) == words


def test_one_is_singular() -> None:
    assert (count(0), count(1), count(2000), count(1, "point")) == ("0 photos", "1 photo", "2,000 photos", "1 point")


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("Canon", "Canon PowerShot SX260 HS", "Canon PowerShot SX260 HS"),
        ("NIKON CORPORATION", "NIKON D850", "NIKON D850"),
        ("EASTMAN KODAK COMPANY", "KODAK Z740 ZOOM", "KODAK Z740 ZOOM"),
        ("LG Electronics", "LG-H870", "LG-H870"),
        ("HUAWEI", "HUAWEI P20", "HUAWEI P20"),
        ("DJI", "DJI Mini", "DJI Mini"),
        ("DJI", "FC330", "DJI FC330"),
        ("A", "ANAFI", "A ANAFI"),
        ("Apple", "", "Apple"),
        ("", "iPhone 15", "iPhone 15"),
        ("", "", ""),
    ],
)
def test_the_make_is_not_said_twice(make: str, model: str, name: str) -> None:
    assert PhotoMetadata("a.jpg", "JPEG", 4, 3, make, model).camera_name == name
