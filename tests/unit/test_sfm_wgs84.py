"""Degrees to metres, against closed forms on the ellipsoid."""

from __future__ import annotations

import numpy as np

from services.sfm.georeference.wgs84 import median_position, to_enu

EQUATOR_M, POLE_M = 6378137.0, 6356752.314245  # the two radii of WGS84


def test_the_origin_is_zero() -> None:
    origin = np.array([46.84, -91.99, 198.0])
    np.testing.assert_allclose(to_enu(origin[None], origin), 0, atol=1e-9)


def test_east_and_up_on_the_equator() -> None:
    metres = to_enu(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 50.0]]), np.zeros(3))
    angle = np.radians(1)
    np.testing.assert_allclose(metres[0], [EQUATOR_M * np.sin(angle), 0, EQUATOR_M * (np.cos(angle) - 1)], atol=1e-6)
    np.testing.assert_allclose(metres[1], [0, 0, 50], atol=1e-9)


def test_the_pole_from_the_equator() -> None:
    metres = to_enu(np.array([[90.0, 0.0, 0.0]]), np.zeros(3))
    np.testing.assert_allclose(metres[0], [0, POLE_M, -EQUATOR_M], atol=1e-6)


def test_north_is_y_and_the_south_has_the_same_metres() -> None:
    for latitude in (46.0, -46.0):
        step = to_enu(np.array([[latitude + 1e-4, 10.0, 0.0]]), np.array([latitude, 10.0, 0.0]))[0]
        assert abs(step[0]) < 1e-6
        assert 11.10 < step[1] < 11.13
        assert abs(step[2]) < 1e-3


def test_unknown_stays_unknown_and_does_not_move_the_centre() -> None:
    places = np.array([[1.0, 2.0, 3.0], [np.nan, np.nan, np.nan], [1.0, 2.0, 3.0], [80.0, 2.0, 3.0]])
    np.testing.assert_array_equal(median_position(places), [1, 2, 3])
    assert np.isnan(to_enu(places, median_position(places))[1]).all()
