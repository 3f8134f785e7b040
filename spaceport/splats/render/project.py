"""From Gaussians in space to records on the picture, 16 at a time.

The projection is EWA splatting (Zwicker et al. 2001) as in 3DGS: the covariance goes through the Jacobian of the
pinhole projection at the mean. With V = J W R S the covariance on the picture is V Vᵀ + blur.

The blur makes what is thinner than a pixel too heavy. Antialiased, as in Mip-Splatting (Yu et al. 2023, arXiv
2311.16493), the opacity is multiplied by sqrt(det(V Vᵀ) / det(V Vᵀ + blur)): then its weight stays.
"""

from __future__ import annotations

import math

import numpy as np

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import LANES, Ints, Lanes
from spaceport.simd.memory import compress_store, compress_store_rows, gather, store
from spaceport.simd.ops import (
    broadcast,
    exp2,
    fma,
    intbits,
    lane_index,
    log2,
    maximum,
    minimum,
    minimum_ints,
    packmask,
    select,
    sqrt,
    to_ints,
)
from spaceport.splats.model import Floats
from spaceport.splats.render import record, view
from spaceport.splats.render.bins import PACK, TILE, count_tiles
from spaceport.splats.render.colour import basis, seen

LOG2E = math.log2(math.e)
_HUGE = 1e12  # variance on the picture, pixels squared; beyond it float32 holds no shape

_FAINTEST = 1e-30  # of a Gaussian seen edge-on; any opacity times its root is under 1/255

Three = tuple[Lanes, Lanes, Lanes]


@inline
def three(array: Floats, rows: Lanes) -> Three:
    """The columns of an [N, 3] array at 16 rows."""
    at = rows * 3
    return gather(array, at), gather(array, at + 1), gather(array, at + 2)


@inline
def to_camera(eye: Floats, x: Lanes, y: Lanes, z: Lanes) -> Three:
    """World to camera coordinates."""
    return (
        eye[0] * x + eye[1] * y + eye[2] * z + eye[9],
        eye[3] * x + eye[4] * y + eye[5] * z + eye[10],
        eye[6] * x + eye[7] * y + eye[8] * z + eye[11],
    )


@inline
def unit_quats(quats: Floats, rows: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes]:
    """w, x, y, z of length 1, and 1 / the length they had."""
    at = rows * 4
    w, x, y, z = gather(quats, at), gather(quats, at + 1), gather(quats, at + 2), gather(quats, at + 3)
    per_length = 1.0 / sqrt(w * w + x * x + y * y + z * z)
    return w * per_length, x * per_length, y * per_length, z * per_length, per_length


@inline
def rotation(w: Lanes, x: Lanes, y: Lanes, z: Lanes) -> tuple[Three, Three, Three]:
    """Rows of the matrix of a unit quaternion."""
    return (
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
        (2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)),
        (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
    )


@inline
def jacobian(eye: Floats, axis: int, focal: Lanes, ratio: Lanes) -> Three:
    """One row of J W: how a picture coordinate moves with the world. `axis` 0 is x; `focal` is f / z."""
    k = 3 * axis
    return (
        focal * (eye[k] - ratio * eye[6]),
        focal * (eye[k + 1] - ratio * eye[7]),
        focal * (eye[k + 2] - ratio * eye[8]),
    )


@inline
def through(row: Three, turned: tuple[Three, Three, Three]) -> Three:
    """A row times a 3 x 3 matrix."""
    a, b, c = row
    r0, r1, r2 = turned
    return (
        fma(a, r0[0], fma(b, r1[0], c * r2[0])),
        fma(a, r0[1], fma(b, r1[1], c * r2[1])),
        fma(a, r0[2], fma(b, r1[2], c * r2[2])),
    )


@inline
def dot(a: Three, b: Three) -> Lanes:
    return fma(a[0], b[0], fma(a[1], b[1], a[2] * b[2]))


@inline
def times(a: Three, b: Three) -> Three:
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@inline
def cross_squared(a: Three, b: Three) -> Lanes:
    """|a x b|²: the determinant of [a; b][a; b]ᵀ without the cancellation."""
    x, y, z = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    return fma(x, x, fma(y, y, z * z))


@inline
def exponentials(scales: Floats, rows: Lanes) -> Three:
    """Standard deviations from their logarithms, held within what float32 can square."""
    a, b, c = three(scales, rows)
    return _exponential(a), _exponential(b), _exponential(c)


@inline
def _exponential(x: Lanes) -> Lanes:
    return exp2(maximum(minimum(x * LOG2E, broadcast(40.0)), broadcast(-40.0)))


@inline
def opacity_of(opacities: Floats, rows: Lanes) -> Lanes:
    """Sigmoid of the logits."""
    logit = maximum(minimum(gather(opacities, rows), broadcast(60.0)), broadcast(-60.0))
    return 1.0 / (1.0 + exp2(-LOG2E * logit))


