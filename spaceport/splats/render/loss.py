"""L1 + SSIM between a picture and a photo, with the gradient, rows at a time.

SSIM (Wang et al. 2004) has a Gaussian window of 11 taps, sigma 1.5, and counts pixels whose whole window lies in the
picture, as `splats.metrics.ssim` does. The window is separable, and colours stay interleaved: a neighbour to the right
is 3 floats further on.

All pictures are [H', W', 3], sides padded to multiples of 16; `size` is the true (height, width).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import LANES, Lanes
from spaceport.simd.memory import broadcast_load, load, store
from spaceport.simd.ops import broadcast, divide_fast, fma, lane_index, maximum, select
from spaceport.splats.model import Floats
from spaceport.splats.render.similarity import window

Doubles = npt.NDArray[np.float64]

TAPS = 11
REACH = TAPS - 1
"""Rows and columns that the window takes off a picture's sides together."""
_SIDE = 3 * REACH
_C1, _C2 = 0.01**2, 0.03**2
_WINDOW = window().astype(np.float32)
_SLACK = 4 * LANES


@inline
def scratch_size(width: int) -> int:
    """Floats of scratch a thread needs: five rows, and a ring of TAPS rows of three maps."""
    return (5 + 3 * TAPS) * (3 * width + 2 * _SIDE + 2 * _SLACK)


@inline
def _along(row: Floats, at: int) -> Lanes:
    """The window over a row whose neighbours are 3 apart."""
    total = broadcast_load(_WINDOW, 0) * load(row, at)
    for tap in range(1, TAPS):
        total = fma(broadcast_load(_WINDOW, tap), load(row, at + 3 * tap), total)
    return total


@inline
def _down(first: Floats, second: Floats, at: int, pitch: int) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes]:
    """The window down a column of two pictures: their means, mean squares and mean product."""
    a, b = load(first, at), load(second, at)
    weight = broadcast_load(_WINDOW, 0)
    wa, wb = weight * a, weight * b
    mean_a, mean_b, aa, bb, ab = wa, wb, wa * a, wb * b, wa * b
    for tap in range(1, TAPS):
        a, b = load(first, at + tap * pitch), load(second, at + tap * pitch)
        weight = broadcast_load(_WINDOW, tap)
        wa, wb = weight * a, weight * b
        mean_a, mean_b = mean_a + wa, mean_b + wb
        aa, bb, ab = fma(wa, a, aa), fma(wb, b, bb), fma(wa, b, ab)
    return mean_a, mean_b, aa, bb, ab


@inline
def _similarity(picture: Floats, photo: Floats, at: int, width: int, lines: Floats, ring: Floats) -> float:
    """SSIM summed over the windows whose first row begins at `at`; its derivatives by mean, mean square and mean
    product go into `ring` [3, line], from _SIDE on."""
    pitch, valid = picture.shape[1] * 3, 3 * (width - REACH)
    one, zero = broadcast(1.0), broadcast(0.0)
    for x in range(0, 3 * width, LANES):
        mean_a, mean_b, aa, bb, ab = _down(picture, photo, at + x, pitch)
        store(lines[0], x, mean_a)
        store(lines[1], x, mean_b)
        store(lines[2], x, aa)
        store(lines[3], x, bb)
        store(lines[4], x, ab)
    total = zero
    for x in range(0, valid, LANES):
        mean_a, mean_b = _along(lines[0], x), _along(lines[1], x)
        aa, bb, ab = _along(lines[2], x), _along(lines[3], x), _along(lines[4], x)
        n1 = fma(2.0 * mean_a, mean_b, broadcast(_C1))
        n2 = fma(broadcast(2.0), ab - mean_a * mean_b, broadcast(_C2))
        d1 = fma(mean_a, mean_a, fma(mean_b, mean_b, broadcast(_C1)))
        d2 = (aa - mean_a * mean_a) + (bb - mean_b * mean_b) + _C2
        per_d1, per_d2 = divide_fast(one, d1), divide_fast(one, d2)
        per_both = per_d1 * per_d2
        ssim = n1 * n2 * per_both
        inside = lane_index() + x < valid
        total = total + select(inside, ssim, zero)
        by_mean = 2.0 * (mean_b * (n2 - n1) * per_both + mean_a * ssim * (per_d2 - per_d1))
        store(ring[0], _SIDE + x, select(inside, by_mean, zero))
        store(ring[1], _SIDE + x, select(inside, -(ssim * per_d2), zero))
        store(ring[2], _SIDE + x, select(inside, 2.0 * n1 * per_both, zero))
    return _total(total, lines[0])


@inline
def _total(values: Lanes, scratch: Floats) -> float:
    store(scratch, 0, values)
    total = 0.0
    for lane in range(LANES):
        total += scratch[lane]
    return total


