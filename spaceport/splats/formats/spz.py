"""Niantic's SPZ: fixed-point positions, 8-bit attributes; gzip around it all (versions 2 and 3) or zstd for each (4).

Written from the format's description (github.com/nianticlabs/spz, README and headers). The values are stored as they
are, as splat-transform does, so that a model keeps its frame through any conversion; an extension says which axis is
up. Without it the format means y.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spaceport.files import write_atomic
from spaceport.splats.formats import spz_container, spz_extensions
from spaceport.splats.formats.limits import BrokenFile, as_gaussians, budget_of
from spaceport.splats.formats.ply import BAND_4
from spaceport.splats.formats.spz_container import Header, PackedGaussians
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.attributes import opacity, rotations

FRACTIONAL_BITS = 12  # of positions: steps of 1/4096 unit; fewer only where positions would not fit
LIMIT = (1 << 23) - 1
COLOUR_SCALE = 0.15  # of f_dc; less than the 0.28 of SH, so that colours beyond 0..1 fit
SCALE_STEPS, SCALE_OFFSET = 16, 10
MAGNITUDE = 511  # of a rotation's component, which has 9 bits and a sign
XYZW = [1, 2, 3, 0]
FIRST_BAND_STEP, OTHER_BANDS_STEP = 8, 16  # of 256 levels over -1..1: coarse, because the file is then coded

Bytes = NDArray[np.uint8]


def read(path: Path) -> Gaussians:
    """Read SPZ, versions 1 to 4.

    Raises:
        BrokenFile: a sentence on the first rule that the file breaks.
        OSError: it cannot be read.
    """
    return decode(path.read_bytes(), budget_of(path))


def decode(data: bytes, budget: int) -> Gaussians:
    """The model of an SPZ's bytes, within a budget of memory in bytes. Raises BrokenFile."""
    header, packed = spz_container.unpack(data, budget)
    num_points, coefficients = header.num_points, header.coefficients
    used = min(coefficients, SHN_SIZES[-1])
    unpack_rotations = _unpack_first_three if header.version < 3 else _unpack_smallest_three
    model = as_gaussians(
        means=_unpack_positions(packed.positions, header),
        quats=unpack_rotations(packed.rotations),
        scales=packed.scales.reshape(num_points, 3).astype(np.float32) / SCALE_STEPS - SCALE_OFFSET,
        opacities=opacity.decode(packed.alphas),
        sh0=((packed.colors.reshape(num_points, 1, 3) / np.float32(255)) - 0.5) / COLOUR_SCALE,
        shN=(packed.sh.reshape(num_points, coefficients, 3)[:, :used].astype(np.float32) - 128) / 128,
    )
    notes = (BAND_4,) if coefficients > used else ()
    frame = spz_extensions.frame_of(header.extensions)
    return replace(model, antialiased=header.antialiased, frame=frame, notes=notes)


def write(path: Path, gaussians: Gaussians, version: int = 3) -> None:
    """Write SPZ at once or not at all. Sizes are clipped to e^-10..e^5.9, SH coefficients to -1..1.

    Raises:
        BrokenFile: a position lies beyond 8 million units, which 24 bits cannot hold.
    """
    header = Header(
        version,
        len(gaussians),
        gaussians.sh_degree,
        _fractional_bits(gaussians.means),
        gaussians.antialiased,
        spz_extensions.extensions_of(gaussians.frame),
    )
    bytes_of_scale = np.floor((gaussians.scales + SCALE_OFFSET) * SCALE_STEPS + 0.5)
    bytes_of_colour = np.floor((gaussians.sh0 * COLOUR_SCALE + 0.5) * 255 + 0.5)
    quats = rotations.normalise(gaussians.quats)[:, XYZW]
    packed = PackedGaussians(
        positions=_pack_positions(gaussians.means, header.fractional_bits),
        alphas=opacity.encode(gaussians.opacities),
        colors=_to_bytes(bytes_of_colour),
        scales=_to_bytes(bytes_of_scale),
        rotations=_pack_first_three(quats) if version == 2 else _pack_smallest_three(quats),
        sh=_pack_sh(gaussians.shN),
    )
    write_atomic(path, spz_container.pack(header, packed))


