"""Rotations: the three smallest quaternion components in a byte each, and which one was left out."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from services.compress.codec.blocks import by_blocks, row_max

MIDDLE = 128
STEP_DEGREES = 0.64  # by how much one step of a byte turns: 2 sqrt(2) / 255 radians
MODE_BASE = 252  # alpha = 252 + index of the component left out
OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def normalised(quats: NDArray[np.floating]) -> NDArray[np.float64]:
    """Unit quaternions [N,4]; a zero one becomes the identity."""
    quats = quats.astype(np.float64)
    largest = row_max(np.abs(quats))[:, None]
    quats = np.where(largest > 0, quats / np.where(largest > 0, largest, 1), [1.0, 0, 0, 0])
    return np.asarray(quats / np.sqrt(np.einsum("ij,ij->i", quats, quats))[:, None])


def encode(quats: NDArray[np.floating], multiple: NDArray[np.floating] | None = None) -> NDArray[np.uint8]:
    """Pack quaternions [N,4] (wxyz, any length) into RGBA bytes [N,4].

    With `multiple` [N], RGB are rounded to 128 plus a multiple of it: fewer different bytes, less to store.
    """
    return by_blocks(_encode, quats) if multiple is None else by_blocks(_encode, quats, multiple)


def _encode(quats: NDArray[np.floating], multiple: NDArray[np.floating] | None = None) -> NDArray[np.uint8]:
    quats = normalised(quats)
    rows = np.arange(len(quats))
    mode = np.abs(quats).argmax(axis=1)
    quats = quats * np.where(quats[rows, mode] < 0, -1.0, 1.0)[:, None]
    rest = quats[rows[:, None], OTHERS[mode]]
    code = np.floor(255 * (rest * np.sqrt(0.5) + 0.5) + 0.5)
    if multiple is not None:
        code = MIDDLE + np.floor((code - MIDDLE) / multiple[:, None] + 0.5) * multiple[:, None]
    code = np.clip(code, 0, 255)
    return np.concatenate([code, MODE_BASE + mode[:, None]], axis=1).astype(np.uint8)


def decode(code: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit quaternions [N,4] wxyz from RGBA bytes [N,4]. Raises ValueError for an alpha below 252."""
    if len(code) and int(code[:, 3].min()) < MODE_BASE:
        raise ValueError("a rotation has an alpha byte under 252, which names no quaternion component")
    return by_blocks(_decode, code)


def _decode(code: NDArray[np.uint8]) -> NDArray[np.float32]:
    rest = (code[:, :3].astype(np.float64) / 255 - 0.5) * np.sqrt(2)
    mode = code[:, 3].astype(np.intp) - MODE_BASE
    quats = np.empty((len(code), 4))
    rows = np.arange(len(code))
    quats[rows[:, None], OTHERS[mode]] = rest
    quats[rows, mode] = np.sqrt(np.maximum(0, 1 - np.square(rest).sum(axis=1)))
    return quats.astype(np.float32)


def _cube_group() -> NDArray[np.float64]:
    """The 24 rotations that map the axes onto each other, as unit quaternions [24,4] with one sign each."""
    found: list[NDArray[np.float64]] = []
    for parts in itertools.product((-1.0, 0.0, 1.0), repeat=4):
        if (count := sum(map(abs, parts))) in (1, 2, 4):
            quat = np.array(parts) / np.sqrt(count)
            if not any(abs(abs(quat @ other) - 1) < 1e-9 for other in found):
                found.append(quat)
    return np.array(found)


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
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


def relabelled(
    quats: NDArray[np.floating], scales: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rename each ellipsoid's axes so that its rotation is the smallest of the 24 that describe it.

    `quats` [N,4], `scales` [N,3] in; the same shapes out, describing the same covariances. The component left out
    is then always w and the other three are small: over four bits less per Gaussian.
    """
    group = _cube_group()
    conjugates = (group * [1, -1, -1, -1]).T
    times = np.swapaxes(_product(np.eye(4)[:, None], group[None]), 0, 1)  # q g is q @ times[g]
    axes = np.abs(matrices(group)).argmax(axis=1)  # row of the one entry in each column: new axis k was axis axes[k]

    def turned(quats: NDArray[np.floating], scales: NDArray[np.float32]) -> NDArray[np.float32]:
        quats = normalised(quats)
        best = np.abs(quats @ conjugates).argmax(axis=1)  # the real part of q g: q times g's conjugate, summed
        fewer = np.einsum("ni,nij->nj", quats, times[best])
        return np.concatenate([fewer.astype(np.float32), np.take_along_axis(scales, axes[best], axis=1)], axis=1)

    found = by_blocks(turned, quats, scales)
    return found[:, :4], found[:, 4:]


def matrices(quats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices [N,3,3] of unit quaternions [N,4]."""
    basis = np.concatenate([np.zeros((3, 1)), np.eye(3)], axis=1)
    turned = _product(_product(quats[:, None], basis[None]), (quats * [1, -1, -1, -1])[:, None])
    return np.swapaxes(turned[..., 1:], 1, 2)