@inline
def _spread_back(ring: Floats, y: int, width: int, lines: Floats) -> None:
    """The window down the ring, for row y: what each window that holds a pixel of it says, into lines[0] to [2]."""
    line = ring.shape[2]
    for slot in range(TAPS):  # that of window row w is w mod TAPS; the last one is y
        lines[3, slot] = _WINDOW[(slot - y - 1) % TAPS]
    for kind in range(3):
        for x in range(0, 3 * width + _SIDE, LANES):
            at = kind * line + x
            total = broadcast_load(lines[3], 0) * load(ring, at)
            for slot in range(1, TAPS):
                total = fma(broadcast_load(lines[3], slot), load(ring, at + 3 * slot * line), total)
            store(lines[kind], x, total)


@inline
def _slope(
    pictures: tuple[Floats, Floats, Floats], at: int, width: int, weights: tuple[float, float], lines: Floats
) -> float:
    """d loss / d picture of the row that begins at `at`, into pictures[2]. Returns the sum of |picture - photo|."""
    picture, photo, by_picture = pictures
    by_l1, by_ssim = np.float32(weights[0]), np.float32(weights[1])
    zero = broadcast(0.0)
    error = zero
    for x in range(0, 3 * width, LANES):
        a, b = load(picture, at + x), load(photo, at + x)
        inside = lane_index() + x < 3 * width
        difference = select(inside, a - b, zero)
        error = error + maximum(difference, -difference)
        slope = select(difference > 0.0, broadcast(by_l1), select(difference < 0.0, broadcast(-by_l1), zero))
        if by_ssim != 0.0:
            similar = fma(2.0 * a, _along(lines[1], x), fma(b, _along(lines[2], x), _along(lines[0], x)))
            slope = fma(broadcast(by_ssim), similar, slope)
        store(by_picture, at + x, select(inside, slope, zero))
    return _total(error, lines[4])


@kernel
def compare(
    pictures: tuple[Floats, Floats, Floats],
    size: tuple[int, int],
    rows: tuple[int, int],
    weights: tuple[float, float],
    sums: tuple[Doubles, Doubles],
    scratch: Floats,
) -> None:
    """d loss / d picture of picture rows `rows` into pictures[2], from (picture, photo, it).

    `weights` multiply sign(picture - photo) and d SSIM. `sums` get, per row, SSIM summed over the windows that begin
    there [H], and the sum of |picture - photo| [H].
    """
    height, width = size
    pitch, line = pictures[0].shape[1] * 3, len(scratch) // (5 + 3 * TAPS)
    lines = scratch[: 5 * line].reshape((5, line))
    ring = scratch[5 * line : (5 + 3 * TAPS) * line].reshape((TAPS, 3, line))
    ring[:] = 0.0
    begin = rows[0] if weights[1] == 0.0 else rows[0] - REACH
    for y in range(begin, rows[1]):
        if weights[1] != 0.0:
            slot, similar = (y + TAPS) % TAPS, 0.0
            if 0 <= y < height - REACH:
                similar = _similarity(pictures[0], pictures[1], y * pitch, width, lines, ring[slot])
            else:
                ring[slot] = 0.0
            if y >= rows[0]:
                sums[0][y] = similar
        if y >= rows[0]:
            if weights[1] != 0.0:
                _spread_back(ring, y, width, lines)
            sums[1][y] = _slope(pictures, y * pitch, width, weights, lines)


_THREE = 3 * LANES


@kernel
def expose_back(picture: Floats, by_picture: Floats, rows: tuple[int, int], exposure: Floats, sums: Doubles) -> None:
    """From the gradient by the exposed picture to that by the picture, in place, and per row `sums` [H, 6] of that by
    gain and by bias. `exposure` is 3 gains, 3 biases."""
    pitch = picture.shape[1] * 3
    work = np.zeros(3 * _THREE, np.float32)
    for k in range(_THREE):
        work[2 * _THREE + k] = exposure[k % 3]
    for row in range(rows[0], rows[1]):
        work[: 2 * _THREE] = 0.0
        for at in range(row * pitch, (row + 1) * pitch, _THREE):
            for k in range(0, _THREE, LANES):
                slope = load(by_picture, at + k)
                store(work, k, fma(slope, load(picture, at + k), load(work, k)))
                store(work, _THREE + k, load(work, _THREE + k) + slope)
                store(by_picture, at + k, slope * load(work, 2 * _THREE + k))
        sums[row, :] = 0.0
        for k in range(_THREE):
            sums[row, k % 3] += work[k]
            sums[row, 3 + k % 3] += work[_THREE + k]
