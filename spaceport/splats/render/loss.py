"""The loss of 3DGS, L1 and SSIM between a picture and a photo, with its gradient, row by row.

SSIM (Wang et al. 2004) has a Gaussian window of 11 taps, sigma 1.5, and counts pixels whose whole window lies in the
picture, as `splats.metrics.ssim` does. The window is separable, and colours stay interleaved: the neighbour to the
right is 3 floats further on.
"""

from __future__ import annotations

import numpy as np

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import LANES, Lanes
from spaceport.simd.memory import broadcast_load, load, store
from spaceport.simd.ops import broadcast, divide_fast, fma, lane_index, maximum, select
from spaceport.splats.model import Floats
from spaceport.splats.render.kernel_arguments import Canvas
from spaceport.splats.ssim import gaussian_window

TAPS = 11
REACH = TAPS - 1
"""By how many rows and columns there are fewer windows than pixels."""
_SIDE = 3 * REACH
_C1, _C2 = 0.01**2, 0.03**2
_WINDOW = gaussian_window().astype(np.float32)
_SLACK = 4 * LANES


@inline
def scratch_size(width: int) -> int:
    """Floats of scratch that a thread needs: five rows, and a ring buffer of TAPS rows of three maps."""
    return (5 + 3 * TAPS) * (3 * width + 2 * _SIDE + 2 * _SLACK)


@inline
def _filter_row(row: Floats, at: int) -> Lanes:
    """The window along a row of interleaved colours."""
    total = broadcast_load(_WINDOW, 0) * load(row, at)
    for tap in range(1, TAPS):
        total = fma(broadcast_load(_WINDOW, tap), load(row, at + 3 * tap), total)
    return total


@inline
def _filter_column(first: Floats, second: Floats, at: int, pitch: int) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes]:
    """The window down a column of two pictures: their means, mean squares and mean product (a, b, aa, bb, ab)."""
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
def _ssim_row(picture: Floats, photo: Floats, at: int, width: int, lines: Floats, ring: Floats) -> float:
    """SSIM summed over the windows whose first row begins at `at`.

    Its derivatives by the picture's mean, mean square and mean product go into `ring` [3, line], from _SIDE on.
    """
    pitch, valid = picture.shape[1] * 3, 3 * (width - REACH)
    one, zero = broadcast(1.0), broadcast(0.0)
    for x in range(0, 3 * width, LANES):
        mean_a, mean_b, aa, bb, ab = _filter_column(picture, photo, at + x, pitch)
        store(lines[0], x, mean_a)
        store(lines[1], x, mean_b)
        store(lines[2], x, aa)
        store(lines[3], x, bb)
        store(lines[4], x, ab)
    total = zero
    for x in range(0, valid, LANES):
        mean_a, mean_b = _filter_row(lines[0], x), _filter_row(lines[1], x)
        aa, bb, ab = _filter_row(lines[2], x), _filter_row(lines[3], x), _filter_row(lines[4], x)
        n1 = fma(2.0 * mean_a, mean_b, broadcast(_C1))
        n2 = fma(broadcast(2.0), ab - mean_a * mean_b, broadcast(_C2))
        d1 = fma(mean_a, mean_a, fma(mean_b, mean_b, broadcast(_C1)))
        d2 = (aa - mean_a * mean_a) + (bb - mean_b * mean_b) + _C2
        inv_d1, inv_d2 = divide_fast(one, d1), divide_fast(one, d2)
        inv_d1_d2 = inv_d1 * inv_d2
        ssim = n1 * n2 * inv_d1_d2
        inside = lane_index() + x < valid
        total = total + select(inside, ssim, zero)
        grad_mean = 2.0 * (mean_b * (n2 - n1) * inv_d1_d2 + mean_a * ssim * (inv_d2 - inv_d1))
        store(ring[0], _SIDE + x, select(inside, grad_mean, zero))
        store(ring[1], _SIDE + x, select(inside, -(ssim * inv_d2), zero))
        store(ring[2], _SIDE + x, select(inside, 2.0 * n1 * inv_d1_d2, zero))
    return _sum_lanes(total, lines[0])


@inline
def _sum_lanes(values: Lanes, scratch: Floats) -> float:
    store(scratch, 0, values)
    total = 0.0
    for lane in range(LANES):
        total += scratch[lane]
    return total


