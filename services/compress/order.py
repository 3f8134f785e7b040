"""The order of Gaussians in the file: neighbours in space become neighbours in the images, which then shrink better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def morton_order(q: NDArray[np.uint16]) -> NDArray[np.intp]:
    """Sort by Z-order (Morton, 1966) of 16-bit log positions [N,3]. Ties keep their order, so it is deterministic."""
    code = _spread(q[:, 0]) | (_spread(q[:, 1]) << np.uint64(1)) | (_spread(q[:, 2]) << np.uint64(2))
    return np.argsort(code, kind="stable")


def _spread(values: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Put two zero bits between any two bits."""
    bits = values.astype(np.uint64)
    for shift, mask in ((32, 0x1F00000000FFFF), (16, 0x1F0000FF0000FF), (8, 0x100F00F00F00F00F)):
        bits = (bits | (bits << np.uint64(shift))) & np.uint64(mask)
    bits = (bits | (bits << np.uint64(4))) & np.uint64(0x10C30C30C30C30C3)
    return (bits | (bits << np.uint64(2))) & np.uint64(0x1249249249249249)
