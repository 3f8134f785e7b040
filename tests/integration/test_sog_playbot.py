"""A real SOG set of half a million Gaussians, written by PlayCanvas' tool."""

from pathlib import Path

import numpy as np
import pytest

from spaceport.splats.sog.codec.errors import BrokenSog
from spaceport.splats.sog.codec.reader import read_sog

FOLDER = Path(__file__).parents[2] / "../shared/data/models/playbot"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the model playbot is not there")


def test_playbot_is_decoded() -> None:
    model = read_sog(FOLDER)
    assert len(model) == 500_000 and model.sh_degree == 2
    for name, array in model.arrays().items():
        assert np.isfinite(array).all(), name
    assert np.abs(model.means).max() < 1.1  # the model is about a metre wide
    assert np.allclose(np.linalg.norm(model.quats, axis=1), 1, atol=1e-4)
    assert model.scales.min() >= -9.7315 and model.scales.max() <= -2.1414
    assert 0 < np.abs(model.shN).max() <= 4.0547
    # a spatial order: neighbours in the file are far nearer than strangers
    step = np.linalg.norm(np.diff(model.means[::7], axis=0), axis=1)
    strange = np.linalg.norm(model.means - np.roll(model.means, 250_000, axis=0), axis=1)
    assert np.median(step) < 0.1 * np.median(strange)


def test_a_small_budget_refuses_it() -> None:
    with pytest.raises(BrokenSog, match="memory limit"):
        read_sog(FOLDER, budget=1 << 20)