@inline
def _filter_ring(ring: Floats, y: int, width: int, lines: Floats) -> None:
    """The window down the ring buffer for row y, into lines[0] to [2]: the derivatives of all windows that hold it."""
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
def _grad_row(picture: Floats, canvas: Canvas, at: int, l1_weight: float, ssim_weight: float, lines: Floats) -> float:
    """Write d loss / d picture of the row that begins at `at`. Returns the sum of |picture - photo|."""
    photo, grad_picture, width = canvas.photo, canvas.grad_picture, canvas.width
    by_l1, by_ssim = np.float32(l1_weight), np.float32(ssim_weight)
    zero = broadcast(0.0)
    error = zero
    for x in range(0, 3 * width, LANES):
        a, b = load(picture, at + x), load(photo, at + x)
        inside = lane_index() + x < 3 * width
        difference = select(inside, a - b, zero)
        error = error + maximum(difference, -difference)
        slope = select(difference > 0.0, broadcast(by_l1), select(difference < 0.0, broadcast(-by_l1), zero))
        if by_ssim != 0.0:
            grad_similarity = fma(
                2.0 * a, _filter_row(lines[1], x), fma(b, _filter_row(lines[2], x), _filter_row(lines[0], x))
            )
            slope = fma(broadcast(by_ssim), grad_similarity, slope)
        store(grad_picture, at + x, select(inside, slope, zero))
    return _sum_lanes(error, lines[4])


@kernel
def l1_ssim(
    picture: Floats,
    canvas: Canvas,
    rows: tuple[int, int],
    l1_weight: float,
    ssim_weight: float,
    scratch: Floats,
) -> None:
    """Compare rows[0] to before rows[1] of `picture` with canvas.photo.

    Writes canvas.grad_picture, canvas.row_ssim and canvas.row_l1.

    Args:
        picture: canvas.picture, or canvas.exposed.
        l1_weight, ssim_weight: of sign(picture - photo) and of d SSIM in the gradient; 0 leaves SSIM out.
        scratch: `scratch_size` floats.
    """
    height, width = canvas.height, canvas.width
    pitch, line = picture.shape[1] * 3, len(scratch) // (5 + 3 * TAPS)
    lines = scratch[: 5 * line].reshape((5, line))
    ring = scratch[5 * line : (5 + 3 * TAPS) * line].reshape((TAPS, 3, line))
    ring[:] = 0.0
    begin = rows[0] if ssim_weight == 0.0 else rows[0] - REACH
    for y in range(begin, rows[1]):
        if ssim_weight != 0.0:
            slot, similarity = (y + TAPS) % TAPS, 0.0
            if 0 <= y < height - REACH:
                similarity = _ssim_row(picture, canvas.photo, y * pitch, width, lines, ring[slot])
            else:
                ring[slot] = 0.0
            if y >= rows[0]:
                canvas.row_ssim[y] = similarity
        if y >= rows[0]:
            if ssim_weight != 0.0:
                _filter_ring(ring, y, width, lines)
            canvas.row_l1[y] = _grad_row(picture, canvas, y * pitch, l1_weight, ssim_weight, lines)


_THREE = 3 * LANES


@kernel
def exposure_backward(canvas: Canvas, rows: tuple[int, int], exposure: Floats) -> None:
    """From the gradient by the exposed picture to that by the picture, in place in canvas.grad_picture.

    Writes canvas.row_grad_exposure. `exposure` [6] is 3 gains, 3 biases.
    """
    picture, grad_picture, sums = canvas.picture, canvas.grad_picture, canvas.row_grad_exposure
    pitch = picture.shape[1] * 3
    work = np.zeros(3 * _THREE, np.float32)
    for k in range(_THREE):
        work[2 * _THREE + k] = exposure[k % 3]
    for row in range(rows[0], rows[1]):
        work[: 2 * _THREE] = 0.0
        for at in range(row * pitch, (row + 1) * pitch, _THREE):
            for k in range(0, _THREE, LANES):
                slope = load(grad_picture, at + k)
                store(work, k, fma(slope, load(picture, at + k), load(work, k)))
                store(work, _THREE + k, load(work, _THREE + k) + slope)
                store(grad_picture, at + k, slope * load(work, 2 * _THREE + k))
        sums[row, :] = 0.0
        for k in range(_THREE):
            sums[row, k % 3] += work[k]
            sums[row, 3 + k % 3] += work[_THREE + k]
