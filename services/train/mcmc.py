"""Densification as Markov chain Monte Carlo: dead Gaussians move to live ones, new ones are born there, all jitter.

3D Gaussian Splatting as Markov Chain Monte Carlo, Kheradmand et al. 2024 (arXiv 2404.09591). Written from the paper,
in torch, for any device. All randomness comes from one generator.
"""

from __future__ import annotations

import math
from typing import Final

import torch

from services.train.optimiser import Optimiser
from services.train.rasterisers.protocol import Tensors

DEAD_OPACITY: Final = 0.005
MOST_COPIES: Final = 51
"""Gaussians that may share one place after a relocation; the sum of equation 9 is tabulated up to here."""
NOISE_SCALE: Final = 5e5
"""The paper's noise learning rate, relative to that of the means."""
NOISE_SHARPNESS: Final = 100.0
FAINT_OPACITY: Final = 0.075
"""Above it the noise has less than a thousandth of its weight and is left out."""
OPACITY_PENALTY: Final = 0.01
SCALE_PENALTY: Final = 0.01
LARGEST: Final = 256.0
"""Pixels: one that is larger has no more offspring than this size gives it."""
WIDE: Final = 4.0
"""Pixels: offspring of larger ones is scattered over its parent's extent; what lies close needs no help to part."""
_SMALLEST: Final = 1e-7


def penalised(grads: Tensors, parameters: Tensors) -> Tensors:
    """The gradients with those of the paper's regularisers: the means of all opacities and of all scales, times 0.01.

    They let Gaussians that explain nothing fade and shrink until they count as dead.
    """
    opacities = torch.sigmoid(parameters["opacities"])
    fade = opacities * (1 - opacities) * (OPACITY_PENALTY / len(opacities))
    shrink = torch.exp(parameters["scales"]) * (SCALE_PENALTY / parameters["scales"].numel())
    return grads | {"opacities": grads["opacities"] + fade, "scales": grads["scales"] + shrink}


def add_noise(parameters: Tensors, means_rate: float, generator: torch.Generator) -> None:
    """Move each centre by a sample of its own Gaussian, times the learning rate; only faint ones move (equation 8)."""
    means = parameters["means"]
    opacities = torch.sigmoid(parameters["opacities"])
    weight = torch.sigmoid(-NOISE_SHARPNESS * (opacities - DEAD_OPACITY)) * (NOISE_SCALE * means_rate)
    faint = torch.nonzero(opacities < FAINT_OPACITY).squeeze(1)
    if len(faint) == 0:
        return
    sample = torch.randn((len(faint), 3), generator=generator, device=means.device)
    axes = rotations(parameters["quats"][faint])
    local = (axes * sample[:, :, None]).sum(1) * torch.exp(2 * parameters["scales"][faint])
    means[faint] += weight[faint, None] * (axes * local[:, None, :]).sum(2)


