"""From gradients by records to gradients by parameters: project.py's chain rule, 16 Gaussians at a time (gsplat's
`fully_fused_projection`, backward)."""

from __future__ import annotations

from typing import NamedTuple

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import LANES, Ints, Lanes
from spaceport.simd.memory import load, load_ints, load_transposed, scatter, store
from spaceport.simd.ops import broadcast, fma, lane_index, maximum, select, sqrt
from spaceport.splats.model import Floats
from spaceport.splats.render import packed_camera as pc
from spaceport.splats.render import record
from spaceport.splats.render.colour import basis, directions_backward, sh_backward
from spaceport.splats.render.kernel_arguments import Gradients, Parameters, Projection
from spaceport.splats.render.packed_camera import PackedCamera
from spaceport.splats.render.project import (
    Vec3,
    clamp,
    cross_squared,
    dot,
    exp_scales,
    gather3,
    jacobian_row,
    multiply,
    normalize_quats,
    quats_to_rotmats,
    row_times_matrix,
    sigmoid_opacities,
    view_directions,
    world_to_camera,
)
from spaceport.splats.render.tiles import PACK

Columns = tuple[Lanes, ...]
"""The 16 columns of 16 records, see record.py."""

BLOCK = LANES * record.SIZE
"""Floats of 16 records."""


class Region(NamedTuple):
    """Slots of one part of the model."""

    first: int
    length: int


class BandGrads(NamedTuple):
    """Gradients by records that each thread has summed over its tiles."""

    grad_records: Floats
    """[threads, slots * 16]"""
    band_of_tile: Ints
    columns: int
    """Tiles in a row."""


