"""Which positions are exact enough to shape a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.sfm.georeference.position_priors import exact_positions, stated_std
from services.sfm.messages import TaskPhoto

PHOTO = TaskPhoto("000000.jpg", "a.jpg", "a.jpg", 0, 640, 480, (46.8, -92.0, 200.0))


def photos(count: int, std: tuple[float, float, float] | None, flag: int | None = None) -> list[TaskPhoto]:
    return [replace(PHOTO, file=f"{number:06d}.jpg", position_std_m=std, rtk_flag=flag) for number in range(count)]


@pytest.mark.parametrize(
    ("std", "flag", "believed"),
    [
        (None, None, None),  # plain GPS
        (None, 50, (0.03, 0.03, 0.05)),  # a fix that states nothing
        ((0.001, 0.012, 0.02), 50, (0.02, 0.02, 0.03)),  # no receiver knows where the lens is
        ((0.05, 0.06, 0.1), 50, (0.05, 0.06, 0.1)),
        ((0.03, 0.03, 0.05), 34, (0.2, 0.2, 0.4)),  # a float solution
        ((0.01, 0.01, 0.02), 16, None),  # no fix, whatever it states
        ((0.01, 0.01, 0.02), 0, None),
        ((0.05, 0.05, 0.08), None, (0.05, 0.05, 0.08)),  # of geo.txt
        ((0.0, 0.01, 0.02), 50, None),
        ((float("nan"), 0.01, 0.02), 50, None),
    ],
)
def test_what_is_stated_is_believed_so_far(
    std: tuple[float, float, float] | None, flag: int | None, believed: tuple[float, float, float] | None
) -> None:
    result = stated_std(replace(PHOTO, position_std_m=std, rtk_flag=flag))
    assert (result is None) == (believed is None)
    if result is not None:
        assert result == pytest.approx(np.array(believed))


def test_positions_are_compared_with_what_photos_know_over_the_extent() -> None:
    flown = photos(10, (0.1, 0.1, 0.2))
    assert len(exact_positions(flown, 50.0)) == 0
    assert len(exact_positions(flown, 100.0)) == 10
    assert len(exact_positions(photos(10, (1.0, 1.0, 2.0)), 5000.0)) == 0


def test_a_few_exact_ones_among_many_are_not_worth_it() -> None:
    exact, plain = photos(4, None, 50), [replace(PHOTO, file=f"p{n}.jpg") for n in range(20)]
    assert len(exact_positions(exact, 100.0)) == 4
    assert exact_positions(exact[:3], 100.0) == {}
    assert exact_positions([*exact, *plain], 100.0) == {}
    assert len(exact_positions([*exact, *plain[:8]], 100.0)) == 4


def test_a_position_without_height_is_not_exact() -> None:
    assert exact_positions([replace(each, position=(46.8, -92.0, None)) for each in photos(8, None, 50)], 100.0) == {}
