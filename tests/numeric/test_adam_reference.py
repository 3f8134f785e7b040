"""Adam with the rasteriser's threads against torch's."""

from __future__ import annotations

import pytest
import torch

from services.train.optimiser import Optimiser
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.protocol import NAMES, Tensors

RATES = {name: 10.0**-power for power, name in enumerate(NAMES, 1)}


def some(count: int, seed: int, rest: int) -> Tensors:
    random = torch.Generator().manual_seed(seed)
    shapes = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "sh0": (1, 3), "shN": (rest, 3)}
    return {name: torch.randn((count, *shape), generator=random) for name, shape in shapes.items()}


@pytest.mark.parametrize("rest", [0, 8, 15])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [1, 5, 203])
def test_as_torch_does(rest: int, threads: int, count: int) -> None:
    ours, theirs = Optimiser(some(count, 0, rest), CpuRasteriser(threads).update), Optimiser(some(count, 0, rest))
    for step in range(5):
        grads = some(count, 10 + step, rest)
        grads["quats"][0] = 0  # never seen: stays where it is
        ours.step(grads, RATES)
        theirs.step(grads, RATES)
    assert ours.steps == theirs.steps == 5
    for name in NAMES:
        result, slack = ours.parameters[name], 1e-4 * RATES[name]
        torch.testing.assert_close(result, theirs.parameters[name].detach(), rtol=1e-6, atol=slack)
        for moments in ("first", "second"):
            result, expected = (one.state_dict()[moments][name] for one in (ours, theirs))
            torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(ours.parameters["quats"][0], some(count, 0, rest)["quats"][0])


def test_gradients_of_another_size_are_refused() -> None:
    optimiser = Optimiser(some(20, 0, 3), CpuRasteriser(1).update)
    with pytest.raises(ValueError, match="shapes"):
        optimiser.step(some(19, 1, 3), RATES)
