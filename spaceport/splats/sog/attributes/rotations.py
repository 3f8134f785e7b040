"""Rotations: the three smallest quaternion components in a byte each, and which one was left out."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from spaceport.simd.jit import inline, kernel
from spaceport.splats.sog.attributes.rows import row_max

MIDDLE = 128
STEP_DEGREES = 0.64  # by how much one step of a byte turns: 2 sqrt(2) / 255 radians
MODE_BASE = 252  # alpha = 252 + index of the component left out
NO_MODE = "a rotation has an alpha byte under 252, which names no quaternion component"
OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def normalise(quats: NDArray[np.floating]) -> NDArray[np.float64]:
    """Unit quaternions [N,4]; a zero one becomes the identity."""
    quats = quats.astype(np.float64)
    largest = row_max(np.abs(quats))[:, None]
    quats = np.where(largest > 0, quats / np.where(largest > 0, largest, 1), [1.0, 0, 0, 0])
    return np.asarray(quats / np.sqrt(np.einsum("ij,ij->i", quats, quats))[:, None])


def encode(quats: NDArray[np.floating], multiple: NDArray[np.floating] | None = None) -> NDArray[np.uint8]:
    """Pack quaternions [N,4] (wxyz, any length) into RGBA bytes [N,4].

    With `multiple` [N], RGB are rounded to 128 plus a multiple of it: fewer different bytes, less to store.
    """
    code = np.empty((len(quats), 4), np.uint8)
    steps = np.ones(len(quats)) if multiple is None else multiple.astype(np.float64)
    _encode(np.ascontiguousarray(quats, np.float32), steps, code)
    return code


@kernel
def _encode(quats: NDArray[np.float32], multiple: NDArray[np.float64], code: NDArray[np.uint8]) -> None:
    unit = np.empty(4)
    for i in range(len(quats)):
        _normalise(quats[i], unit)
        mode = 0
        for k in range(1, 4):
            if abs(unit[k]) > abs(unit[mode]):
                mode = k
        sign = -1.0 if unit[mode] < 0 else 1.0
        for j in range(3):
            part = sign * unit[j + (j >= mode)]
            value = np.floor(255 * (part * np.sqrt(0.5) + 0.5) + 0.5)
            if multiple[i] != 1:
                value = MIDDLE + np.floor((value - MIDDLE) / multiple[i] + 0.5) * multiple[i]
            code[i, j] = min(max(value, 0), 255)
        code[i, 3] = MODE_BASE + mode


def decode(code: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit quaternions [N,4] wxyz from RGBA bytes [N,4]. Raises ValueError for an alpha below 252."""
    if len(code) and int(code[:, 3].min()) < MODE_BASE:
        raise ValueError(NO_MODE)
    quats = np.empty((len(code), 4), np.float32)
    _decode(np.ascontiguousarray(code), quats)
    return quats


@kernel
def _decode(code: NDArray[np.uint8], quats: NDArray[np.float32]) -> None:
    for i in range(len(code)):
        mode, squares = code[i, 3] - MODE_BASE, 0.0
        for j in range(3):
            part = (code[i, j] / 255 - 0.5) * np.sqrt(2.0)
            squares += part * part
            quats[i, j + (j >= mode)] = part
        quats[i, mode] = np.sqrt(max(0.0, 1 - squares))


@inline
def _normalise(quat: NDArray[np.float32], unit: NDArray[np.float64]) -> None:
    """A unit quaternion; a zero one becomes the identity."""
    largest = 0.0
    for k in range(4):
        largest = max(largest, abs(quat[k]))
    squares = 0.0
    for k in range(4):
        unit[k] = quat[k] / largest if largest > 0 else (1.0 if k == 0 else 0.0)
        squares += unit[k] * unit[k]
    for k in range(4):
        unit[k] /= np.sqrt(squares)


def _cube_group() -> NDArray[np.float64]:
    """The 24 rotations that map the axes onto each other, as unit quaternions [24,4] with one sign each."""
    group: list[NDArray[np.float64]] = []
    for parts in itertools.product((-1.0, 0.0, 1.0), repeat=4):
        if (count := sum(map(abs, parts))) in (1, 2, 4):
            quat = np.array(parts) / np.sqrt(count)
            if not any(abs(abs(quat @ other) - 1) < 1e-9 for other in group):
                group.append(quat)
    return np.array(group)


def product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hamilton product of quaternions [...,4], wxyz."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    parts = [
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    ]
    return np.stack(parts, axis=-1)


def relabel_axes(
    quats: NDArray[np.floating], scales: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rename each ellipsoid's axes so that its rotation is the smallest of the 24 that describe it.

    `quats` [N,4], `scales` [N,3] in; the same shapes out, describing the same covariances. The component left out
    is then always w and the other three are small: over four bits less per Gaussian.
    """
    group = _cube_group()
    axes = np.abs(matrices(group)).argmax(axis=1)  # row of the one entry in each column: new axis k was axis axes[k]
    fewer, sizes = np.empty((len(quats), 4), np.float32), np.empty((len(quats), 3), np.float32)
    _relabel(np.ascontiguousarray(quats, np.float32), scales, group, axes, fewer, sizes)
    return fewer, sizes


@kernel
def _relabel(
    quats: NDArray[np.float32],
    scales: NDArray[np.float32],
    group: NDArray[np.float64],
    axes: NDArray[np.intp],
    fewer: NDArray[np.float32],
    sizes: NDArray[np.float32],
) -> None:
    unit = np.empty(4)
    for i in range(len(quats)):
        _normalise(quats[i], unit)
        best, most = 0, -1.0
        for g in range(len(group)):
            h = group[g]
            real = abs(unit[0] * h[0] - unit[1] * h[1] - unit[2] * h[2] - unit[3] * h[3])  # of q h
            if real > most:
                best, most = g, real
        (aw, ax, ay, az), h = unit, group[best]
        fewer[i, 0] = aw * h[0] - ax * h[1] - ay * h[2] - az * h[3]
        fewer[i, 1] = aw * h[1] + ax * h[0] + ay * h[3] - az * h[2]
        fewer[i, 2] = aw * h[2] - ax * h[3] + ay * h[0] + az * h[1]
        fewer[i, 3] = aw * h[3] + ax * h[2] - ay * h[1] + az * h[0]
        for k in range(3):
            sizes[i, k] = scales[i, axes[best, k]]


def matrices(quats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices [N,3,3] of unit quaternions [N,4]."""
    basis = np.concatenate([np.zeros((3, 1)), np.eye(3)], axis=1)
    turned = product(product(quats[:, None], basis[None]), (quats * [1, -1, -1, -1])[:, None])
    return np.swapaxes(turned[..., 1:], 1, 2)


def quaternions(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit quaternions [N,4], wxyz, of rotation matrices [N,3,3].

    The eigenvector of Bar-Itzhack's symmetric 4 x 4 matrix (2000).
    """
    m = rotation
    k = np.empty((len(m), 4, 4))
    k[:, 0, 0] = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    for i, (a, b) in enumerate(((1, 2), (2, 0), (0, 1)), 1):
        k[:, i, i] = m[:, i - 1, i - 1] - m[:, a, a] - m[:, b, b]
        k[:, 0, i] = k[:, i, 0] = m[:, b, a] - m[:, a, b]
        c, d = a + 1, b + 1
        k[:, c, d] = k[:, d, c] = m[:, a, b] + m[:, b, a]
    return np.asarray(np.linalg.eigh(k)[1][:, :, 3])