def rotations(quats: torch.Tensor) -> torch.Tensor:
    """Rotation matrices [N,3,3] of quaternions wxyz [N,4] of any length."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=1).unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def refine(
    optimiser: Optimiser, wanted: int, generator: torch.Generator, radii: torch.Tensor | None = None
) -> tuple[int, int]:
    """Relocate the dead, then grow to `wanted` Gaussians.

    Args:
        optimiser: of the Gaussians, changed in place.
        wanted: Gaussians afterwards; never fewer than there are.
        generator: of all draws.
        radii: [N] largest radius in pixels in which each was lately seen. Given, large ones have more offspring, so
            that ground with few sparse points is not left with a few blots.

    Returns:
        How many were relocated, how many were added.
    """
    with torch.no_grad():
        sizes = torch.ones_like(optimiser.parameters["opacities"]) if radii is None else radii.clamp(1, LARGEST)
        moved = _relocate(optimiser, sizes, generator)
        added = _grow(optimiser, wanted - len(optimiser), sizes, generator)
    return moved, added


def _relocate(optimiser: Optimiser, sizes: torch.Tensor, generator: torch.Generator) -> int:
    """Make each dead Gaussian a copy of a live one, drawn in proportion to opacity and size."""
    parameters = optimiser.parameters
    opacities = torch.sigmoid(parameters["opacities"])
    is_dead = (opacities <= DEAD_OPACITY) | ~torch.isfinite(opacities)
    dead, alive = torch.nonzero(is_dead).squeeze(1), torch.nonzero(~is_dead).squeeze(1)
    if len(dead) == 0 or len(alive) == 0:
        return 0
    source = alive[_draw((opacities * sizes)[alive], len(dead), generator)]
    _share(parameters, source)
    for value in parameters.values():
        value[dead] = value[source]
    optimiser.forget(source)
    optimiser.forget(dead)
    return len(dead)


def _grow(optimiser: Optimiser, count: int, sizes: torch.Tensor, generator: torch.Generator) -> int:
    """Add `count` copies of Gaussians, drawn in proportion to opacity and size."""
    if count <= 0:
        return 0
    parameters = optimiser.parameters
    source = _draw(torch.sigmoid(parameters["opacities"]) * sizes, count, generator)
    _share(parameters, source)
    optimiser.forget(source)
    children = {name: value[source] for name, value in parameters.items()}
    wide = torch.nonzero(sizes[source] > WIDE).squeeze(1)
    _scatter(children, wide, generator)
    optimiser.append(children)
    return count


def _scatter(children: Tensors, rows: torch.Tensor, generator: torch.Generator) -> None:
    """Move these rows by a sample of their own Gaussian. Copies in one place have equal gradients and part slowly."""
    axes = rotations(children["quats"][rows])
    sample = torch.randn((len(rows), 3), generator=generator, device=axes.device)
    local = sample * torch.exp(children["scales"][rows])
    children["means"][rows] += (axes * local[:, None, :]).sum(2)


def _draw(weights: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """`count` indices, with replacement, in proportion to the weights."""
    ladder = torch.cumsum(weights.double(), 0)  # torch.multinomial ends at 2^24 categories; this has no limit
    at = torch.rand(count, generator=generator, device=weights.device, dtype=torch.float64) * ladder[-1]
    return torch.searchsorted(ladder, at).clamp_(max=len(weights) - 1)


def _share(parameters: Tensors, source: torch.Tensor) -> None:
    """Divide each drawn Gaussian's opacity and size among itself and its copies, so that the picture stays (eq. 9)."""
    drawn, copies = torch.unique(source, return_counts=True)
    shares = (copies + 1).clamp_(max=MOST_COPIES)
    opacities, shrink = shared(torch.sigmoid(parameters["opacities"][drawn]), shares)
    parameters["opacities"][drawn] = torch.logit(opacities.clamp(DEAD_OPACITY, 1 - _SMALLEST))
    parameters["scales"][drawn] += torch.log(shrink)[:, None]


def shared(opacities: torch.Tensor, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What each of n Gaussians in one place gets, so that together they look like the one before (equation 9).

    Args:
        opacities: [M] in (0, 1), of the one.
        shares: [M] integers from 1 to 51.

    Returns:
        The new opacities 1 - (1 - o)^(1/n), and the factor on the scales, both [M].
    """
    new = (1 - (1 - opacities.double()) ** (1 / shares.double())).clamp(_SMALLEST, 1 - _SMALLEST)
    power = torch.arange(1, MOST_COPIES + 1, device=opacities.device, dtype=torch.float64)
    terms = _coefficients(opacities.device)[shares - 1] * new[:, None] ** power
    return new.float(), (opacities.double() / terms.sum(1)).float()


def _coefficients(device: torch.device) -> torch.Tensor:
    """Row n-1, column k: the sum over i = 1..n of binom(i-1, k) (-1)^k / sqrt(k+1).

    The inner sum over i is the hockey-stick identity: binom(n, k+1).
    """
    table = torch.zeros((MOST_COPIES, MOST_COPIES), dtype=torch.float64)
    for n in range(1, MOST_COPIES + 1):
        for k in range(n):
            table[n - 1, k] = math.comb(n, k + 1) * (-1) ** k / math.sqrt(k + 1)
    return table.to(device)
