"""Invariants of the densification, on the CPU; the code knows no device."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from services.train.mcmc import (
    McmcParameters,
    compute_relocation,
    inject_noise_to_position,
    quat_to_rotmat,
    refine,
    regularise,
)
from services.train.optimiser import Optimiser
from services.train.rasterisers.protocol import NAMES, Tensors

MCMC = McmcParameters()


def gaussians(count: int, seed: int = 0) -> Tensors:
    random = torch.Generator().manual_seed(seed)
    shapes = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "sh0": (1, 3), "shN": (3, 3)}
    return {name: torch.randn((count, *shape), generator=random) for name, shape in shapes.items()}


def line_integral(opacity: float, ratio: int, factor: float) -> float:
    """Opacity of `ratio` equal Gaussians at x, integrated over a line; sigma is 1 for factor 1."""
    x = np.linspace(-12, 12, 20_001)
    alpha = opacity * np.exp(-0.5 * (x / factor) ** 2)
    return float(np.trapezoid(1 - (1 - alpha) ** ratio, x))


@pytest.mark.parametrize("opacity", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("ratio", [2, 3, 10])
def test_the_relocated_ones_look_like_the_one_before(opacity: float, ratio: int) -> None:
    """The paper's aim: same opacity at the centre, same integral of the whole. By quadrature."""
    new, factor = (float(v[0]) for v in compute_relocation(torch.tensor([opacity]), torch.tensor([ratio])))
    assert 1 - (1 - new) ** ratio == pytest.approx(opacity, abs=1e-5)
    assert line_integral(new, ratio, factor) == pytest.approx(line_integral(opacity, 1, 1.0), rel=1e-4)


def test_one_share_changes_nothing() -> None:
    new, factor = compute_relocation(torch.tensor([0.3, 0.99]), torch.tensor([1, 1]))
    torch.testing.assert_close(new, torch.tensor([0.3, 0.99]))
    torch.testing.assert_close(factor, torch.ones(2))


def test_refinement_leaves_no_dead_ones_and_keeps_rows_together() -> None:
    parameters = gaussians(400)
    parameters["opacities"][:100] = math.log(MCMC.min_opacity / 2)
    before = {name: value.clone() for name, value in parameters.items()}
    optimiser = Optimiser(parameters)
    n_relocated, n_added = refine(optimiser, 500, MCMC, torch.Generator().manual_seed(1))
    assert (n_relocated, n_added, len(optimiser)) == (100, 100, 500)
    after = optimiser.parameters
    assert (torch.sigmoid(after["opacities"]) > MCMC.min_opacity / 1.01).all()
    known = {tuple(row.tolist()) for row in before["means"][100:]}
    by_mean = {tuple(mean.tolist()): index for index, mean in enumerate(before["means"])}
    for index in [*range(100), *range(400, 500)]:
        assert tuple(after["means"][index].tolist()) in known
        source = by_mean[tuple(after["means"][index].tolist())]
        for name in ("quats", "sh0", "shN"):
            torch.testing.assert_close(after[name][index], before[name][source])
        assert (after["scales"][index] <= before["scales"][source] + 1e-6).all()


def test_the_opaque_are_drawn_more_often() -> None:
    parameters = gaussians(1_000)
    parameters["opacities"][:] = -3.0
    parameters["opacities"][:10] = 6.0
    optimiser = Optimiser(parameters)
    favoured = {tuple(mean.tolist()) for mean in parameters["means"][:10]}
    refine(optimiser, 2_000, MCMC, torch.Generator().manual_seed(0))
    hits = sum(tuple(mean.tolist()) in favoured for mean in optimiser.parameters["means"][1_000:])
    share = 10 * 0.9975 / (10 * 0.9975 + 990 * 0.0474)
    assert hits == pytest.approx(1_000 * share, abs=60)


def test_large_ones_have_more_offspring_scattered_within_their_extent() -> None:
    parameters = gaussians(200)
    parameters["opacities"][:] = 0.0
    radii = torch.ones(200)
    radii[:20] = 50.0
    before = {name: value.clone() for name, value in parameters.items()}
    optimiser = Optimiser(parameters)
    refine(optimiser, 1_200, MCMC, torch.Generator().manual_seed(0), radii)
    by_colour = {tuple(row.tolist()): index for index, row in enumerate(before["sh0"][:, 0])}
    sources = torch.tensor([by_colour[tuple(row.tolist())] for row in optimiser.parameters["sh0"][200:, 0]])
    large = sources < 20
    assert float(large.float().mean()) == pytest.approx(20 * 50 / (20 * 50 + 180), abs=0.05)
    offsets = optimiser.parameters["means"][200:] - before["means"][sources]
    assert (offsets[~large] == 0).all()
    local = (quat_to_rotmat(before["quats"][sources]).transpose(1, 2) @ offsets[:, :, None]).squeeze(2)[large]
    in_sigmas = local / torch.exp(optimiser.parameters["scales"][200:][large])
    assert float(in_sigmas.std()) == pytest.approx(1, abs=0.05)


def test_moments_follow_their_rows() -> None:
    optimiser = Optimiser(gaussians(50))
    rates = dict.fromkeys(NAMES, 1e-3)
    optimiser.step({name: torch.ones_like(value) for name, value in optimiser.parameters.items()}, rates)
    refine(optimiser, 60, MCMC, torch.Generator().manual_seed(0))
    state = optimiser.state_dict()
    assert state["steps"] == 1
    assert all(len(state["first"][name]) == 60 for name in NAMES)
    assert (state["first"]["means"][50:] == 0).all()
    assert (state["first"]["means"][:50] > 0).any()
    optimiser.step({name: torch.ones_like(value) for name, value in optimiser.parameters.items()}, rates)
    assert optimiser.steps == 2


def test_all_dead_is_left_alone() -> None:
    parameters = gaussians(20)
    parameters["opacities"][:] = -20
    assert refine(Optimiser(parameters), 20, MCMC, torch.Generator()) == (0, 0)


def test_only_faint_gaussians_jitter_and_within_their_own_shape() -> None:
    parameters = gaussians(2_000)
    parameters["opacities"][:1_000] = 4.0
    parameters["opacities"][1_000:] = -8.0
    parameters["scales"][:] = torch.tensor([-1.0, -4.0, -4.0])
    before = parameters["means"].clone()
    inject_noise_to_position(parameters, 1e-5, MCMC, torch.Generator().manual_seed(0))
    moved = parameters["means"] - before
    assert (moved[:1_000] == 0).all()
    local = (quat_to_rotmat(parameters["quats"][1_000:]).transpose(1, 2) @ moved[1_000:, :, None]).squeeze(2)
    spread = local.std(0)
    assert float(spread[0] / spread[1]) == pytest.approx(math.exp(6), rel=0.15)  # variances, so e^(2*3)


def test_penalties_have_the_gradient_of_their_formula() -> None:
    parameters = gaussians(30)
    zero = {name: torch.zeros_like(value) for name, value in parameters.items()}
    leaves = {name: value.clone().requires_grad_(True) for name, value in parameters.items()}
    (0.01 * torch.sigmoid(leaves["opacities"]).mean() + 0.01 * torch.exp(leaves["scales"]).mean()).backward()
    grads = regularise(zero, parameters, MCMC)
    torch.testing.assert_close(grads["opacities"], leaves["opacities"].grad)
    torch.testing.assert_close(grads["scales"], leaves["scales"].grad)
    assert (zero["opacities"] == 0).all()
