"""Whether the best file that was made may be published, and whether it is what was asked for: sentences on why not."""

from __future__ import annotations

import math

from services.compress.proving.proof import Proof
from services.compress.rate_control.allocation import TIE_DB, WORST_BELOW, Target
from services.compress.rate_control.search import Attempt
from spaceport.pipeline.options import CompressOptions


def explain_rejection(best: Attempt, options: CompressOptions) -> str | None:
    """Why the best file must not be published, or None if it may."""
    if options.max_bytes is not None and best.size > options.max_bytes:
        return f"the smallest one has {best.size:,} bytes, where at most {options.max_bytes:,} were asked for"
    if best.proof.decisive < options.min_psnr:
        limit = "" if options.max_bytes is None else f" within {options.max_bytes:,} bytes"
        return f"{format_psnr(best.proof, options.min_psnr)}{limit}, where {options.min_psnr:.1f} dB were asked for"
    return None


def format_psnr(proof: Proof, least: float) -> str:
    """What a proof that does not come to `least` dB came to: its mean, and its worst view where that decides."""
    worst = f", {proof.worst:.1f} dB in the worst view" if proof.mean >= least else ""
    return f"{proof.mean:.1f} dB{worst}"


def explain_missed_target(target: Target, proof: Proof, ceiling: Proof | None) -> str | None:
    """Why a file is less like the model than was asked for, and what to do; None if it is not.

    Args:
        target: what was asked for.
        proof: what was reached.
        ceiling: what is reached with everything stored as finely as the format can; None where it was not measured,
            since a limit on bytes decided.
    """
    if target.psnr is None or proof.decisive >= target.psnr:
        return None
    reached = f"Reached {proof.mean:.2f} dB where {target.psnr:.2f} dB were asked for"
    if proof.mean >= target.psnr:
        reached = (
            f"Reached {proof.mean:.2f} dB, but {proof.worst:.2f} dB in the worst view, where {target.psnr:.2f} dB were"
            f" asked for and so {target.psnr - WORST_BELOW:.2f} dB in each view"
        )
    if target.max_bytes is not None or ceiling is None:
        within = "" if target.max_bytes is None else f" of at most {target.max_bytes:,} bytes"
        return f"{reached}: no better file{within} was found. Allow more bytes, or ask for less."
    worst = f" ({ceiling.worst:.2f} dB in the worst view)"
    return (
        f"{reached}: with everything stored as finely as a SOG can, this model comes to {ceiling.mean:.2f} dB{worst}."
        f" Ask for at most {math.floor(10 * (ceiling.decisive - TIE_DB)) / 10:.1f} dB, or keep the PLY, which loses"
        " nothing."
    )
