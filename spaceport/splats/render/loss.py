"""L1 + SSIM between a picture and a photo, with the gradient, rows at a time.

SSIM (Wang et al. 2004) has a Gaussian window of 11 taps, sigma 1.5, and counts pixels whose whole window lies in the
picture, as `splats.metrics.ssim` does. The window is separable, and colours stay interleaved: a neighbour to the right
is 3 floats further on.

All pictures are [H', W', 3], sides padded to multiples of 16; `size` is the true (height, width).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spaceport.splats.metrics import window
from spaceport.splats.model import Floats
from spaceport.splats.render.jit import inlined, kernel
from spaceport.splats.render.vector import LANES, Vector
from spaceport.splats.render.vector_math import fma, lane_numbers, larger, quotient, spread, where
from spaceport.splats.render.vector_memory import load, spread_at, store

Doubles = npt.NDArray[np.float64]

TAPS = 11
REACH = TAPS - 1
"""Rows and columns that the window takes off a picture's sides together."""
_SIDE = 3 * REACH
_C1, _C2 = 0.01**2, 0.03**2
_WINDOW = window().astype(np.float32)
_SLACK = 4 * LANES


def maps_shape(height: int, width: int) -> tuple[int, int, int]:
    """The maps of SSIM's derivatives by mean, mean square and mean product, with a margin of zeros as wide as REACH."""
    return 3, height + REACH, 3 * width + _SIDE + _SLACK


def scratch_size(width: int) -> int:
    """Floats of scratch a thread needs: five rows."""
    return 5 * (3 * width + _SIDE + 2 * _SLACK)


@inlined
def _along(row: Floats, at: int) -> Vector:
    """The window over a row whose neighbours are 3 apart."""
    total = spread_at(_WINDOW, 0) * load(row, at)
    for tap in range(1, TAPS):
        total = fma(spread_at(_WINDOW, tap), load(row, at + 3 * tap), total)
    return total


@inlined
def _down(first: Floats, second: Floats, at: int, pitch: int) -> tuple[Vector, Vector, Vector, Vector, Vector]:
    """The window down a column of two pictures: their means, mean squares and mean product."""
    a, b = load(first, at), load(second, at)
    weight = spread_at(_WINDOW, 0)
    wa, wb = weight * a, weight * b
    mean_a, mean_b, aa, bb, ab = wa, wb, wa * a, wb * b, wa * b
    for tap in range(1, TAPS):
        a, b = load(first, at + tap * pitch), load(second, at + tap * pitch)
        weight = spread_at(_WINDOW, tap)
        wa, wb = weight * a, weight * b
        mean_a, mean_b = mean_a + wa, mean_b + wb
        aa, bb, ab = fma(wa, a, aa), fma(wb, b, bb), fma(wa, b, ab)
    return mean_a, mean_b, aa, bb, ab


