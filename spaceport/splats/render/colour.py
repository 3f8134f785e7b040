"""View-dependent colours of 16 Gaussians at a time, and their gradient: gsplat's `spherical_harmonics`.

The basis is that of `splats.sh`.
"""

from __future__ import annotations

from spaceport.simd.jit import inline
from spaceport.simd.lanes import LANES, Lanes
from spaceport.simd.memory import gather, load, scatter, store
from spaceport.simd.ops import fma
from spaceport.splats.model import Floats
from spaceport.splats.render.kernel_arguments import Gradients
from spaceport.splats.sh import C0, C1, C2, C3

A0, A1, A2 = C2
B0, B1, B2, B3, B4 = C3

SCRATCH = 32 * LANES
"""Floats of scratch that a thread needs: the basis, then the gradient of the loss by it."""
_GRAD_BASIS = 16 * LANES


@inline
def basis(x: Lanes, y: Lanes, z: Lanes, degree: int, scratch: Floats) -> None:
    """Write the basis at unit directions, without its constant first function, into scratch."""
    if degree > 0:
        store(scratch, 0 * LANES, -C1 * y)
        store(scratch, 1 * LANES, C1 * z)
        store(scratch, 2 * LANES, -C1 * x)
    if degree > 1:
        xx, yy, zz = x * x, y * y, z * z
        store(scratch, 3 * LANES, A0 * x * y)
        store(scratch, 4 * LANES, -A0 * y * z)
        store(scratch, 5 * LANES, A1 * (2.0 * zz - xx - yy))
        store(scratch, 6 * LANES, -A0 * x * z)
        store(scratch, 7 * LANES, A2 * (xx - yy))
        if degree > 2:
            store(scratch, 8 * LANES, -B0 * y * (3.0 * xx - yy))
            store(scratch, 9 * LANES, B1 * x * y * z)
            store(scratch, 10 * LANES, -B2 * y * (4.0 * zz - xx - yy))
            store(scratch, 11 * LANES, B3 * z * (2.0 * zz - 3.0 * xx - 3.0 * yy))
            store(scratch, 12 * LANES, -B2 * x * (4.0 * zz - xx - yy))
            store(scratch, 13 * LANES, B4 * z * (xx - yy))
            store(scratch, 14 * LANES, -B0 * x * (xx - 3.0 * yy))


@inline
def sh_to_colours(sh0: Floats, shN: Floats, rows: Lanes, degree: int, scratch: Floats) -> tuple[Lanes, Lanes, Lanes]:
    """SH + 0.5 of 16 rows, red, green and blue, not clamped; the basis is in scratch."""
    at = rows * 3
    red = C0 * gather(sh0, at) + 0.5
    green = C0 * gather(sh0, at + 1) + 0.5
    blue = C0 * gather(sh0, at + 2) + 0.5
    at = rows * (3 * shN.shape[1])
    for k in range((degree + 1) * (degree + 1) - 1):
        value = load(scratch, k * LANES)
        red = fma(value, gather(shN, at), red)
        green = fma(value, gather(shN, at + 1), green)
        blue = fma(value, gather(shN, at + 2), blue)
        at = at + 3
    return red, green, blue


@inline
def sh_backward(
    grad_rgb: tuple[Lanes, Lanes, Lanes],
    shN: Floats,
    rows: Lanes,
    mask: Lanes,
    degree: int,
    scratch: Floats,
    gradients: Gradients,
) -> None:
    """Write the gradients of sh0 and shN; that by the basis goes into scratch, for `directions_backward`."""
    red, green, blue = grad_rgb
    at = rows * 3
    scatter(gradients.sh0, at, C0 * red, mask)
    scatter(gradients.sh0, at + 1, C0 * green, mask)
    scatter(gradients.sh0, at + 2, C0 * blue, mask)
    at = rows * (3 * shN.shape[1])
    for k in range((degree + 1) * (degree + 1) - 1):
        value = load(scratch, k * LANES)
        grad_value = red * gather(shN, at) + green * gather(shN, at + 1) + blue * gather(shN, at + 2)
        store(scratch, _GRAD_BASIS + k * LANES, grad_value)
        scatter(gradients.shN, at, value * red, mask)
        scatter(gradients.shN, at + 1, value * green, mask)
        scatter(gradients.shN, at + 2, value * blue, mask)
        at = at + 3


@inline
def _grad_basis(scratch: Floats, k: int) -> Lanes:
    return load(scratch, _GRAD_BASIS + (k - 1) * LANES)


@inline
def directions_backward(x: Lanes, y: Lanes, z: Lanes, degree: int, scratch: Floats) -> tuple[Lanes, Lanes, Lanes]:
    """d loss / d (unit direction), from the gradient by the basis in scratch."""
    gx, gy, gz = 0.0 * x, 0.0 * y, 0.0 * z
    if degree > 0:
        gx = gx - C1 * _grad_basis(scratch, 3)
        gy = gy - C1 * _grad_basis(scratch, 1)
        gz = gz + C1 * _grad_basis(scratch, 2)
    if degree > 1:
        xy, yz, xz = _grad_basis(scratch, 4), _grad_basis(scratch, 5), _grad_basis(scratch, 7)
        axis, flat = _grad_basis(scratch, 6), _grad_basis(scratch, 8)
        gx = gx + A0 * (y * xy - z * xz) - 2.0 * A1 * x * axis + 2.0 * A2 * x * flat
        gy = gy + A0 * (x * xy - z * yz) - 2.0 * A1 * y * axis - 2.0 * A2 * y * flat
        gz = gz - A0 * (y * yz + x * xz) + 4.0 * A1 * z * axis
    if degree > 2:
        xx, yy, zz = x * x, y * y, z * z
        b9, b10, b11, b12 = (
            _grad_basis(scratch, 9),
            _grad_basis(scratch, 10),
            _grad_basis(scratch, 11),
            _grad_basis(scratch, 12),
        )
        b13, b14, b15 = _grad_basis(scratch, 13), _grad_basis(scratch, 14), _grad_basis(scratch, 15)
        gx = gx - 6.0 * B0 * x * y * b9 + B1 * y * z * b10 + 2.0 * B2 * x * y * b11 - 6.0 * B3 * x * z * b12
        gx = gx - B2 * (4.0 * zz - 3.0 * xx - yy) * b13 + 2.0 * B4 * x * z * b14 - 3.0 * B0 * (xx - yy) * b15
        gy = gy - 3.0 * B0 * (xx - yy) * b9 + B1 * x * z * b10 - B2 * (4.0 * zz - xx - 3.0 * yy) * b11
        gy = gy - 6.0 * B3 * y * z * b12 + 2.0 * B2 * x * y * b13 - 2.0 * B4 * y * z * b14 + 6.0 * B0 * x * y * b15
        gz = gz + B1 * x * y * b10 - 8.0 * B2 * y * z * b11 + B3 * (6.0 * zz - 3.0 * xx - 3.0 * yy) * b12
        gz = gz - 8.0 * B2 * x * z * b13 + B4 * (xx - yy) * b14
    return gx, gy, gz
