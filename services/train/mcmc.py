"""Densification as Markov chain Monte Carlo: relocate dead Gaussians, add new ones, and inject noise.

3D Gaussian Splatting as Markov Chain Monte Carlo, Kheradmand et al. 2024 (arXiv 2404.09591). Written from the paper, in
torch, for any device; functions and hyperparameters have gsplat's names (`gsplat/strategy/ops.py`, `MCMCStrategy`). All
randomness comes from one generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch

from services.train.optimiser import Optimiser
from services.train.rasterisers.protocol import Tensors

N_MAX: Final = 51
"""Gaussians that may share one place after a relocation; the sum of equation 9 is tabulated up to here."""
NOISE_SHARPNESS: Final = 100.0
"""Slope of the sigmoid that fades the noise out as opacity rises (equation 8)."""
NOISE_MAX_OPACITY: Final = 0.075
"""Above it the noise has less than a thousandth of its weight and is left out."""
_EPS: Final = 1e-7


@dataclass(frozen=True)
class McmcParameters:
    """Hyperparameters of the densification. The first four are gsplat's (`MCMCStrategy`, `simple_trainer.py`).

    When it refines and up to how many Gaussians is in `schedule.py` (`refine_start`, `refine_stop`, `cap_max`).

    Args:
        min_opacity: Gaussians of at most this opacity (0 to 1) are dead and relocated.
        noise_lr: the noise's learning rate, relative to that of the means.
        opacity_reg: weight of the mean opacity in the loss.
        scale_reg: weight of the mean scale (training frame) in the loss.
        max_radius: pixels; a larger Gaussian is sampled no more often than one of this size.
        scatter_radius: pixels; copies of larger Gaussians are scattered over their parent's extent. Smaller ones lie
            close enough to separate on their own.
    """

    min_opacity: float = 0.005
    noise_lr: float = 5e5
    opacity_reg: float = 0.01
    scale_reg: float = 0.01
    max_radius: float = 256.0
    scatter_radius: float = 4.0


def regularise(grads: Tensors, parameters: Tensors, mcmc: McmcParameters) -> Tensors:
    """The gradients plus those of the paper's regularisers: the mean opacity and the mean scale.

    They make Gaussians that explain nothing fade and shrink until they count as dead.
    """
    opacities = torch.sigmoid(parameters["opacities"])
    opacity_grad = opacities * (1 - opacities) * (mcmc.opacity_reg / len(opacities))
    scale_grad = torch.exp(parameters["scales"]) * (mcmc.scale_reg / parameters["scales"].numel())
    return grads | {"opacities": grads["opacities"] + opacity_grad, "scales": grads["scales"] + scale_grad}


def inject_noise_to_position(
    parameters: Tensors, means_lr: float, mcmc: McmcParameters, generator: torch.Generator
) -> None:
    """Move each mean by a sample of its own Gaussian, times the learning rate; only faint ones move (equation 8).

    A CPU leaves out those that hardly move. On a GPU that would mean to wait for their number: there all are moved.
    """
    means = parameters["means"]
    opacities = torch.sigmoid(parameters["opacities"])
    scaler = torch.sigmoid(-NOISE_SHARPNESS * (opacities - mcmc.min_opacity)) * (mcmc.noise_lr * means_lr)
    if _waits(means.device):
        means += scaler[:, None] * _noise(parameters["quats"], parameters["scales"], generator)
        return
    faint = torch.nonzero(opacities < NOISE_MAX_OPACITY).squeeze(1)
    if len(faint) > 0:
        means[faint] += scaler[faint, None] * _noise(parameters["quats"][faint], parameters["scales"][faint], generator)


def _waits(device: torch.device) -> bool:
    """True where the host must wait for all that is queued before it knows how many rows a mask has."""
    return str(device.type) != "cpu"


def _noise(quats: torch.Tensor, scales: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """[N,3] standard normal samples under the covariances of the Gaussians."""
    noise = torch.randn((len(quats), 3), generator=generator, device=quats.device)
    axes = quat_to_rotmat(quats)
    local = (axes * noise[:, :, None]).sum(1) * torch.exp(2 * scales)
    return (axes * local[:, None, :]).sum(2)


def quat_to_rotmat(quats: torch.Tensor) -> torch.Tensor:
    """Rotation matrices [N,3,3] of quaternions wxyz [N,4] of any length."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=1).unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def refine(
    optimiser: Optimiser,
    n_target: int,
    mcmc: McmcParameters,
    generator: torch.Generator,
    radii: torch.Tensor | None = None,
) -> tuple[int, int]:
    """Relocate the dead, then grow to `n_target` Gaussians.

    Args:
        optimiser: of the Gaussians, changed in place.
        n_target: Gaussians afterwards; never fewer than there are.
        mcmc: hyperparameters.
        generator: of all samples.
        radii: [N] largest radius in pixels since the last refinement. With it, large Gaussians are sampled more often,
            so that ground with few sparse points is not left with a few blots. The paper goes by opacity alone.

    Returns:
        How many were relocated, how many were added.
    """
    with torch.no_grad():
        sizes = torch.ones_like(optimiser.parameters["opacities"]) if radii is None else radii.clamp(1, mcmc.max_radius)
        n_relocated = relocate(optimiser, sizes, mcmc, generator)
        n_added = sample_add(optimiser, n_target - len(optimiser), sizes, mcmc, generator)
    return n_relocated, n_added


