"""From Gaussians in space to records on the picture, 16 at a time: gsplat's `fully_fused_projection`.

EWA splatting (Zwicker et al. 2001) as in 3DGS: the covariance goes through the Jacobian J of the pinhole projection at
the mean. With W the camera's rotation, R and S the Gaussian's, and V = J W R S, the covariance on the picture is
V Vᵀ + EPS2D.

That blur gives too much weight to what is thinner than a pixel. Antialiased, as in Mip-Splatting (Yu et al. 2023, arXiv
2311.16493), the opacity is multiplied by sqrt(det(V Vᵀ) / det(V Vᵀ + EPS2D)), which keeps the weight.
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
from spaceport.splats.render import packed_camera as pc
from spaceport.splats.render import record
from spaceport.splats.render.colour import basis, sh_to_colours
from spaceport.splats.render.kernel_arguments import Parameters, Part, Projection
from spaceport.splats.render.packed_camera import PackedCamera
from spaceport.splats.render.tiles import PACK, TILE_SIZE, count_tiles

LOG2E = math.log2(math.e)
_MAX_VARIANCE = 1e12  # on the picture, square pixels; beyond it float32 holds no shape
_MIN_COMPENSATION = 1e-30  # squared, of a Gaussian seen edge-on; any opacity times its root is under 1/255

Vec3 = tuple[Lanes, Lanes, Lanes]


@inline
def gather3(array: Floats, rows: Lanes) -> Vec3:
    """The columns of an [N, 3] array at 16 rows."""
    at = rows * 3
    return gather(array, at), gather(array, at + 1), gather(array, at + 2)


@inline
def world_to_camera(camera: PackedCamera, x: Lanes, y: Lanes, z: Lanes) -> Vec3:
    """World to camera coordinates."""
    return (
        camera[pc.R00] * x + camera[pc.R01] * y + camera[pc.R02] * z + camera[pc.TX],
        camera[pc.R10] * x + camera[pc.R11] * y + camera[pc.R12] * z + camera[pc.TY],
        camera[pc.R20] * x + camera[pc.R21] * y + camera[pc.R22] * z + camera[pc.TZ],
    )


@inline
def normalize_quats(quats: Floats, rows: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes]:
    """Unit quaternions w, x, y, z of 16 rows of [N, 4], and 1 / the length they had."""
    at = rows * 4
    w, x, y, z = gather(quats, at), gather(quats, at + 1), gather(quats, at + 2), gather(quats, at + 3)
    inv_length = 1.0 / sqrt(w * w + x * x + y * y + z * z)
    return w * inv_length, x * inv_length, y * inv_length, z * inv_length, inv_length


@inline
def quats_to_rotmats(w: Lanes, x: Lanes, y: Lanes, z: Lanes) -> tuple[Vec3, Vec3, Vec3]:
    """Rows of the rotation matrices of unit quaternions."""
    return (
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
        (2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)),
        (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
    )


@inline
def jacobian_row(camera: PackedCamera, axis: int, focal: Lanes, ratio: Lanes) -> Vec3:
    """One row of J W: how a picture coordinate moves with the world.

    Args:
        camera: whose rotation is W.
        axis: 0 for x, 1 for y.
        focal: f / z.
        ratio: x / z or y / z.
    """
    row = 3 * axis
    return (
        focal * (camera[pc.R00 + row] - ratio * camera[pc.R20]),
        focal * (camera[pc.R01 + row] - ratio * camera[pc.R21]),
        focal * (camera[pc.R02 + row] - ratio * camera[pc.R22]),
    )


@inline
def clamp(ratio: Lanes, least: np.float32, greatest: np.float32) -> Lanes:
    """x / z or y / z within the camera's limits."""
    return minimum(maximum(ratio, broadcast(least)), broadcast(greatest))


@inline
def row_times_matrix(row: Vec3, rotmats: tuple[Vec3, Vec3, Vec3]) -> Vec3:
    """A row times a 3 x 3 matrix."""
    a, b, c = row
    r0, r1, r2 = rotmats
    return (
        fma(a, r0[0], fma(b, r1[0], c * r2[0])),
        fma(a, r0[1], fma(b, r1[1], c * r2[1])),
        fma(a, r0[2], fma(b, r1[2], c * r2[2])),
    )


