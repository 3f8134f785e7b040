"""What all readers share: the error they raise, the memory that a file may cost them, and the conversion to float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.model import Gaussians

BUDGET = 1 << 30
"""Bytes of memory that reading any file may need."""
GROWTH = 64
"""A larger file may need this many times its own size: twice the most that was measured with a real model."""
BYTES_PER_GAUSSIAN = 320  # positions and rotations pass through float64
UNBUNDLED = (".webp", ".json")  # suffixes of the files of an unbundled SOG
BYTES_PER_COEFFICIENT = 36  # three channels, decoded once and copied twice


class BrokenFile(ValueError):
    """The file breaks a rule of its format. `str(error)` is one plain sentence."""


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files of an unbundled or a streamed set. Raises OSError when there is none."""
    folder = path if path.is_dir() else path.parent if path.suffix.lower() == ".json" else None
    if folder is None:
        return path.stat().st_size
    files = [each for pattern in ("*", "*/*") for each in folder.glob(pattern) if each.suffix in UNBUNDLED]
    return sum(each.stat().st_size for each in files if each.is_file())


def budget_of(path: Path) -> int:
    """Bytes of memory that reading `path` may need. Raises OSError when there is no such file."""
    return max(BUDGET, GROWTH * bytes_of(path))


def check_count(count: int, coefficients: int, budget: int) -> None:
    """Refuse a header that claims no Gaussian, or more than `budget` bytes can hold.

    Raises:
        BrokenFile: with the number claimed.
    """
    if count < 1:
        raise BrokenFile("The file holds no Gaussian.")
    if count * (BYTES_PER_GAUSSIAN + BYTES_PER_COEFFICIENT * coefficients) > budget:
        raise BrokenFile(f"The file claims {count} Gaussians, more than the memory limit of {budget} bytes allows.")


def as_gaussians(**arrays: NDArray[Any]) -> Gaussians:
    """The model of decoded arrays of any type; what float32 cannot hold becomes infinite."""
    with np.errstate(over="ignore"):
        floats: dict[str, Any] = {name: array.astype(np.float32) for name, array in arrays.items()}
        return Gaussians(**floats)