@inline
def _sum_bands(slot: int, count: int, bands: BandGrads, projection: Projection, scratch: Floats) -> None:
    """Sum the gradients by `count` records from `slot` on over the bands, into scratch; zero them for the next call."""
    zero = broadcast(0.0)
    grads, band_of_tile, width = bands.grad_records, bands.band_of_tile, bands.columns
    for k in range(count):
        base = (slot + k) * record.SIZE
        columns, rows = projection.tile_columns[slot + k], projection.tile_rows[slot + k]
        low = band_of_tile[rows % PACK * width + columns % PACK]
        high = band_of_tile[rows // PACK * width + columns // PACK]
        total = load(grads[low], base)
        store(grads[low], base, zero)
        for band in range(low + 1, high + 1):
            total = total + load(grads[band], base)
            store(grads[band], base, zero)
        store(scratch, k * record.SIZE, total)


@inline
def _scatter3(array: Floats, rows: Lanes, values: Vec3, mask: Lanes) -> None:
    at = rows * 3
    scatter(array, at, values[0], mask)
    scatter(array, at + 1, values[1], mask)
    scatter(array, at + 2, values[2], mask)


@inline
def _scaled_sum(a: Lanes, x: Vec3, b: Lanes, y: Vec3) -> Vec3:
    return fma(a, x[0], b * y[0]), fma(a, x[1], b * y[1]), fma(a, x[2], b * y[2])


@inline
def _quats_backward(
    w: Lanes, x: Lanes, y: Lanes, z: Lanes, grad_matrix: tuple[Vec3, Vec3, Vec3]
) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """From the gradient by a rotation matrix to that by its unit quaternion."""
    r0, r1, r2 = grad_matrix
    return (
        2.0 * (x * (r2[1] - r1[2]) + y * (r0[2] - r2[0]) + z * (r1[0] - r0[1])),
        2.0 * (y * (r0[1] + r1[0]) + z * (r0[2] + r2[0]) - 2.0 * x * (r1[1] + r2[2]) + w * (r2[1] - r1[2])),
        2.0 * (x * (r0[1] + r1[0]) + z * (r1[2] + r2[1]) - 2.0 * y * (r0[0] + r2[2]) + w * (r0[2] - r2[0])),
        2.0 * (x * (r0[2] + r2[0]) + y * (r1[2] + r2[1]) - 2.0 * z * (r0[0] + r1[1]) + w * (r1[0] - r0[1])),
    )


@inline
def _matrix_backward(row_x: Vec3, grad_x: Vec3, row_y: Vec3, grad_y: Vec3) -> tuple[Vec3, Vec3, Vec3]:
    """row_xᵀ grad_x + row_yᵀ grad_y: gradient by the matrix that both rows went through."""
    return (
        _scaled_sum(row_x[0], grad_x, row_y[0], grad_y),
        _scaled_sum(row_x[1], grad_x, row_y[1], grad_y),
        _scaled_sum(row_x[2], grad_x, row_y[2], grad_y),
    )


@inline
def _row_times_transposed(row: Vec3, rotmats: tuple[Vec3, Vec3, Vec3]) -> Vec3:
    return dot(row, rotmats[0]), dot(row, rotmats[1]), dot(row, rotmats[2])


@inline
def _conic_backward(vx: Vec3, vy: Vec3, columns: Columns) -> tuple[Lanes, Lanes, Vec3, Vec3]:
    """From sums over pixels to gradients by means2d (x, y) and by the rows of V; the covariance is V Vᵀ + EPS2D."""
    sum_x, sum_y = columns[record.SUM_X], columns[record.SUM_Y]
    sum_xx, sum_xy, sum_yy = columns[record.SUM_XX], columns[record.SUM_XY], columns[record.SUM_YY]
    cov_xx, cov_yy = dot(vx, vx), dot(vy, vy)
    determinant = cross_squared(vx, vy) + record.EPS2D * (cov_xx + cov_yy) + record.EPS2D * record.EPS2D
    inv_determinant = 1.0 / determinant
    a = (cov_yy + record.EPS2D) * inv_determinant
    b = -(dot(vx, vy) * inv_determinant)
    c = (cov_xx + record.EPS2D) * inv_determinant
    # d loss / d covariance = P M P / 2, with the conic P and the second moments M; doubled, as V occurs twice
    t_xx, t_xy = fma(a, sum_xx, b * sum_xy), fma(a, sum_xy, b * sum_yy)
    t_yx, t_yy = fma(b, sum_xx, c * sum_xy), fma(b, sum_xy, c * sum_yy)
    grad_xx, grad_xy, grad_yy = fma(t_xx, a, t_xy * b), fma(t_xx, b, t_xy * c), fma(t_yx, b, t_yy * c)
    grad_vx, grad_vy = _scaled_sum(grad_xx, vx, grad_xy, vy), _scaled_sum(grad_xy, vx, grad_yy, vy)
    return fma(a, sum_x, b * sum_y), fma(b, sum_x, c * sum_y), grad_vx, grad_vy


@inline
def _cross(a: Vec3, b: Vec3) -> Vec3:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@inline
def _compensation_backward(vx: Vec3, vy: Vec3, total: Lanes) -> tuple[Vec3, Vec3]:
    """From the gradient by the logarithm of the opacity, `total`, to those by the rows of V through
    ln sqrt(det(V Vᵀ) / det(V Vᵀ + EPS2D)). The gradient of det(V Vᵀ) = |n|², n = vx x vy, is 2 vy x n and 2 n x vx."""
    normal = _cross(vx, vy)
    own = maximum(dot(normal, normal), broadcast(1e-30))
    blurred = own + record.EPS2D * (dot(vx, vx) + dot(vy, vy)) + record.EPS2D * record.EPS2D
    both, blur = total * (1.0 / own - 1.0 / blurred), -(total * record.EPS2D / blurred)
    return _scaled_sum(both, _cross(vy, normal), blur, vx), _scaled_sum(both, _cross(normal, vx), blur, vy)


@inline
def _ratio_backward(camera: PackedCamera, axis: int, grad_row: Vec3, focal: Lanes, ratio: Lanes) -> tuple[Lanes, Lanes]:
    """From the gradient by a row f/z (axis - clamped forward) of J W to those by the ratio, x/z or y/z, and by 1/z."""
    row = 3 * axis
    least, greatest = camera[pc.X_MIN + 2 * axis], camera[pc.X_MAX + 2 * axis]
    clamped = clamp(ratio, least, greatest)
    along_axis = (
        grad_row[0] * camera[pc.R00 + row] + grad_row[1] * camera[pc.R01 + row] + grad_row[2] * camera[pc.R02 + row]
    )
    along_forward = grad_row[0] * camera[pc.R20] + grad_row[1] * camera[pc.R21] + grad_row[2] * camera[pc.R22]
    inside = (ratio >= least) & (ratio <= greatest)
    grad_ratio = select(inside, -(focal * along_forward), broadcast(0.0))
    return grad_ratio, camera[pc.FX + axis] * (along_axis - clamped * along_forward)


@inline
def _projection_backward(
    parameters: Parameters, gradients: Gradients, camera: PackedCamera, rows: Lanes, mask: Lanes, sums: Columns
) -> Vec3:
    """Write the gradients of quats, scales and means2d; return that by the mean in camera coordinates."""
    mean_x, mean_y, mean_z = gather3(parameters.means, rows)
    x, y, z = world_to_camera(camera, mean_x, mean_y, mean_z)
    inv_z = 1.0 / z
    ratio_x, ratio_y = x * inv_z, y * inv_z
    qw, qx, qy, qz, inv_length = normalize_quats(parameters.quats, rows)
    rotmats = quats_to_rotmats(qw, qx, qy, qz)
    sigmas = exp_scales(parameters.scales, rows)
    clamped_x = clamp(ratio_x, camera[pc.X_MIN], camera[pc.X_MAX])
    clamped_y = clamp(ratio_y, camera[pc.Y_MIN], camera[pc.Y_MAX])
    focal_x, focal_y = camera[pc.FX] * inv_z, camera[pc.FY] * inv_z
    row_x, row_y = jacobian_row(camera, 0, focal_x, clamped_x), jacobian_row(camera, 1, focal_y, clamped_y)
    vx, vy = multiply(row_times_matrix(row_x, rotmats), sigmas), multiply(row_times_matrix(row_y, rotmats), sigmas)
    grad_px, grad_py, grad_vx, grad_vy = _conic_backward(vx, vy, sums)
    if camera[pc.ANTIALIASED] != 0.0:
        more_x, more_y = _compensation_backward(vx, vy, sums[record.SUM])
        grad_vx = (grad_vx[0] + more_x[0], grad_vx[1] + more_x[1], grad_vx[2] + more_x[2])
        grad_vy = (grad_vy[0] + more_y[0], grad_vy[1] + more_y[1], grad_vy[2] + more_y[2])
    scatter(gradients.means2d, rows, sqrt(fma(grad_px, grad_px, grad_py * grad_py)), mask)

    part_x, part_y = multiply(grad_vx, vx), multiply(grad_vy, vy)
    grad_scales = (part_x[0] + part_y[0], part_x[1] + part_y[1], part_x[2] + part_y[2])
    _scatter3(gradients.scales, rows, grad_scales, mask)

    grad_ux, grad_uy = multiply(grad_vx, sigmas), multiply(grad_vy, sigmas)
    dw, dx, dy, dz = _quats_backward(qw, qx, qy, qz, _matrix_backward(row_x, grad_ux, row_y, grad_uy))
    radial = fma(qw, dw, fma(qx, dx, fma(qy, dy, qz * dz)))
    at = rows * 4
    scatter(gradients.quats, at, (dw - qw * radial) * inv_length, mask)
    scatter(gradients.quats, at + 1, (dx - qx * radial) * inv_length, mask)
    scatter(gradients.quats, at + 2, (dy - qy * radial) * inv_length, mask)
    scatter(gradients.quats, at + 3, (dz - qz * radial) * inv_length, mask)

    grad_row_x, grad_row_y = _row_times_transposed(grad_ux, rotmats), _row_times_transposed(grad_uy, rotmats)
    shape_x, inv_z_x = _ratio_backward(camera, 0, grad_row_x, focal_x, ratio_x)
    shape_y, inv_z_y = _ratio_backward(camera, 1, grad_row_y, focal_y, ratio_y)
    grad_ratio_x, grad_ratio_y = camera[pc.FX] * grad_px + shape_x, camera[pc.FY] * grad_py + shape_y
    grad_inv_z = inv_z_x + inv_z_y + x * grad_ratio_x + y * grad_ratio_y
    return grad_ratio_x * inv_z, grad_ratio_y * inv_z, -(grad_inv_z * inv_z * inv_z)


@inline
def _colour_backward(
    parameters: Parameters,
    gradients: Gradients,
    camera: PackedCamera,
    rows: Lanes,
    mask: Lanes,
    grad_rgb: Vec3,
    sh_degree: int,
    scratch: Floats,
) -> Vec3:
    """Write the gradients of sh0 and shN; return that by the mean through the direction of view."""
    x, y, z, inv_distance = view_directions(camera, gather3(parameters.means, rows))
    basis(x, y, z, sh_degree, scratch)
    sh_backward(grad_rgb, parameters.shN, rows, mask, sh_degree, scratch, gradients)
    gx, gy, gz = directions_backward(x, y, z, sh_degree, scratch)
    radial = fma(gx, x, fma(gy, y, gz * z))
    return (gx - x * radial) * inv_distance, (gy - y * radial) * inv_distance, (gz - z * radial) * inv_distance


@inline
def _grad_unclamped(columns: Columns, sums: Columns) -> Vec3:
    """Gradients by colour; zero where the colour was clamped at zero."""
    zero = broadcast(0.0)
    return (
        select(columns[record.RED] > 0.0, sums[record.SUM_RED], zero),
        select(columns[record.GREEN] > 0.0, sums[record.SUM_GREEN], zero),
        select(columns[record.BLUE] > 0.0, sums[record.SUM_BLUE], zero),
    )


@kernel
def project_backward(
    parameters: Parameters,
    gradients: Gradients,
    sh_degree: int,
    camera: PackedCamera,
    region: Region,
    projection: Projection,
    bands: BandGrads,
    scratch: Floats,
) -> None:
    """Write the rows of `gradients` that the records of a region belong to.

    `scratch` is `BLOCK` + `colour.SCRATCH` floats.
    """
    record_sums, work = scratch[:BLOCK], scratch[BLOCK:]
    row_of = projection.rows
    end = region.first + region.length
    for slot in range(region.first, end, LANES):
        count = min(LANES, end - slot)
        _sum_bands(slot, count, bands, projection, record_sums)
        for k in range(count, LANES):  # there is room behind the last record, but what it holds may be no row
            row_of[slot + k] = row_of[slot]
        mask = lane_index() < count
        rows = load_ints(row_of, slot)
        sums = load_transposed(record_sums, 0)
        columns = load_transposed(projection.records, slot * record.SIZE)
        opacity = sigmoid_opacities(parameters.opacities, rows)
        scatter(gradients.opacities, rows, sums[record.SUM] * (1.0 - opacity), mask)
        x, y, z = _projection_backward(parameters, gradients, camera, rows, mask, sums)
        grad_rgb = _grad_unclamped(columns, sums)
        view_x, view_y, view_z = _colour_backward(parameters, gradients, camera, rows, mask, grad_rgb, sh_degree, work)
        grad_mean = (
            camera[pc.R00] * x + camera[pc.R10] * y + camera[pc.R20] * z + view_x,
            camera[pc.R01] * x + camera[pc.R11] * y + camera[pc.R21] * z + view_y,
            camera[pc.R02] * x + camera[pc.R12] * y + camera[pc.R22] * z + view_z,
        )
        _scatter3(gradients.means, rows, grad_mean, mask)


@kernel
def zero_invisible(rows: Ints, radii: Floats, gradients: Gradients) -> None:
    """Zero the gradients of those of `rows`, which the last call wrote, that are no longer visible."""
    for i in range(len(rows)):
        row = rows[i]
        if radii[row] == 0.0:
            gradients.means[row] = 0.0
            gradients.quats[row] = 0.0
            gradients.scales[row] = 0.0
            gradients.opacities[row] = 0.0
            gradients.sh0[row] = 0.0
            gradients.shN[row] = 0.0
            gradients.means2d[row] = 0.0