@inline
def dot(a: Vec3, b: Vec3) -> Lanes:
    return fma(a[0], b[0], fma(a[1], b[1], a[2] * b[2]))


@inline
def multiply(a: Vec3, b: Vec3) -> Vec3:
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@inline
def cross_squared(a: Vec3, b: Vec3) -> Lanes:
    """|a x b|², which is det([a; b][a; b]ᵀ) without cancellation."""
    x, y, z = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    return fma(x, x, fma(y, y, z * z))


@inline
def exp_scales(scales: Floats, rows: Lanes) -> Vec3:
    """Standard deviations from their logarithms, clamped to what float32 can square."""
    a, b, c = gather3(scales, rows)
    return _exp(a), _exp(b), _exp(c)


@inline
def _exp(x: Lanes) -> Lanes:
    return exp2(maximum(minimum(x * LOG2E, broadcast(40.0)), broadcast(-40.0)))


@inline
def sigmoid_opacities(opacities: Floats, rows: Lanes) -> Lanes:
    """Opacities of 16 rows from their logits."""
    logit = maximum(minimum(gather(opacities, rows), broadcast(60.0)), broadcast(-60.0))
    return 1.0 / (1.0 + exp2(-LOG2E * logit))


@inline
def view_directions(camera: PackedCamera, mean: Vec3) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Unit directions from the camera's position to means, and 1 / distance."""
    x, y, z = mean[0] - camera[pc.POSITION_X], mean[1] - camera[pc.POSITION_Y], mean[2] - camera[pc.POSITION_Z]
    inv_distance = 1.0 / sqrt(x * x + y * y + z * z)
    return x * inv_distance, y * inv_distance, z * inv_distance, inv_distance


@inline
def _tile_range(mean: Lanes, radius: Lanes, side: np.float32) -> Lanes:
    """The first and the last tile along a side that mean ± radius covers, packed."""
    last_pixel, zero = broadcast(side - np.float32(1.0)), broadcast(0.0)
    first = minimum(maximum(mean - radius - 0.5, zero), last_pixel)
    last = minimum(maximum(mean + radius - 0.5, zero), last_pixel)
    return to_ints(first * (1 / TILE_SIZE)) + to_ints(last * (1 / TILE_SIZE)) * PACK


@inline
def _log2_opacity(opacity: Lanes, camera: PackedCamera, compensation2: Lanes) -> Lanes:
    """log2 of the opacity at the mean; `compensation2` is det(V Vᵀ) / det(V Vᵀ + EPS2D)."""
    log2_opacity = log2(opacity)
    if camera[pc.ANTIALIASED] != 0.0:
        log2_opacity = fma(broadcast(0.5), log2(maximum(compensation2, broadcast(_MIN_COMPENSATION))), log2_opacity)
    return log2_opacity


@inline
def _rows_of_v(
    parameters: Parameters, camera: PackedCamera, rows: Lanes, ratio_x: Lanes, ratio_y: Lanes, inv_z: Lanes
) -> tuple[Vec3, Vec3]:
    """The two rows of V = J W R S."""
    qw, qx, qy, qz, _ = normalize_quats(parameters.quats, rows)
    rotmats = quats_to_rotmats(qw, qx, qy, qz)
    sigmas = exp_scales(parameters.scales, rows)
    clamped_x = clamp(ratio_x, camera[pc.X_MIN], camera[pc.X_MAX])
    clamped_y = clamp(ratio_y, camera[pc.Y_MIN], camera[pc.Y_MAX])
    row_x = jacobian_row(camera, 0, camera[pc.FX] * inv_z, clamped_x)
    row_y = jacobian_row(camera, 1, camera[pc.FY] * inv_z, clamped_y)
    return multiply(row_times_matrix(row_x, rotmats), sigmas), multiply(row_times_matrix(row_y, rotmats), sigmas)


