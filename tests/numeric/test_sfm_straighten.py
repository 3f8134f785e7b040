"""Plain positions straighten a model that they show to be bent, and leave every other one alone."""

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
SCRIPT = str(Path(__file__).with_name("straightened_flight.py"))
FLOWN_M = 45.0


@pytest.fixture(scope="module")
def flights() -> dict[str, Any]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, SCRIPT, "0", "-0.03", "0.03"]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    lines = [json.loads(line[8:]) for line in done.stdout.splitlines() if line.startswith(b"FIGURES ")]
    return {line["name"]: line for line in lines}


@pytest.mark.parametrize("name", ["-0.03", "0.03"])
def test_a_bent_model_is_straightened(flights: dict[str, Any], name: str) -> None:
    flight = flights[name]
    assert abs(flight["before"]["dome_m"]) > 0.5
    assert flight["after"]["dome_m"] is None
    assert flight["after"]["median_residual_m"] < 0.75 * flight["before"]["median_residual_m"]
    assert flight["after"]["prior_photos"] == 32
    assert flight["after"]["metric"]
    assert flight["height"] == pytest.approx(FLOWN_M, rel=0.02)
    assert any("have straightened it" in sentence for sentence in flight["findings"])


def test_a_straight_model_is_not_touched(flights: dict[str, Any]) -> None:
    assert flights["0"]["before"]["dome_m"] is None
    assert "after" not in flights["0"]
