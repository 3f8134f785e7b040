"""What compressing a model to SOG takes in memory, foreseen from its size alone."""

from __future__ import annotations

from typing import Final

from spaceport.splats import scratch
from spaceport.splats.sh import SHN_SIZES

BASE_BYTES: Final = 300 << 20
"""Of the libraries, the compiled kernels, and the pictures of the proof."""
BYTES_PER_GAUSSIAN: Final = 360
"""Of all that stays in memory, and of the step that needs most beside it. docs/measured/compress.md."""
COPIES_OF_SH: Final = 3
"""Of the higher SH, where they are small enough to be in memory: the model's, the stored ones, and the decoded."""
BYTES_PER_COEFFICIENT: Final = 12


def estimate_memory(count: int, sh_degree: int) -> int:
    """Bytes that compressing so many Gaussians takes, rather too many than too few."""
    sh = count * SHN_SIZES[sh_degree] * BYTES_PER_COEFFICIENT
    return BASE_BYTES + BYTES_PER_GAUSSIAN * count + min(COPIES_OF_SH * sh, COPIES_OF_SH * scratch.LARGE)