@inline
def from_camera(eye: Floats, mean: Three) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Unit direction from the camera to a mean, and 1 / distance."""
    x, y, z = mean[0] - eye[22], mean[1] - eye[23], mean[2] - eye[24]
    per_distance = 1.0 / sqrt(x * x + y * y + z * z)
    return x * per_distance, y * per_distance, z * per_distance, per_distance


@inline
def _tiles(centre: Lanes, reach: Lanes, side: float) -> Lanes:
    """The tiles from the first to the last that centre ± reach meets along a side, packed."""
    last_pixel, zero = broadcast(side - np.float32(1.0)), broadcast(0.0)
    first = minimum(maximum(centre - reach - 0.5, zero), last_pixel)
    last = minimum(maximum(centre + reach - 0.5, zero), last_pixel)
    return to_ints(first * (1 / TILE)) + to_ints(last * (1 / TILE)) * PACK


@inline
def _peak(opacity: Lanes, eye: Floats, share: Lanes) -> Lanes:
    """log2 of the opacity at the centre; `share` is det(V Vᵀ) / det(V Vᵀ + blur)."""
    peak = log2(opacity)
    if eye[view.ANTIALIASED] != 0.0:
        peak = fma(broadcast(0.5), log2(maximum(share, broadcast(_FAINTEST))), peak)
    return peak


@kernel
def project(
    params: tuple[Floats, Floats, Floats, Floats, Floats, Floats],
    degree: int,
    eye: Floats,
    part: tuple[int, int, int],
    records: Floats,
    slots: tuple[Ints, Ints, Ints, Ints],
    sizes: tuple[Floats, Ints],
    scratch: Floats,
) -> int:
    """Rows part[0] to part[1] of the model: write what is visible from slot part[2] on, and return how many that are.

    `slots` get the row, the key to sort by, and the box of tiles: (first, last) column, (first, last) row, see bins.py.
    `sizes` is (radii, loads): radii [N + 16] gets half the longer side of each footprint's box, 0 for the invisible;
    loads see `count_tiles`.
    """
    means, quats, scales, opacities, sh0, rest = params
    first, last, slot = part
    rows_out, keys, columns_out, tile_rows_out = slots
    radii, loads = sizes
    at = slot
    for start in range(first, last, LANES):
        numbers = lane_index() + start
        rows = minimum_ints(numbers, lane_index() * 0 + (last - 1))
        mean = three(means, rows)
        x, y, z = to_camera(eye, mean[0], mean[1], mean[2])
        visible = (numbers < last) & (z > record.NEAR) & (z < record.FAR)
        if packmask(visible) == 0:
            store(radii, start, broadcast(0.0))
            continue
        per_z = 1.0 / z
        ratio_x, ratio_y = x * per_z, y * per_z
        clamped_x = minimum(maximum(ratio_x, broadcast(eye[view.LEFT])), broadcast(eye[view.RIGHT]))
        clamped_y = minimum(maximum(ratio_y, broadcast(eye[view.TOP])), broadcast(eye[view.BOTTOM]))
        qw, qx, qy, qz, _ = unit_quats(quats, rows)
        turned = rotation(qw, qx, qy, qz)
        deviations = exponentials(scales, rows)
        vx = times(through(jacobian(eye, 0, eye[view.FX] * per_z, clamped_x), turned), deviations)
        vy = times(through(jacobian(eye, 1, eye[view.FY] * per_z, clamped_y), turned), deviations)
        own_xx, own_yy, xy = dot(vx, vx), dot(vy, vy), dot(vx, vy)
        xx, yy = own_xx + record.BLUR, own_yy + record.BLUR
        own = cross_squared(vx, vy)
        determinant = own + record.BLUR * (own_xx + own_yy) + record.BLUR * record.BLUR
        peak = _peak(opacity_of(opacities, rows), eye, own / determinant)
        margin = peak + record.CUT
        reach_x, reach_y = sqrt(2.0 * math.log(2.0) * margin * xx), sqrt(2.0 * math.log(2.0) * margin * yy)
        px = fma(broadcast(eye[view.FX]), ratio_x, broadcast(eye[view.CX]))
        py = fma(broadcast(eye[view.FY]), ratio_y, broadcast(eye[view.CY]))
        visible = visible & (margin > 0.0) & (xx + yy < _HUGE) & (determinant > 0.0)
        visible = visible & (px + reach_x >= 0.5) & (px - reach_x <= eye[view.WIDTH] - 0.5)
        visible = visible & (py + reach_y >= 0.5) & (py - reach_y <= eye[view.HEIGHT] - 0.5)
        store(radii, start, select(visible, maximum(reach_x, reach_y), broadcast(0.0)))
        if packmask(visible) == 0:
            continue
        dx, dy, dz, _ = from_camera(eye, mean)
        basis(dx, dy, dz, degree, scratch)
        red, green, blue = seen(sh0, rest, rows, degree, scratch)
        zero = broadcast(0.0)
        per_determinant = -LOG2E / determinant
        columns = (
            px,
            py,
            yy * per_determinant,
            -(xy * per_determinant),
            xx * per_determinant,
            peak,
            maximum(red, zero),
            maximum(green, zero),
            maximum(blue, zero),
            reach_x,
            reach_y,
            xy / yy,
            sqrt(2.0 * math.log(2.0) * margin * determinant / yy),
            reach_x * xy / xx,
            1.0 / (reach_y * reach_y),
            z,
        )
        compress_store(rows_out, at, rows, visible)
        compress_store(keys, at, intbits(z), visible)
        compress_store(columns_out, at, _tiles(px, reach_x, eye[view.WIDTH]), visible)
        compress_store(tile_rows_out, at, _tiles(py, reach_y, eye[view.HEIGHT]), visible)
        at = compress_store_rows(records, at * LANES, columns, visible) // LANES
    count_tiles((columns_out, tile_rows_out), slot, at, loads)
    return at - slot