def relocate(optimiser: Optimiser, sizes: torch.Tensor, mcmc: McmcParameters, generator: torch.Generator) -> int:
    """Make each dead Gaussian a copy of a live one sampled in proportion to opacity times size [N]; return how many."""
    parameters = optimiser.parameters
    opacities = torch.sigmoid(parameters["opacities"])
    mask = (opacities <= mcmc.min_opacity) | ~torch.isfinite(opacities)
    dead = torch.nonzero(mask).squeeze(1)
    alive = torch.nonzero(~mask).squeeze(1)
    if len(dead) == 0 or len(alive) == 0:
        return 0
    sampled = alive[_multinomial_sample((opacities * sizes)[alive], len(dead), generator)]
    _rescale_sampled(parameters, sampled, mcmc)
    for value in parameters.values():
        value[dead] = value[sampled]
    optimiser.reset_moments(sampled)
    optimiser.reset_moments(dead)
    return len(dead)


def sample_add(
    optimiser: Optimiser, n: int, sizes: torch.Tensor, mcmc: McmcParameters, generator: torch.Generator
) -> int:
    """Add `n` copies of Gaussians, sampled in proportion to opacity times size [N]; return how many."""
    if n <= 0:
        return 0
    parameters = optimiser.parameters
    sampled = _multinomial_sample(torch.sigmoid(parameters["opacities"]) * sizes, n, generator)
    _rescale_sampled(parameters, sampled, mcmc)
    optimiser.reset_moments(sampled)
    copies = {name: value[sampled] for name, value in parameters.items()}
    large = torch.nonzero(sizes[sampled] > mcmc.scatter_radius).squeeze(1)
    _scatter(copies, large, generator)
    optimiser.append(copies)
    return n


def _scatter(copies: Tensors, rows: torch.Tensor, generator: torch.Generator) -> None:
    """Move these rows by a sample of their own Gaussian: copies in one place have equal gradients and part slowly."""
    axes = quat_to_rotmat(copies["quats"][rows])
    noise = torch.randn((len(rows), 3), generator=generator, device=axes.device)
    local = noise * torch.exp(copies["scales"][rows])
    copies["means"][rows] += (axes * local[:, None, :]).sum(2)


def _multinomial_sample(weights: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    """`n` indices, with replacement, in proportion to the weights."""
    cumulative = torch.cumsum(weights.double(), 0)  # torch.multinomial ends at 2^24 categories; this has no limit
    at = torch.rand(n, generator=generator, device=weights.device, dtype=torch.float64) * cumulative[-1]
    return torch.searchsorted(cumulative, at).clamp_(max=len(weights) - 1)


def _rescale_sampled(parameters: Tensors, sampled: torch.Tensor, mcmc: McmcParameters) -> None:
    """Divide each sampled Gaussian's opacity and scale among itself and its copies, in place (equation 9)."""
    rows, copies = torch.unique(sampled, return_counts=True)
    ratios = (copies + 1).clamp_(max=N_MAX)
    opacities, scale_factors = compute_relocation(torch.sigmoid(parameters["opacities"][rows]), ratios)
    parameters["opacities"][rows] = torch.logit(opacities.clamp(mcmc.min_opacity, 1 - _EPS))
    parameters["scales"][rows] += torch.log(scale_factors)[:, None]


def compute_relocation(opacities: torch.Tensor, ratios: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Opacity and scale of each of n Gaussians in one place that together look like the one before (equation 9).

    Args:
        opacities: [M] in (0, 1), of the one.
        ratios: [M] integers n from 1 to 51.

    Returns:
        The new opacities 1 - (1 - o)^(1/n), and the factor on the scales, both [M].
    """
    new = (1 - (1 - opacities.double()) ** (1 / ratios.double())).clamp(_EPS, 1 - _EPS)
    power = torch.arange(1, N_MAX + 1, device=opacities.device, dtype=torch.float64)
    terms = _relocation_coefficients(opacities.device)[ratios - 1] * new[:, None] ** power
    return new.float(), (opacities.double() / terms.sum(1)).float()


def _relocation_coefficients(device: torch.device) -> torch.Tensor:
    """Row n-1, column k: the sum over i = 1..n of binom(i-1, k) (-1)^k / sqrt(k+1).

    The inner sum over i is the hockey-stick identity: binom(n, k+1).
    """
    table = torch.zeros((N_MAX, N_MAX), dtype=torch.float64)
    for n in range(1, N_MAX + 1):
        for k in range(n):
            table[n - 1, k] = math.comb(n, k + 1) * (-1) ** k / math.sqrt(k + 1)
    return table.to(device)
