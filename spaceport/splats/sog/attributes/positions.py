"""Positions: 16 bits per axis on a symmetric logarithmic scale, as SOG has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.sog.attributes.importance import multiples
from spaceport.splats.sog.attributes.rows import map_rows

TOP = 65535


def log_scale(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """sign(v) ln(1 + |v|), in float64."""
    values = values.astype(np.float64)
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def linear_scale(logs: NDArray[np.floating]) -> NDArray[np.float64]:
    """The inverse of `log_scale`."""
    return np.asarray(np.sign(logs) * np.expm1(np.abs(logs)))


def bounds(means: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest log position per axis, [3] and [3]."""
    columns = means.T  # the logarithm keeps their order
    return log_scale(np.array([c.min() for c in columns])), log_scale(np.array([c.max() for c in columns]))


def encode(
    means: NDArray[np.float32],
    mins: NDArray[np.float64],
    maxs: NDArray[np.float64],
    slack: NDArray[np.floating] | None = None,
) -> NDArray[np.uint16]:
    """Quantise positions [N,3] to 0..65535 per axis.

    `slack` [N], in scene units, is about how far a position may move. Where it exceeds the step, low bits are rounded
    away: they are invisible noise, which a lossless coder cannot shrink.
    """
    span = np.where(maxs > mins, maxs - mins, 1.0)

    def quantise(means: NDArray[np.float32], slack: NDArray[np.floating] | None = None) -> NDArray[np.uint16]:
        exact = (log_scale(means) - mins) / span * TOP
        if slack is None:
            return np.clip(np.floor(exact + 0.5), 0, TOP).astype(np.uint16)
        multiple = multiples(slack[:, None], (1 + np.abs(means.astype(np.float64))) * span / TOP)
        coarse = np.floor(exact / multiple + 0.5) * multiple
        coarse = np.where(coarse > TOP, coarse - multiple, coarse)
        return np.asarray(np.clip(coarse, 0, TOP), np.uint16)

    return map_rows(quantise, means) if slack is None else map_rows(quantise, means, slack)


def split(q: NDArray[np.uint16]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The low and the high bytes of positions in their 16-bit form."""
    return (q & 255).astype(np.uint8), (q >> 8).astype(np.uint8)


def join(low: NDArray[np.uint8], high: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The inverse of `split`."""
    return low | high.astype(np.uint16) << np.uint16(8)


def decode(q: NDArray[np.uint16], mins: NDArray[np.float64], maxs: NDArray[np.float64]) -> NDArray[np.float32]:
    """Positions [N,3] from their 16-bit form."""
    limit = float(np.finfo(np.float32).max)

    def dequantise(q: NDArray[np.uint16]) -> NDArray[np.float32]:
        values = linear_scale(mins + (maxs - mins) * (q.astype(np.float64) / TOP))
        return np.clip(values, -limit, limit).astype(np.float32)

    return map_rows(dequantise, q)
