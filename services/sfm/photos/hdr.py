"""HDR video (HLG, PQ) as what browsers and COLMAP take a picture for: eight bits of sRGB.

Transfer functions and the matrix are ITU-R BT.2100-2's and BT.2087-0's; reference white lies at 203 cd/m² (BT.2408).
Below a knee the light stays as it is, above it the curve of Reinhard et al. 2002 (equation 4) rolls off to the peak.
"""

from __future__ import annotations

import tempfile
from enum import IntEnum
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Final

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

Pixels16 = NDArray[np.uint16]
Floats = NDArray[np.float32]

PEAK_NITS: Final = 1000.0  # of HLG's nominal display; PQ above it is white
WHITE_NITS: Final = 203.0
KNEE: Final = 0.5  # of reference white
_HLG: Final = (0.17883277, 0.28466892, 0.55991073)  # a, b, c
_HLG_GAMMA: Final = 1.2
_PQ: Final = (2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32)  # m1, m2, c1, c2, c3
_LUMINANCE: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020's primaries
_TO_BT709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_CUBE: Final = 65
_FORMAT: Final = "gbrp10le"
_TIME_BASE: Final = Fraction(1, 1)
_STEPS: Final = 1 << 14  # of linear light; half a grey level in the darkest


class Transfer(IntEnum):
    """Transfer characteristics of HDR, by their numbers in ITU-T H.273."""

    PQ = 16
    HLG = 18


class ToneMapper:
    """Tone-maps video frames of one size by FFmpeg's `lut3d`, which looks `tone_map` up and interpolates."""

    def __init__(self, transfer: Transfer, width: int, height: int) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(width=width, height=height, format=_FORMAT, time_base=_TIME_BASE)
        with tempfile.TemporaryDirectory() as folder:
            cube = Path(folder) / "tone.cube"
            cube.write_text(_cube(transfer))
            lookup, sink = self._graph.add("lut3d", file=str(cube)), self._graph.add("buffersink")
            source.link_to(lookup)
            lookup.link_to(sink)
            self._graph.configure()

    def convert(self, frame: Any) -> NDArray[np.uint8]:
        """sRGB of a frame (rows x columns x 3)."""
        planar = frame.reformat(format=_FORMAT)
        planar.pts, planar.time_base = 0, _TIME_BASE
        self._graph.push(planar)
        converted: NDArray[np.uint8] = self._graph.pull().to_ndarray(format="rgb24")
        return converted


@cache
def _cube(transfer: Transfer) -> str:
    """`tone_map` as a table in Adobe's cube format, red fastest."""
    grid = (np.arange(_CUBE) / (_CUBE - 1) * 0xFFFF).round().astype(np.uint16)
    blue, green, red = np.meshgrid(grid, grid, grid, indexing="ij")
    colours = tone_map(np.stack([red, green, blue], axis=-1).reshape(-1, 1, 3), transfer).reshape(-1, 3) / 255
    rows = (f"{red:.4f} {green:.4f} {blue:.4f}" for red, green, blue in colours.tolist())
    return "\n".join([f"LUT_3D_SIZE {_CUBE}", *rows, ""])


def tone_map(pixels: Pixels16, transfer: Transfer) -> NDArray[np.uint8]:
    """sRGB of a frame of BT.2020 (rows x columns x 3, full range)."""
    light = _light(transfer)[pixels]
    if transfer is Transfer.HLG:
        light *= ((light @ _LUMINANCE) ** (_HLG_GAMMA - 1))[..., None]  # the display's OOTF
        light *= PEAK_NITS / WHITE_NITS
    light = np.clip(light @ _TO_BT709.T, 0, PEAK_NITS / WHITE_NITS)
    brightest = light.max(axis=-1, keepdims=True)
    light *= roll_off(brightest) / np.maximum(brightest, 1e-6)
    return np.asarray(_srgb()[(light * (_STEPS - 1)).astype(np.uint16)])


def roll_off(light: Floats) -> Floats:
    """Light in multiples of reference white to 0-1."""
    over = np.maximum(light - KNEE, 0) / (1 - KNEE)
    peak = (PEAK_NITS / WHITE_NITS - KNEE) / (1 - KNEE)
    return _floats(np.where(light <= KNEE, light, KNEE + (1 - KNEE) * over * (1 + over / peak**2) / (1 + over)))


@cache
def _light(transfer: Transfer) -> Floats:
    """Of each 16-bit value: PQ's light in multiples of reference white, HLG's of the scene's peak."""
    signal = np.arange(1 << 16) / 0xFFFF
    if transfer is Transfer.HLG:
        a, b, c = _HLG
        return _floats(np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12))
    m1, m2, c1, c2, c3 = _PQ
    power = signal ** (1 / m2)
    return _floats((np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * 10_000 / WHITE_NITS)


@cache
def _srgb() -> NDArray[np.uint8]:
    """IEC 61966-2-1 of linear light in steps."""
    light = np.arange(_STEPS) / (_STEPS - 1)
    signal = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray((signal * 255).round().astype(np.uint8))


def _floats(values: Any) -> Floats:
    return np.asarray(values, dtype=np.float32)
