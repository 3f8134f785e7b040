"""What a compression tells afterwards: the report, where the bytes went, and the outcome in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.compress.tuning.allocate import Wish
from services.compress.tuning.search import Attempt, Found
from spaceport.pipeline.contract import Failure, Outcome
from spaceport.pipeline.errors import SENTENCES, Slug
from spaceport.pipeline.options import CompressOptions, CompressPreset
from spaceport.splats.sog.attributes.quality import FINEST, KNOBS

PART_OF_FILE = {
    "means_l.webp": "means",
    "means_u.webp": "means",
    "scales.webp": "scales",
    "quats.webp": "quats",
    "sh0.webp": "sh0_opacity",
    "shN_centroids.webp": "shN_centroids",
    "shN_labels.webp": "shN_labels",
}
"""Which attribute each image is a part of; whatever else is in the bundle is `meta`."""

Counts = dict[str, int | float | str]


def bytes_by_attribute(files: Mapping[str, bytes], bundle_bytes: int) -> dict[str, int]:
    """Where the bytes of the bundle go. They add up to its size; `meta` is meta.json as packed, and the zip itself."""
    parts: dict[str, int] = {}
    for name, part in PART_OF_FILE.items():
        if name in files:
            parts[part] = parts.get(part, 0) + len(files[name])
    return parts | {"meta": bundle_bytes - sum(parts.values())}


def report(
    found: Found, ply_bytes: int, preset: CompressPreset, wish: Wish, options: CompressOptions
) -> dict[str, Any]:
    """Everything that was measured, for report.json."""
    best, encoded, size = found.best, found.best.file.encoded, found.best.file.bytes
    return {
        "gaussians": len(encoded.gaussians),
        "dropped": encoded.dropped,
        **encoded.facts,
        "ply_bytes": ply_bytes,
        "sog_bytes": size,
        "ratio": round(ply_bytes / size, 3),
        "file_bytes": {name: len(data) for name, data in encoded.files.items()},
        "attribute_bytes": bytes_by_attribute(encoded.files, size),
        "preset": preset,
        "target_psnr": wish.psnr,
        "max_bytes": wish.size,
        "missed": missed(best, wish),
        "why_not": why_not(best, options),
        "quality": asdict(best.quality),
        "rms_errors": best.file.errors,
        "sog_psnr": best.proof.mean,
        "sog_psnr_worst": best.proof.worst,
        "min_psnr": options.min_psnr,
        "views": [asdict(view) for view in best.proof.views],
        "attempts": [{"foreseen_bytes": round(foreseen), "sog_psnr": psnr} for foreseen, psnr in found.tried],
        "seed": options.seed,
    }


def outcome(best: Attempt, ply_bytes: int, options: CompressOptions, wish: Wish) -> Outcome:
    """The end of the stage: published, or degraded with the reason said."""
    encoded, size = best.file.encoded, best.file.bytes
    dropped, kept = sum(encoded.dropped.values()), len(encoded.gaussians)
    counts: Counts = {"gaussians": kept, "dropped": dropped, "ply_bytes": ply_bytes}
    quality = {"sog_psnr": best.proof.mean, "sog_psnr_worst": best.proof.worst}
    if why := why_not(best, options):
        return degraded(why, counts, quality)
    counts["sog_bytes"] = size
    counts |= {f"bytes_{part}": number for part, number in bytes_by_attribute(encoded.files, size).items()}
    message = (
        f"{_gaussians(kept)} in {_size(size)}, {ply_bytes / size:.1f} times smaller"
        f" than the model, at {best.proof.mean:.1f} dB."
    )
    if sentence := missed(best, wish):
        message += f" {sentence}"
    if dropped:
        were = "was" if dropped == 1 else "were"
        message += f" {_gaussians(dropped)} could not be shown and {were} left out{_by_reason(encoded.dropped)}."
    return Outcome(message=message, counts=counts, quality=quality)


def missed(best: Attempt, wish: Wish) -> str | None:
    """That a file has not become as alike as was asked for, and what stood in the way; None when it has."""
    if wish.psnr is None or best.proof.mean >= wish.psnr:
        return None
    if wish.size is not None:
        reason = f"no better file of at most {wish.size:,} bytes was found"
    elif all(getattr(best.quality, knob) == getattr(FINEST, knob) for knob in KNOBS.values()):
        besides = " but SH" * (best.draft.prepared.stored.sh_degree > 0)
        reason = f"every attribute{besides} is stored as finely as the format can"
    elif wish.psnr > best.limit:
        besides = ", but for SH" * (best.draft.prepared.stored.sh_degree > 0)
        reason = f"stored as finely as the format can{besides}, this model is foreseen at about {best.limit:.1f} dB"
    else:
        reason = "the search ended before it found a better file; asking for a little more may come nearer"
    return f"Reached {best.proof.mean:.2f} dB where {wish.psnr:.2f} dB were asked for: {reason}."


def why_not(best: Attempt, options: CompressOptions) -> str | None:
    """Why the best that could be made is not to be published, or None when it is."""
    if options.max_bytes is not None and best.file.bytes > options.max_bytes:
        return f"the smallest one has {best.file.bytes:,} bytes, where at most {options.max_bytes:,} were asked for"
    if best.proof.mean < options.min_psnr:
        limit = "" if options.max_bytes is None else f" within {options.max_bytes:,} bytes"
        return f"{best.proof.mean:.1f} dB{limit}, where {options.min_psnr:.1f} dB were asked for"
    return None


def degraded(detail: str, counts: Counts, quality: dict[str, float] | None = None) -> Outcome:
    """No SOG is published; the trained model stands as it is."""
    sentence = SENTENCES[Slug.COMPRESSION_BROKEN].format(detail=detail)
    failure = Failure(slug=Slug.COMPRESSION_BROKEN, sentence=sentence)
    return Outcome(message=sentence, counts=counts, quality=quality or {}, degraded=failure)


def _by_reason(dropped: Mapping[str, int]) -> str:
    return " (" + ", ".join(f"{number:,} {reason}" for reason, number in dropped.items()) + ")"


def _gaussians(number: int) -> str:
    return f"{number:,} Gaussian{'s' * (number != 1)}"


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
