"""From gradients by records back to gradients by parameters: the chain rule of project.py, 16 Gaussians at a time."""

from __future__ import annotations

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import LANES, Ints, Lanes
from spaceport.simd.memory import load, load_ints, load_transposed, scatter, store
from spaceport.simd.ops import broadcast, fma, lane_index, maximum, minimum, select, sqrt
from spaceport.splats.model import Floats
from spaceport.splats.render import record, view
from spaceport.splats.render.bins import PACK
from spaceport.splats.render.colour import basis, direction_gradient, spread_gradient
from spaceport.splats.render.project import (
    Three,
    cross_squared,
    dot,
    exponentials,
    from_camera,
    jacobian,
    opacity_of,
    rotation,
    three,
    through,
    times,
    to_camera,
    unit_quats,
)

Params = tuple[Floats, Floats, Floats, Floats, Floats, Floats]
Outputs = tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats]
Sixteen = tuple[Lanes, ...]

BLOCK = LANES * record.SIZE
"""Floats of 16 records."""


@inline
def _collect(
    slot: int, count: int, grads: Floats, boxes: tuple[Ints, Ints], places: tuple[Ints, int], scratch: Floats
) -> None:
    """Add up what the bands say of `count` records from `slot` on, into scratch; leave zeros behind for the next."""
    zero = broadcast(0.0)
    band_of, tiles = places
    for k in range(count):
        base = (slot + k) * record.SIZE
        columns, rows = boxes[0][slot + k], boxes[1][slot + k]
        low = band_of[rows % PACK * tiles + columns % PACK]
        high = band_of[rows // PACK * tiles + columns // PACK]
        total = load(grads[low], base)
        store(grads[low], base, zero)
        for band in range(low + 1, high + 1):
            total = total + load(grads[band], base)
            store(grads[band], base, zero)
        store(scratch, k * record.SIZE, total)


@inline
def _spread_three(array: Floats, rows: Lanes, values: Three, mask: Lanes) -> None:
    at = rows * 3
    scatter(array, at, values[0], mask)
    scatter(array, at + 1, values[1], mask)
    scatter(array, at + 2, values[2], mask)


@inline
def _scaled_sum(a: Lanes, x: Three, b: Lanes, y: Three) -> Three:
    return fma(a, x[0], b * y[0]), fma(a, x[1], b * y[1]), fma(a, x[2], b * y[2])


@inline
def _rotation_back(
    w: Lanes, x: Lanes, y: Lanes, z: Lanes, by: tuple[Three, Three, Three]
) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Gradient by a unit quaternion of the gradient by its matrix."""
    r0, r1, r2 = by
    return (
        2.0 * (x * (r2[1] - r1[2]) + y * (r0[2] - r2[0]) + z * (r1[0] - r0[1])),
        2.0 * (y * (r0[1] + r1[0]) + z * (r0[2] + r2[0]) - 2.0 * x * (r1[1] + r2[2]) + w * (r2[1] - r1[2])),
        2.0 * (x * (r0[1] + r1[0]) + z * (r1[2] + r2[1]) - 2.0 * y * (r0[0] + r2[2]) + w * (r0[2] - r2[0])),
        2.0 * (x * (r0[2] + r2[0]) + y * (r1[2] + r2[1]) - 2.0 * z * (r0[0] + r1[1]) + w * (r1[0] - r0[1])),
    )


@inline
def _column_products(row_x: Three, by_x: Three, row_y: Three, by_y: Three) -> tuple[Three, Three, Three]:
    """row_xᵀ by_x + row_yᵀ by_y: gradient by the matrix that both rows went through."""
    return (
        _scaled_sum(row_x[0], by_x, row_y[0], by_y),
        _scaled_sum(row_x[1], by_x, row_y[1], by_y),
        _scaled_sum(row_x[2], by_x, row_y[2], by_y),
    )


@inline
def _times_transposed(row: Three, turned: tuple[Three, Three, Three]) -> Three:
    return dot(row, turned[0]), dot(row, turned[1]), dot(row, turned[2])


@inline
def _conic_back(vx: Three, vy: Three, columns: Sixteen) -> tuple[Lanes, Lanes, Three, Three]:
    """From moments to gradients by the centre (x, y) and by the rows of V, whose V Vᵀ + blur is the covariance."""
    sum_x, sum_y = columns[record.SUM_X], columns[record.SUM_Y]
    sum_xx, sum_xy, sum_yy = columns[record.SUM_XX], columns[record.SUM_XY], columns[record.SUM_YY]
    own_xx, own_yy = dot(vx, vx), dot(vy, vy)
    determinant = cross_squared(vx, vy) + record.BLUR * (own_xx + own_yy) + record.BLUR * record.BLUR
    per_determinant = 1.0 / determinant
    a = (own_yy + record.BLUR) * per_determinant
    b = -(dot(vx, vy) * per_determinant)
    c = (own_xx + record.BLUR) * per_determinant
    # d loss / d covariance = P M P / 2, with the conic P and the second moments M; doubled, as V comes in twice
    t_xx, t_xy = fma(a, sum_xx, b * sum_xy), fma(a, sum_xy, b * sum_yy)
    t_yx, t_yy = fma(b, sum_xx, c * sum_xy), fma(b, sum_xy, c * sum_yy)
    by_xx, by_xy, by_yy = fma(t_xx, a, t_xy * b), fma(t_xx, b, t_xy * c), fma(t_yx, b, t_yy * c)
    by_vx, by_vy = _scaled_sum(by_xx, vx, by_xy, vy), _scaled_sum(by_xy, vx, by_yy, vy)
    return fma(a, sum_x, b * sum_y), fma(b, sum_x, c * sum_y), by_vx, by_vy


@inline
def _cross(a: Three, b: Three) -> Three:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@inline
def _compensation_back(vx: Three, vy: Three, total: Lanes) -> tuple[Three, Three]:
    """From the gradient by the logarithm of the opacity, `total`, to those by the rows of V through
    ln sqrt(det(V Vᵀ) / det(V Vᵀ + blur)). The gradient of det(V Vᵀ) = |n|², n = vx x vy, is 2 vy x n and 2 n x vx."""
    normal = _cross(vx, vy)
    own = maximum(dot(normal, normal), broadcast(1e-30))
    blurred = own + record.BLUR * (dot(vx, vx) + dot(vy, vy)) + record.BLUR * record.BLUR
    both, blur = total * (1.0 / own - 1.0 / blurred), -(total * record.BLUR / blurred)
    return _scaled_sum(both, _cross(vy, normal), blur, vx), _scaled_sum(both, _cross(normal, vx), blur, vy)


@inline
def _ratio_back(eye: Floats, axis: int, by_row: Three, focal: Lanes, ratio: Lanes) -> tuple[Lanes, Lanes]:
    """From the gradient by a row f/z (axis - clamped axis_z) of J W to those by x/z and 1/z."""
    k = 3 * axis
    low, high = eye[view.LEFT + 2 * axis], eye[view.RIGHT + 2 * axis]
    clamped = minimum(maximum(ratio, broadcast(low)), broadcast(high))
    along = by_row[0] * eye[k] + by_row[1] * eye[k + 1] + by_row[2] * eye[k + 2]
    deep = by_row[0] * eye[6] + by_row[1] * eye[7] + by_row[2] * eye[8]
    by_ratio = select((ratio >= low) & (ratio <= high), -(focal * deep), broadcast(0.0))
    return by_ratio, eye[view.FX + axis] * (along - clamped * deep)


@inline
def _shape_back(params: Params, outputs: Outputs, eye: Floats, rows: Lanes, own: Lanes, columns: Sixteen) -> Three:
    """Write the gradients of quats, scales and the screen; return that by the mean in camera coordinates."""
    x, y, z = _in_camera(params[0], eye, rows)
    per_z = 1.0 / z
    ratio_x, ratio_y = x * per_z, y * per_z
    clamped_x = minimum(maximum(ratio_x, broadcast(eye[view.LEFT])), broadcast(eye[view.RIGHT]))
    clamped_y = minimum(maximum(ratio_y, broadcast(eye[view.TOP])), broadcast(eye[view.BOTTOM]))
    qw, qx, qy, qz, per_length = unit_quats(params[1], rows)
    turned = rotation(qw, qx, qy, qz)
    deviations = exponentials(params[2], rows)
    focal_x, focal_y = eye[view.FX] * per_z, eye[view.FY] * per_z
    row_x, row_y = jacobian(eye, 0, focal_x, clamped_x), jacobian(eye, 1, focal_y, clamped_y)
    vx, vy = times(through(row_x, turned), deviations), times(through(row_y, turned), deviations)
    by_px, by_py, by_vx, by_vy = _conic_back(vx, vy, columns)
    if eye[view.ANTIALIASED] != 0.0:
        more_x, more_y = _compensation_back(vx, vy, columns[record.SUM])
        by_vx = (by_vx[0] + more_x[0], by_vx[1] + more_x[1], by_vx[2] + more_x[2])
        by_vy = (by_vy[0] + more_y[0], by_vy[1] + more_y[1], by_vy[2] + more_y[2])
    scatter(outputs[6], rows, sqrt(fma(by_px, by_px, by_py * by_py)), own)

    long_x, long_y = times(by_vx, vx), times(by_vy, vy)
    _spread_three(outputs[2], rows, (long_x[0] + long_y[0], long_x[1] + long_y[1], long_x[2] + long_y[2]), own)

    by_ux, by_uy = times(by_vx, deviations), times(by_vy, deviations)
    dw, dx, dy, dz = _rotation_back(qw, qx, qy, qz, _column_products(row_x, by_ux, row_y, by_uy))
    along = fma(qw, dw, fma(qx, dx, fma(qy, dy, qz * dz)))
    at = rows * 4
    scatter(outputs[1], at, (dw - qw * along) * per_length, own)
    scatter(outputs[1], at + 1, (dx - qx * along) * per_length, own)
    scatter(outputs[1], at + 2, (dy - qy * along) * per_length, own)
    scatter(outputs[1], at + 3, (dz - qz * along) * per_length, own)

    ratio_part_x, z_part_x = _ratio_back(eye, 0, _times_transposed(by_ux, turned), focal_x, ratio_x)
    ratio_part_y, z_part_y = _ratio_back(eye, 1, _times_transposed(by_uy, turned), focal_y, ratio_y)
    by_ratio_x, by_ratio_y = eye[view.FX] * by_px + ratio_part_x, eye[view.FY] * by_py + ratio_part_y
    by_per_z = z_part_x + z_part_y + x * by_ratio_x + y * by_ratio_y
    return by_ratio_x * per_z, by_ratio_y * per_z, -(by_per_z * per_z * per_z)


@inline
def _in_camera(means: Floats, eye: Floats, rows: Lanes) -> Three:
    x, y, z = three(means, rows)
    return to_camera(eye, x, y, z)


@inline
def _colour_back(
    params: Params, outputs: Outputs, eye: Floats, rows: Lanes, own: Lanes, by_rgb: Three, degree: int, work: Floats
) -> Three:
    """Write the gradients of sh0 and shN; return that by the mean through the direction it is seen from."""
    x, y, z, per_distance = from_camera(eye, three(params[0], rows))
    basis(x, y, z, degree, work)
    spread_gradient(by_rgb, params[5], rows, own, degree, work, (outputs[4], outputs[5]))
    gx, gy, gz = direction_gradient(x, y, z, degree, work)
    inward = fma(gx, x, fma(gy, y, gz * z))
    return (gx - x * inward) * per_distance, (gy - y * inward) * per_distance, (gz - z * inward) * per_distance


@inline
def _where_drawn(drawn: Sixteen, columns: Sixteen) -> Three:
    """Gradients by colour, none where the colour was clamped at zero."""
    zero = broadcast(0.0)
    return (
        select(drawn[record.RED] > 0.0, columns[record.SUM_RED], zero),
        select(drawn[record.GREEN] > 0.0, columns[record.SUM_GREEN], zero),
        select(drawn[record.BLUE] > 0.0, columns[record.SUM_BLUE], zero),
    )


@kernel
def chain(
    params: Params,
    outputs: Outputs,
    degree: int,
    eye: Floats,
    part: tuple[int, int],
    visible: tuple[Floats, Ints, tuple[Ints, Ints]],
    bands: tuple[Floats, Ints, int],
    scratch: Floats,
) -> None:
    """Write the rows of `outputs` for part[1] records from slot part[0] on.

    `outputs` are shaped as `params`, and a last one [N] gets the length of the gradient by the centre in pixels.
    `visible` is (records, rows of the model, boxes); `bands` is (grads [T, ...] by records, band of each tile, tiles in
    a row).
    """
    records, row_of, boxes = visible
    grads, band_of, columns = bands
    sums, work = scratch[:BLOCK], scratch[BLOCK:]
    end = part[0] + part[1]
    for slot in range(part[0], end, LANES):
        count = min(LANES, end - slot)
        _collect(slot, count, grads, boxes, (band_of, columns), sums)
        for k in range(count, LANES):  # there is room behind the last record, but what stands there may be no row
            row_of[slot + k] = row_of[slot]
        own = lane_index() < count
        rows = load_ints(row_of, slot)
        found = load_transposed(sums, 0)
        drawn = load_transposed(records, slot * record.SIZE)
        scatter(outputs[3], rows, found[record.SUM] * (1.0 - opacity_of(params[3], rows)), own)
        x, y, z = _shape_back(params, outputs, eye, rows, own, found)
        seen_x, seen_y, seen_z = _colour_back(params, outputs, eye, rows, own, _where_drawn(drawn, found), degree, work)
        by_mean = (
            eye[0] * x + eye[3] * y + eye[6] * z + seen_x,
            eye[1] * x + eye[4] * y + eye[7] * z + seen_y,
            eye[2] * x + eye[5] * y + eye[8] * z + seen_z,
        )
        _spread_three(outputs[0], rows, by_mean, own)


@kernel
def forget(rows: Ints, radii: Floats, outputs: Outputs) -> None:
    """Zero those of `rows`, which an earlier call has written, that are no longer visible."""
    for i in range(len(rows)):
        row = rows[i]
        if radii[row] == 0.0:
            outputs[0][row] = 0.0
            outputs[1][row] = 0.0
            outputs[2][row] = 0.0
            outputs[3][row] = 0.0
            outputs[4][row] = 0.0
            outputs[5][row] = 0.0
            outputs[6][row] = 0.0
