"""Scalar codebooks: 256 ascending values, of which each attribute stores the index of the nearest.

Evenly spaced levels beat density-fitted ones here. WebP codes the entropy of the indices, and at equal entropy a
uniform quantiser has the least error (Gish and Pierce, 1968). Fitted levels also average the few huge background
Gaussians away, so the ends are pinned to the data's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceport.simd.jit import kernel
from spaceport.splats.sog.attributes.rows import map_rows

CODEBOOK_SIZE = 256
CORE = 192  # levels of the core when the tails must be stretched; each tail has half of the rest
TAIL_SHARE = 0.001
DIGITS = 7  # significant digits in meta.json: as exact as float32, at half the bytes

AnyFloats = NDArray[np.floating]


def uniform_codebook(values: AnyFloats, step: float = 0.0) -> NDArray[np.float64]:
    """Make 256 ascending levels over `values` (any shape, at least one, finite), at most `step` apart if that fits.

    Fewer than 256 levels suffice when the range is short: the last one is repeated. When 256 levels at `step` do
    not span the range, the central 99.8 % of the values get an even core, and the tails are reached by steps that
    grow at a constant ratio, so that a few outliers do not coarsen everything else.
    """
    low, high = float(values.min()), float(values.max())
    span = high - low
    if span <= step * (CODEBOOK_SIZE - 1) or span == 0:
        count = max(1, _steps(span, step, CODEBOOK_SIZE - 1)) + 1 if span else 1
        return _pad(np.linspace(low, high, count))
    a, b = (float(edge) for edge in np.quantile(values, (TAIL_SHARE, 1 - TAIL_SHARE)))
    if b - a > span * CORE / CODEBOOK_SIZE:  # no tails to speak of
        return _pad(np.linspace(low, high, CODEBOOK_SIZE))
    core_step = max(step, (b - a) / (CORE - 1), span / 1e6)
    core = np.linspace(a, b, _steps(b - a, core_step, CORE - 1) + 1)
    spare = (CODEBOOK_SIZE - CORE) // 2
    below = a - _tail(a - low, core_step, spare)[::-1]
    above = b + _tail(high - b, core_step, spare)
    return _pad(np.concatenate([below, core, above]))


def nearest(codebook: AnyFloats, values: AnyFloats) -> NDArray[np.uint8]:
    """Return the index of the nearest of 256 levels for each of `values`; same shape.

    Raises:
        ValueError: for another number of levels.
    """
    if len(codebook) != CODEBOOK_SIZE:
        raise ValueError(f"a codebook has {CODEBOOK_SIZE} levels, not {len(codebook)}")
    borders = (codebook[1:] + codebook[:-1]) / 2
    index = np.empty(values.shape, np.uint8)
    _count_borders_below(borders.astype(np.float64), np.ascontiguousarray(values).reshape(-1), index.reshape(-1))
    return index


def decode(codebook: AnyFloats, code: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The levels that indices name; same shape."""
    levels = codebook.astype(np.float32)
    return map_rows(lambda code: levels[code], code)


def _tail(length: float, step: float, count: int) -> NDArray[np.float64]:
    """Up to `count` offsets from 0 (excluded) to `length` (included), the first near `step`, growing by one ratio."""
    if length <= 0:
        return np.empty(0)
    if length <= step * count:
        return np.linspace(0, length, _steps(length, step, count) + 1)[1:]
    low, high = 1.0, 1e6 ** (1 / count) * 2
    for _ in range(60):
        ratio = (low + high) / 2
        if step * np.sum(ratio ** np.arange(count)) < length:
            low = ratio
        else:
            high = ratio
    offsets = np.cumsum(step * high ** np.arange(count))
    return np.asarray(offsets * (length / offsets[-1]))


def _steps(length: float, step: float, most: int) -> int:
    """How many steps span a length. At most `most`: a quotient of floats may be slightly above its bound."""
    return min(most, int(np.ceil(length / step)))


def _pad(levels: AnyFloats) -> NDArray[np.float64]:
    full = np.concatenate([levels, np.full(CODEBOOK_SIZE - len(levels), levels[-1])])
    rounded = np.array([float(f"{level:.{DIGITS}g}") for level in full])
    return np.maximum.accumulate(rounded)


@kernel
def _count_borders_below(borders: NDArray[np.float64], values: AnyFloats, index: NDArray[np.uint8]) -> None:
    """How many of the 255 ascending borders lie below each value: a binary search without branches, which takes a
    quarter of the time of numpy's."""
    for i in range(len(values)):
        low, value = 0, values[i]
        for power in range(7, -1, -1):
            step = 1 << power
            low += step if borders[low + step - 1] < value else 0
        index[i] = low