def _fractional_bits(means: NDArray[np.float32]) -> int:
    farthest = float(np.abs(means).max(initial=0))
    for bits in range(FRACTIONAL_BITS, -1, -1):
        if farthest * (1 << bits) <= LIMIT:
            return bits
    raise BrokenFile(f"A position lies {farthest:.3g} units away; SPZ holds at most {LIMIT}.")


def _unpack_positions(packed: Bytes, header: Header) -> NDArray[np.float32]:
    if header.version == 1:  # half floats; never released, but files exist
        return packed.view("<f2").reshape(-1, 3).astype(np.float32)
    parts = packed.reshape(-1, 3, 3).astype(np.int32)
    fixed = parts[..., 0] | parts[..., 1] << 8 | parts[..., 2] << 16
    signed = fixed - ((fixed & 0x800000) << 1)
    return (signed / float(1 << header.fractional_bits)).astype(np.float32)


def _pack_positions(means: NDArray[np.float32], bits: int) -> Bytes:
    fixed = np.rint(means.astype(np.float64) * (1 << bits)).astype(np.int32)
    return np.stack([fixed & 255, fixed >> 8 & 255, fixed >> 16 & 255], axis=-1).astype(np.uint8)


def _unpack_smallest_three(packed: Bytes) -> NDArray[np.float32]:
    """Two bits say which of x, y, z, w is the largest; the others have 10 bits each, the first one uppermost."""
    word = packed.reshape(-1, 4).copy().view("<u4")[:, 0].astype(np.int64)
    largest = word >> 30
    fields = np.stack([word >> 20, word >> 10, word], axis=1) & 1023
    rest = (fields & MAGNITUDE) * (np.sqrt(0.5) / MAGNITUDE) * np.where(fields > MAGNITUDE, -1.0, 1.0)
    return _with_largest(rest, largest)


def _pack_smallest_three(quats: NDArray[np.float64]) -> Bytes:
    rows = np.arange(len(quats))
    largest = np.abs(quats).argmax(axis=1)
    rest = quats[rows[:, None], rotations.OTHERS[largest]]
    negative = (rest < 0) ^ (quats[rows, largest] < 0)[:, None]
    size = np.floor(np.abs(rest) * (MAGNITUDE / np.sqrt(0.5)) + 0.5).astype(np.int64)
    fields = negative.astype(np.int64) << 9 | np.minimum(size, MAGNITUDE)
    word = largest.astype(np.int64) << 30 | fields[:, 0] << 20 | fields[:, 1] << 10 | fields[:, 2]
    return np.asarray(word.astype("<u4").view(np.uint8))


def _unpack_first_three(packed: Bytes) -> NDArray[np.float32]:
    rest = packed.reshape(-1, 3) / 127.5 - 1.0
    return _with_largest(rest, np.full(len(rest), 3))


def _pack_first_three(quats: NDArray[np.float64]) -> Bytes:
    upper = quats * np.where(quats[:, 3:] < 0, -1.0, 1.0)
    return _to_bytes(np.floor(upper[:, :3] * 127.5 + 127.5 + 0.5))


def _with_largest(rest: NDArray[np.float64], largest: NDArray[np.integer]) -> NDArray[np.float32]:
    """Rotations wxyz from three components of xyzw and the index of the one left out."""
    quats = np.empty((len(rest), 4))
    rows = np.arange(len(rest))
    quats[rows[:, None], rotations.OTHERS[largest]] = rest
    quats[rows, largest] = np.sqrt(np.maximum(0, 1 - np.square(rest).sum(axis=1)))
    return rotations.normalise(quats[:, [3, 0, 1, 2]]).astype(np.float32)


def _pack_sh(shn: NDArray[np.float32]) -> Bytes:
    steps = np.full((1, shn.shape[1], 1), OTHER_BANDS_STEP)
    steps[:, :3] = FIRST_BAND_STEP
    levels = np.rint(np.clip(shn, -2, 2) * 128) + 128
    return _to_bytes(np.floor((levels + steps // 2) / steps) * steps)


def _to_bytes(values: NDArray[np.floating]) -> Bytes:
    return np.asarray(np.clip(values, 0, 255), np.uint8)
