"""Adam (Kingma and Ba 2015): an elementwise loop that reads four arrays as large as the model and writes three.

The arithmetic is that of torch's fused Adam; here the threads of the rasteriser share it.
"""

from __future__ import annotations

import math

import numpy as np

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import LANES
from spaceport.simd.memory import load, store
from spaceport.simd.ops import broadcast, divide_fast, fma, sqrt_fast
from spaceport.splats.model import Floats

FlatArrays = tuple[Floats, Floats, Floats, Floats, Floats, Floats]
"""The arrays of a model, in the order of `kernel_arguments.Parameters`, each flat."""
BETAS, EPSILON = (0.9, 0.999), np.float32(1e-15)
_ONE, _BETA1, _BETA2 = np.float32(1), np.float32(BETAS[0]), np.float32(BETAS[1])


@inline
def _update(
    value: Floats, first: Floats, second: Floats, grads: Floats, run: tuple[int, int], rate: float, scale: float
) -> None:
    whole = run[0] + (run[1] - run[0]) // LANES * LANES
    for k in range(run[0], whole, LANES):
        slope = load(grads, k)
        mean = fma(broadcast(_BETA1), load(first, k), broadcast(_ONE - _BETA1) * slope)
        square = fma(broadcast(_BETA2), load(second, k), broadcast(_ONE - _BETA2) * slope * slope)
        step = divide_fast(mean, fma(sqrt_fast(square), broadcast(scale), broadcast(EPSILON)))
        store(first, k, mean)
        store(second, k, square)
        store(value, k, load(value, k) - broadcast(rate) * step)
    for k in range(whole, run[1]):
        mean = _BETA1 * first[k] + (_ONE - _BETA1) * grads[k]
        square = _BETA2 * second[k] + (_ONE - _BETA2) * grads[k] * grads[k]
        first[k], second[k] = mean, square
        value[k] -= rate * mean / (np.float32(math.sqrt(square)) * scale + EPSILON)


@kernel
def adam(
    part: int,
    parts: int,
    values: FlatArrays,
    firsts: FlatArrays,
    seconds: FlatArrays,
    grads: FlatArrays,
    rates: Floats,
    corrections: Floats,
) -> None:
    """Update one of `parts` equal parts of each of the six arrays, in place.

    Args:
        values, firsts, seconds, grads: parameters, their moments, and the gradients.
        rates: [6] learning rates.
        corrections: [2] of the bias: 1 / (1 - beta1^steps), and the root of 1 / (1 - beta2^steps).
    """
    for k in range(6):
        blocks = len(values[k]) // LANES
        end = len(values[k]) if part + 1 == parts else blocks * (part + 1) // parts * LANES
        run = (blocks * part // parts * LANES, end)
        _update(values[k], firsts[k], seconds[k], grads[k], run, rates[k] * corrections[0], corrections[1])
