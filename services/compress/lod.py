"""Levels of detail of a compressed model, proven like the rest."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Final

from services.compress.core import Compressed
from services.compress.rate_control.search import OWN_BUDGET
from services.compress.verdict import format_psnr
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Progress
from spaceport.splats.sog.lod.reader import read_level
from spaceport.splats.sog.lod.writer import write_streamed

STREAMED_BYTES: Final = 2_000_000
"""A model whose bundle is larger also gets levels of detail: it would show nothing for two seconds, at 9 Mbit/s."""


def is_streamed(options: CompressOptions, sog_bytes: int) -> bool:
    """Whether a model gets levels of detail besides its bundle of `sog_bytes`."""
    return options.lod == "always" or (options.lod == "auto" and sog_bytes > STREAMED_BYTES)


def write_lod(folder: Path, compressed: Compressed, options: CompressOptions, progress: Progress) -> dict[str, Any]:
    """Write a streamed SOG to `folder`, read its finest level back and compare it with the original.

    Returns:
        For the report: what `write_streamed` returns, `lod_psnr`, and `lod_seconds` that all of it took; or
        `lod_missed` alone, and no folder, if the finest level is under `options.min_psnr`.

    Raises:
        BrokenSog: what was written does not read back whole.
    """
    begun = time.monotonic()
    figures = write_streamed(folder, compressed.encoded.gaussians, compressed.best.quality, progress, options.seed)
    proof = compressed.prover.compare(read_level(folder, 0, OWN_BUDGET, folder))
    if proof.decisive < options.min_psnr:
        shutil.rmtree(folder)
        return {"lod_missed": f"The finest level reached {format_psnr(proof, options.min_psnr)}, so none is published."}
    return figures | {"lod_psnr": proof.mean, "lod_seconds": round(time.monotonic() - begun, 2)}
