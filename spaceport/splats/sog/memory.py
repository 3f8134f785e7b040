"""What compressing a model to SOG takes in memory, foreseen from its size and the number of cores."""

from __future__ import annotations

from typing import Final

from spaceport.simd.cores import usable_cores
from spaceport.splats import scratch
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.codec.images import BYTES_PER_PIXEL, images_at_once

BASE_BYTES: Final = 300 << 20
"""Of the libraries, the compiled kernels, and the pictures of the proof."""
PROOF_BYTES: Final = 356
"""For each Gaussian while the decoded model is rendered. docs/measured/compress.md has what was measured."""
CODING_BYTES: Final = 250
"""For each Gaussian while images are coded, beside what each of these takes."""
COPIES_OF_SH: Final = 3
"""Of the higher SH, where they are small enough to be in memory: the model's, the stored ones, and the decoded."""
MAPPED_BYTES: Final = 360 << 20
"""Of the higher SH on disk: the blocks of several arrays that are in memory at a time."""
BYTES_PER_COEFFICIENT: Final = 12
IMAGES: Final = 7
"""Of a SOG with SH bands."""


def estimate_memory(count: int, sh_degree: int, cores: int | None = None) -> int:
    """Bytes that compressing so many Gaussians takes on so many cores, rather too many than too few."""
    at_once = images_at_once(count, IMAGES, cores or usable_cores())
    gaussians = count * max(PROOF_BYTES, CODING_BYTES + BYTES_PER_PIXEL * at_once)
    sh = count * SHN_SIZES[sh_degree] * BYTES_PER_COEFFICIENT
    return BASE_BYTES + gaussians + (COPIES_OF_SH * sh if sh < scratch.LARGE else MAPPED_BYTES)
