"""Positions, ground points and focal lengths as priors straighten what a wrong lens bent: a flight without pixels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pycolmap", reason="structure from motion is not installed")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    # in a child process, since COLMAP shares no process with Pillow
    script = [sys.executable, str(Path(__file__).with_name("adjusted_flight.py"))]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(script, cwd=ROOT, env=env, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    lines = [json.loads(line[8:]) for line in done.stdout.splitlines() if line.startswith(b"FIGURES ")]
    return {line["name"]: line for line in lines}


def focal_error(figures: dict[str, Any], name: str) -> float:
    fx, fy = figures[name]["focal"]
    return float(max(abs(fx / 1973.0 - 1), abs(fy / 1966.0 - 1)))


def test_mapping_bends_the_model(figures: dict[str, Any]) -> None:
    assert figures["mapped"]["free"] > 0.3
    assert figures["mapped"]["bend"] > 1.0


def test_positions_known_to_centimetres_straighten_it(figures: dict[str, Any]) -> None:
    assert figures["positions"]["off"] < 0.025
    assert figures["positions"]["bend"] < 0.05
    assert focal_error(figures, "positions") < 0.005


def test_one_wild_position_moves_nothing(figures: dict[str, Any]) -> None:
    assert figures["positions"]["free"] < 0.025


def test_ground_points_straighten_it(figures: dict[str, Any]) -> None:
    assert figures["ground points"]["free"] < 0.5 * figures["mapped"]["free"]
    assert figures["points"]["off"] < 0.08  # their own noise
    assert focal_error(figures, "ground points") < 0.02


def test_positions_and_ground_points_of_two_datums(figures: dict[str, Any]) -> None:
    assert figures["both"]["off"] < 0.025
    assert figures["shift"]["shift"] == pytest.approx([0.3, -0.2, 31.0], abs=0.1)


def test_a_focal_length_that_is_known_is_kept(figures: dict[str, Any]) -> None:
    assert focal_error(figures, "focal") < 0.003
    assert focal_error(figures, "focal") < 0.5 * focal_error(figures, "lens")
