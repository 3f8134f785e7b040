"""What can be measured of a photo's pixels alone: how sharp it is, how bright, and which photo it repeats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

MIN_CONTRAST: Final = 2.0  # standard deviation of 255: below it a picture shows nothing, a lens cap or white cloud
HASH_SIDE: Final = 16
_MIN_DETAIL: Final = 0.5  # mean square of fine contrast below which rounding is all that is left


@dataclass(frozen=True)
class ImageQuality:
    """Measures of one photo.

    `sharpness` compares the finest detail with that of eight times its size, so that it depends on focus and motion
    more than on what is shown; `brightness` is the mean grey 0-1; `contrast` the standard deviation in grey levels of
    255; `difference_hash` 256 bits as 32 bytes, similar for photos that look alike.
    """

    sharpness: float
    brightness: float
    contrast: float
    difference_hash: bytes

    @property
    def is_empty(self) -> bool:
        """Whether it shows nothing."""
        return self.contrast < MIN_CONTRAST


def measure_quality(grey: Grey) -> ImageQuality:
    """Measure a picture [H,W], at least 32 pixels on each side, at the size at which features will be extracted."""
    values = grey.astype(np.float32)
    return ImageQuality(_sharpness(values), float(values.mean()) / 255, float(values.std()), _difference_hash(values))


def find_repeats(qualities: list[ImageQuality], max_different_bits: int = 10) -> list[tuple[int, int]]:
    """Pairs (later, earlier) of photos that look the same; each later one once, with the first that it repeats.

    Two views of one field that a drone took a second apart differ in 60 bits and more of 256; a photo that was saved
    twice, or taken twice from a tripod, in less than 10.
    """
    if not qualities:
        return []
    bits = np.unpackbits(np.array([list(quality.difference_hash) for quality in qualities], dtype=np.uint8), axis=1)
    signs = bits.astype(np.float32) * 2 - 1
    repeats: list[tuple[int, int]] = []
    for number in range(1, len(qualities)):
        different = (signs.shape[1] - signs[:number] @ signs[number]) / 2
        alike = np.flatnonzero(different <= max_different_bits)
        if len(alike) and not qualities[number].is_empty:
            repeats.append((number, int(alike[0])))
    return repeats


def _sharpness(grey: NDArray[np.float32]) -> float:
    fine, coarse = _detail(grey), _detail(_halve(_halve(_halve(grey))))
    return math.sqrt(fine / coarse) if coarse > _MIN_DETAIL else 0.0


def _detail(picture: NDArray[np.float32]) -> float:
    """Mean square of the Laplacian: slopes, which blur leaves as they are, do not count."""
    inner = picture[1:-1, 1:-1]
    around = picture[:-2, 1:-1] + picture[2:, 1:-1] + picture[1:-1, :-2] + picture[1:-1, 2:]
    return float(np.mean(np.square(around - 4 * inner)))


def _halve(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    even = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4)


def _difference_hash(grey: NDArray[np.float32]) -> bytes:
    """dHash: whether each of 16 x 17 means is brighter than its right neighbour."""
    rows = np.array_split(np.arange(grey.shape[0]), HASH_SIDE)
    columns = np.array_split(np.arange(grey.shape[1]), HASH_SIDE + 1)
    across = np.stack([grey[:, part].mean(axis=1) for part in columns], axis=1)
    means = np.stack([across[part].mean(axis=0) for part in rows])
    return np.packbits(means[:, 1:] > means[:, :-1]).tobytes()