@kernel
def similarity(
    picture: Floats,
    photo: Floats,
    size: tuple[int, int],
    rows: tuple[int, int],
    maps: Floats,
    sums: Doubles,
    scratch: Floats,
) -> None:
    """SSIM of window rows `rows`, summed per row into `sums` [H], and its derivatives into `maps`."""
    width = size[1]
    pitch = picture.shape[1] * 3
    lines = scratch.reshape((5, scratch.size // 5))
    valid = 3 * (width - REACH)
    one = spread(1.0)
    for y in range(rows[0], rows[1]):
        for x in range(0, 3 * width, LANES):
            mean_a, mean_b, aa, bb, ab = _down(picture, photo, y * pitch + x, pitch)
            store(lines[0], x, mean_a)
            store(lines[1], x, mean_b)
            store(lines[2], x, aa)
            store(lines[3], x, bb)
            store(lines[4], x, ab)
        total = spread(0.0)
        for x in range(0, valid, LANES):
            mean_a, mean_b = _along(lines[0], x), _along(lines[1], x)
            aa, bb, ab = _along(lines[2], x), _along(lines[3], x), _along(lines[4], x)
            n1 = fma(2.0 * mean_a, mean_b, spread(_C1))
            n2 = fma(spread(2.0), ab - mean_a * mean_b, spread(_C2))
            d1 = fma(mean_a, mean_a, fma(mean_b, mean_b, spread(_C1)))
            d2 = (aa - mean_a * mean_a) + (bb - mean_b * mean_b) + _C2
            per_d1, per_d2 = quotient(one, d1), quotient(one, d2)
            per_both = per_d1 * per_d2
            ssim = n1 * n2 * per_both
            inside = lane_numbers() + x < valid
            zero = spread(0.0)
            total = total + where(inside, ssim, zero)
            by_mean = 2.0 * (mean_b * (n2 - n1) * per_both + mean_a * ssim * (per_d2 - per_d1))
            at = (y + REACH) * maps.shape[2] + _SIDE + x
            step = maps.shape[1] * maps.shape[2]
            store(maps, at, where(inside, by_mean, zero))
            store(maps, at + step, where(inside, -(ssim * per_d2), zero))
            store(maps, at + 2 * step, where(inside, 2.0 * n1 * per_both, zero))
        store(scratch, 0, total)
        row = 0.0
        for lane in range(LANES):
            row += scratch[lane]
        sums[y] = row


@kernel
def gradient(
    pictures: tuple[Floats, Floats, Floats],
    size: tuple[int, int],
    rows: tuple[int, int],
    weights: tuple[float, float],
    maps: Floats,
    sums: Doubles,
    scratch: Floats,
) -> None:
    """d loss / d picture of picture rows `rows` into pictures[2], from (picture, photo, it) and the maps.

    `weights` multiply sign(picture - photo) and d SSIM. Sums of |picture - photo| per row go into `sums` [H].
    """
    picture, photo, by_picture = pictures
    width = size[1]
    pitch, line = picture.shape[1] * 3, maps.shape[2]
    step = maps.shape[1] * line
    lines = scratch.reshape((5, scratch.size // 5))
    by_l1, by_ssim = np.float32(weights[0]), np.float32(weights[1])
    zero = spread(0.0)
    for y in range(rows[0], rows[1]):
        if by_ssim != 0.0:
            for kind in range(3):
                for x in range(0, 3 * width + _SIDE, LANES):
                    at = kind * step + y * line + x
                    total = spread_at(_WINDOW, 0) * load(maps, at)
                    for tap in range(1, TAPS):
                        total = fma(spread_at(_WINDOW, tap), load(maps, at + tap * line), total)
                    store(lines[kind], x, total)
        error = zero
        for x in range(0, 3 * width, LANES):
            at = y * pitch + x
            a, b = load(picture, at), load(photo, at)
            inside = lane_numbers() + x < 3 * width
            difference = where(inside, a - b, zero)
            error = error + larger(difference, -difference)
            slope = where(difference > 0.0, spread(by_l1), where(difference < 0.0, spread(-by_l1), zero))
            if by_ssim != 0.0:
                similar = fma(2.0 * a, _along(lines[1], x), fma(b, _along(lines[2], x), _along(lines[0], x)))
                slope = fma(spread(by_ssim), similar, slope)
            store(by_picture, at, where(inside, slope, zero))
        store(scratch, 0, error)
        row = 0.0
        for lane in range(LANES):
            row += scratch[lane]
        sums[y] = row


_THREE = 3 * LANES


@kernel
def expose(picture: Floats, exposed: Floats, rows: tuple[int, int], pattern: Floats) -> None:
    """exposed = gain * picture + bias on whole rows. `pattern` [96] repeats the gains 16 times, then the biases."""
    pitch = picture.shape[1] * 3
    for at in range(rows[0] * pitch, rows[1] * pitch, _THREE):
        for k in range(0, _THREE, LANES):
            store(exposed, at + k, fma(load(pattern, k), load(picture, at + k), load(pattern, _THREE + k)))


@kernel
def expose_back(picture: Floats, by_picture: Floats, rows: tuple[int, int], pattern: Floats, sums: Doubles) -> None:
    """From the gradient by the exposed picture to that by the picture, in place, and per row `sums` [H, 6] of that by
    gain and by bias."""
    pitch = picture.shape[1] * 3
    work = np.zeros(2 * _THREE, np.float32)
    for row in range(rows[0], rows[1]):
        work[:] = 0.0
        for at in range(row * pitch, (row + 1) * pitch, _THREE):
            for k in range(0, _THREE, LANES):
                slope = load(by_picture, at + k)
                store(work, k, fma(slope, load(picture, at + k), load(work, k)))
                store(work, _THREE + k, load(work, _THREE + k) + slope)
                store(by_picture, at + k, slope * load(pattern, k))
        sums[row, :] = 0.0
        for k in range(_THREE):
            sums[row, k % 3] += work[k]
            sums[row, 3 + k % 3] += work[_THREE + k]
