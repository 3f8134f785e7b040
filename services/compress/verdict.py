"""Whether the best file that was made may be published, and whether it is what was asked for: sentences on why not."""

from __future__ import annotations

from services.compress.rate_control.allocation import Target
from services.compress.rate_control.search import Attempt
from spaceport.pipeline.options import CompressOptions
from spaceport.splats.sog.attributes.quality import FINEST, KNOBS, Quality


def explain_rejection(best: Attempt, options: CompressOptions) -> str | None:
    """Why the best file must not be published, or None if it may."""
    if options.max_bytes is not None and best.size > options.max_bytes:
        return f"the smallest one has {best.size:,} bytes, where at most {options.max_bytes:,} were asked for"
    if best.proof.mean < options.min_psnr:
        limit = "" if options.max_bytes is None else f" within {options.max_bytes:,} bytes"
        return f"{best.proof.mean:.1f} dB{limit}, where {options.min_psnr:.1f} dB were asked for"
    return None


def explain_missed_target(target: Target, psnr: float, quality: Quality, limit: float, *, has_sh: bool) -> str | None:
    """Why a file is less like the model than was asked for; None if it is not.

    Args:
        target: what was asked for.
        psnr: what was reached, dB.
        quality: how the file is stored.
        limit: PSNR that is foreseen with all but SH as finely as the format can, dB.
        has_sh: whether the model has SH bands, which are stored by a palette.
    """
    if target.psnr is None or psnr >= target.psnr:
        return None
    if target.max_bytes is not None:
        reason = f"no better file of at most {target.max_bytes:,} bytes was found"
    elif all(getattr(quality, knob) == getattr(FINEST, knob) for knob in KNOBS.values()):
        reason = f"every attribute{' but SH' * has_sh} is stored as finely as the format can"
    elif target.psnr > limit:
        besides = ", but for SH" * has_sh
        reason = f"stored as finely as the format can{besides}, this model is foreseen at about {limit:.1f} dB"
    else:
        reason = "the search ended before it found a better file; asking for a little more may come nearer"
    return f"Reached {psnr:.2f} dB where {target.psnr:.2f} dB were asked for: {reason}."
