"""Up, estimated from the cameras: of an orbit, of photos straight down, in a frame that is rotated at random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfm.georeference.upright import estimate_up, rotation_to_z
from services.sfm.georeference.wgs84 import Array, enu_to_ecef

angles = st.floats(-np.pi, np.pi)


def look_at(centre: Array, target: Array, up: Array) -> Array:
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    return np.array([right, np.cross(forward, right), forward])


def orbit(height: float) -> tuple[Array, Array]:
    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    centres = np.array([[np.cos(turn), np.sin(turn), height] for turn in turns])
    return np.array([look_at(centre, np.zeros(3), np.array([0.0, 0.0, 1.0])) for centre in centres]), centres


def grid(yaws: tuple[float, ...], length: int = 6) -> tuple[Array, Array]:
    """Lines flown straight down, each with its heading."""
    centres, turns = [], []
    for line, yaw in enumerate(yaws):
        for step in range(length):
            centre = np.array([line * 2.0, step * 1.0, 40 + 0.1 * (step % 2)])
            centres.append(centre)
            turns.append(look_at(centre, centre - [0, 0, 40], np.array([np.sin(yaw), np.cos(yaw), 0.0])))
    return np.array(turns), np.array(centres)


def any_turn(a: float, b: float, c: float) -> Array:
    def about(axis: int, angle: float) -> Array:
        turn, (i, j) = np.eye(3), [k for k in range(3) if k != axis]
        turn[[i, i, j, j], [i, j, i, j]] = [np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)]
        return turn

    return about(0, a) @ about(1, b) @ about(2, c)


@given(angles, angles, angles, st.sampled_from(["level", "oblique", "one way", "to and fro"]))
def test_up_is_estimated_in_any_frame(a: float, b: float, c: float, flight: str) -> None:
    flights = {
        "level": lambda: orbit(0.0),
        "oblique": lambda: orbit(1.2),
        "one way": lambda: grid((0.3, 0.3, 0.3)),
        "to and fro": lambda: grid((0.0, np.pi, 0.0)),
    }
    rotations, centres = flights[flight]()
    turn = any_turn(a, b, c)
    up = estimate_up(rotations @ turn.T, centres @ turn.T)
    assert up @ turn @ [0, 0, 1] > np.cos(np.radians(1))
    assert np.allclose(rotation_to_z(up) @ up, [0, 0, 1], atol=1e-6)


@pytest.mark.parametrize("up", [[0, 0, 1], [0, 0, -1], [1, 0, 0], [0.6, 0, -0.8]])
def test_the_turn_is_a_rotation(up: list[float]) -> None:
    turn = rotation_to_z(np.array(up, dtype=float))
    assert np.allclose(turn @ turn.T, np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)
    assert np.allclose(turn @ up, [0, 0, 1])


def test_earth_centred_metres_of_a_known_place() -> None:
    transform = enu_to_ecef(np.array([0.0, 90.0, 100.0]))  # on the equator at 90 degrees east
    assert np.allclose(transform[:3, 3], [0, 6378137.0 + 100, 0], atol=1e-3)
    assert np.allclose(transform[:3, :3] @ [1, 0, 0], [-1, 0, 0], atol=1e-12)
    assert np.allclose(transform[:3, :3] @ [0, 0, 1], [0, 1, 0], atol=1e-12)
