"""Real spherical harmonics up to degree 3, with the signs and order of 3DGS.

The constants are those of the real SH basis (Sloan, "Efficient Spherical Harmonic Evaluation", JCGT 2013).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

C0 = math.sqrt(1 / (4 * math.pi))
C1 = math.sqrt(3 / (4 * math.pi))
C2 = (
    math.sqrt(15 / (4 * math.pi)),  # xy, yz, xz
    math.sqrt(5 / (16 * math.pi)),  # 2zz - xx - yy
    math.sqrt(15 / (16 * math.pi)),  # xx - yy
)
C3 = (
    math.sqrt(35 / (32 * math.pi)),  # y (3xx - yy), x (xx - 3yy)
    math.sqrt(105 / (4 * math.pi)),  # xyz
    math.sqrt(21 / (32 * math.pi)),  # y (4zz - xx - yy), x (4zz - xx - yy)
    math.sqrt(7 / (16 * math.pi)),  # z (2zz - 3xx - 3yy)
    math.sqrt(105 / (16 * math.pi)),  # z (xx - yy)
)

SHN_SIZES: Final = (0, 3, 8, 15)
"""Coefficients per channel beyond the constant one, by degree: how long `shN` [N, K, 3] is."""

Array = npt.NDArray[Any]


def degree_of_size(size: int) -> int:
    """The degree whose `shN` has `size` coefficients per channel.

    Raises:
        ValueError: for a size other than 0, 3, 8 or 15.
    """
    if size not in SHN_SIZES:
        raise ValueError(f"shN must have 0, 3, 8 or 15 coefficients, not {size}")
    return SHN_SIZES.index(size)


def coefficients(degree: int) -> int:
    """Coefficients per channel, the constant one included: 1, 4, 9 or 16.

    Raises:
        ValueError: for a degree other than 0 to 3.
    """
    if degree not in (0, 1, 2, 3):
        raise ValueError(f"SH degree must be 0 to 3, not {degree}")
    return (degree + 1) ** 2


def basis(directions: Array, degree: int) -> Array:
    """[..., (degree + 1)^2] values of the basis at unit directions [..., 3]."""
    count = coefficients(degree)
    x, y, z = np.moveaxis(directions, -1, 0)
    xx, yy, zz = x * x, y * y, z * z
    values = [np.full_like(x, C0), -C1 * y, C1 * z, -C1 * x]
    values += [C2[0] * x * y, -C2[0] * y * z, C2[1] * (2 * zz - xx - yy), -C2[0] * x * z, C2[2] * (xx - yy)]
    values += [
        -C3[0] * y * (3 * xx - yy),
        C3[1] * x * y * z,
        -C3[2] * y * (4 * zz - xx - yy),
        C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
        -C3[2] * x * (4 * zz - xx - yy),
        C3[4] * z * (xx - yy),
        -C3[0] * x * (xx - 3 * yy),
    ]
    return np.stack(values[:count], axis=-1)


def evaluate(directions: Array, sh: Array, degree: int) -> Array:
    """[..., 3] colours max(SH + 0.5, 0) seen along directions [..., 3] of any length; `sh` is [..., K, 3]."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    values = basis(unit, degree)
    colours: Array = np.einsum("...k,...kc->...c", values, sh[..., : coefficients(degree), :])
    return np.maximum(colours + 0.5, 0.0)


def from_rgb(rgb: Array) -> Array:
    """The constant coefficient that shows `rgb` (0 to 1)."""
    result: Array = (rgb - 0.5) / C0
    return result


def rotate_bands(shN: Array, rotation: Array) -> Array:
    """`shN` [N, K, 3] of a model that is turned by `rotation` [3,3]: what was seen along d is seen along R d.

    Each band turns within itself. Its matrix is the one that fits the basis at some directions before and after; the
    basis being exactly closed under rotations, it fits to rounding.
    """
    degree = degree_of_size(shN.shape[1])
    directions = np.random.default_rng(0).normal(size=(4 * coefficients(degree), 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    before, after = basis(directions, degree), basis(directions @ rotation.T, degree)
    turned = np.empty_like(shN)
    for band in range(1, degree + 1):
        columns = slice(band**2, (band + 1) ** 2)
        matrix = np.linalg.lstsq(after[:, columns], before[:, columns], rcond=None)[0]
        rows = slice(band**2 - 1, (band + 1) ** 2 - 1)
        turned[:, rows] = np.einsum("jk,nkc->njc", matrix, shN[:, rows])
    return turned