@inline
def _colours(
    parameters: Parameters, camera: PackedCamera, mean: Vec3, rows: Lanes, sh_degree: int, scratch: Floats
) -> Vec3:
    """Red, green and blue seen from the camera, clamped at zero."""
    x, y, z, _ = view_directions(camera, mean)
    basis(x, y, z, sh_degree, scratch)
    red, green, blue = sh_to_colours(parameters.sh0, parameters.shN, rows, sh_degree, scratch)
    zero = broadcast(0.0)
    return maximum(red, zero), maximum(green, zero), maximum(blue, zero)


@kernel
def project(
    parameters: Parameters,
    sh_degree: int,
    camera: PackedCamera,
    part: Part,
    projection: Projection,
    tile_counts: Ints,
    scratch: Floats,
) -> int:
    """Project a part of the model into `projection`, all fields but its regions, from slot part.slot on.

    Args:
        tile_counts: written, see `count_tiles`.
        scratch: `colour.SCRATCH` floats.

    Returns:
        How many Gaussians of the part are visible.
    """
    records, radii = projection.records, projection.radii
    at = part.slot
    for start in range(part.first, part.end, LANES):
        numbers = lane_index() + start
        rows = minimum_ints(numbers, lane_index() * 0 + (part.end - 1))
        mean = gather3(parameters.means, rows)
        x, y, z = world_to_camera(camera, mean[0], mean[1], mean[2])
        visible = (numbers < part.end) & (z > record.NEAR_PLANE) & (z < record.FAR_PLANE)
        if packmask(visible) == 0:
            store(radii, start, broadcast(0.0))
            continue
        inv_z = 1.0 / z
        ratio_x, ratio_y = x * inv_z, y * inv_z
        vx, vy = _rows_of_v(parameters, camera, rows, ratio_x, ratio_y, inv_z)
        cov_xx, cov_yy, xy = dot(vx, vx), dot(vy, vy), dot(vx, vy)
        xx, yy = cov_xx + record.EPS2D, cov_yy + record.EPS2D
        unblurred = cross_squared(vx, vy)
        determinant = unblurred + record.EPS2D * (cov_xx + cov_yy) + record.EPS2D * record.EPS2D
        opacity = sigmoid_opacities(parameters.opacities, rows)
        log2_opacity = _log2_opacity(opacity, camera, unblurred / determinant)
        margin = log2_opacity + record.LOG2_255
        radius_x, radius_y = sqrt(2.0 * math.log(2.0) * margin * xx), sqrt(2.0 * math.log(2.0) * margin * yy)
        px = fma(broadcast(camera[pc.FX]), ratio_x, broadcast(camera[pc.CX]))
        py = fma(broadcast(camera[pc.FY]), ratio_y, broadcast(camera[pc.CY]))
        visible = visible & (margin > 0.0) & (xx + yy < _MAX_VARIANCE) & (determinant > 0.0)
        visible = visible & (px + radius_x >= 0.5) & (px - radius_x <= camera[pc.WIDTH] - 0.5)
        visible = visible & (py + radius_y >= 0.5) & (py - radius_y <= camera[pc.HEIGHT] - 0.5)
        store(radii, start, select(visible, maximum(radius_x, radius_y), broadcast(0.0)))
        if packmask(visible) == 0:
            continue
        red, green, blue = _colours(parameters, camera, mean, rows, sh_degree, scratch)
        inv_determinant = -LOG2E / determinant
        columns = (
            px,
            py,
            yy * inv_determinant,
            -(xy * inv_determinant),
            xx * inv_determinant,
            log2_opacity,
            red,
            green,
            blue,
            radius_x,
            radius_y,
            xy / yy,
            sqrt(2.0 * math.log(2.0) * margin * determinant / yy),
            radius_x * xy / xx,
            1.0 / (radius_y * radius_y),
            z,
        )
        compress_store(projection.rows, at, rows, visible)
        compress_store(projection.depth_keys, at, intbits(z), visible)
        compress_store(projection.tile_columns, at, _tile_range(px, radius_x, camera[pc.WIDTH]), visible)
        compress_store(projection.tile_rows, at, _tile_range(py, radius_y, camera[pc.HEIGHT]), visible)
        at = compress_store_rows(records, at * LANES, columns, visible) // LANES
    count_tiles(projection, part.slot, at, tile_counts)
    return at - part.slot
