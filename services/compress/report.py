"""What is said of a compression afterwards: report.json, where the bytes went, and the outcome in a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.compress.core import Compressed
from services.compress.proving.held_out import NONE_CAME
from services.compress.verdict import explain_missed_target
from spaceport.pipeline.contract import Failure, Outcome
from spaceport.pipeline.errors import SENTENCES, Slug
from spaceport.pipeline.options import CompressOptions
from spaceport.pipeline.reports.compress import CompressReport, HeldOutPsnr

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


def bytes_by_attribute(compressed: Compressed) -> dict[str, int]:
    """Where the bytes of the bundle go. They add up to its size; `meta` is meta.json as packed, and the zip itself."""
    files = compressed.encoded.files
    parts: dict[str, int] = {}
    for name, part in PART_OF_FILE.items():
        if name in files:
            parts[part] = parts.get(part, 0) + len(files[name])
    return parts | {"meta": len(compressed.bundle) - sum(parts.values())}


def missed_target(compressed: Compressed) -> str | None:
    """Why the file is less like the model than was asked for; None if it is not."""
    return explain_missed_target(compressed.target, compressed.proof, compressed.ceiling)


def make_report(
    compressed: Compressed,
    ply_bytes: int,
    held_out: HeldOutPsnr | None,
    figures: Mapping[str, Any],
    options: CompressOptions,
) -> CompressReport:
    """Everything that was measured, for report.json.

    Args:
        compressed: what came of the model.
        ply_bytes: size of the model's file.
        held_out: of the photos that training never saw; None without.
        figures: of its levels of detail and of its pictures, as from `write_lod` and `write_look`; empty without.
        options: what was asked for.
    """
    best, encoded, size = compressed.best, compressed.encoded, len(compressed.bundle)
    published = compressed.rejection is None
    fields: dict[str, Any] = {
        "gaussians": len(encoded.gaussians),
        "dropped": encoded.dropped,
        **encoded.figures,
        "ply_bytes": ply_bytes,
        "sog_bytes": size,
        "ratio": round(ply_bytes / size, 3),
        "mb_per_million": round(size / len(encoded.gaussians), 3),
        "file_bytes": {name: len(data) for name, data in encoded.files.items()},
        "attribute_bytes": bytes_by_attribute(compressed),
        "preset": compressed.preset,
        "target_psnr": compressed.target.psnr,
        "max_bytes": compressed.target.max_bytes,
        "missed": missed_target(compressed),
        "ceiling_psnr": compressed.ceiling and compressed.ceiling.mean,
        "why_not": compressed.rejection,
        "quality": asdict(best.quality),
        "rms_errors": compressed.file.errors,
        "sog_psnr": best.proof.mean,
        "sog_psnr_worst": best.proof.worst,
        "min_psnr": options.min_psnr,
        "views": [asdict(view) for view in best.proof.views],
        "kinds": best.proof.kinds,
        "attempts": [{"foreseen_bytes": round(foreseen), "sog_psnr": psnr} for foreseen, psnr in compressed.attempts],
        "seed": options.seed,
        "views_from": compressed.views_from,
        "published": published,
    }
    fields |= {"held_out": held_out} if held_out else {"held_out_missing": NONE_CAME}
    if published:
        fields["attribute_psnr"] = compressed.attribute_psnr
    return CompressReport(**fields, **figures)


def report_json(report: CompressReport) -> bytes:
    """The text of report.json. What was not set, such as levels of detail that were not asked for, is left out."""
    fields = report.model_dump(mode="json", exclude_unset=True)
    return (json.dumps(fields, indent=2, allow_nan=False) + "\n").encode()


def make_outcome(compressed: Compressed, ply_bytes: int) -> Outcome:
    """The outcome of the stage: published, or degraded with the reason."""
    proof, encoded, size = compressed.proof, compressed.encoded, len(compressed.bundle)
    dropped, kept = sum(encoded.dropped.values()), len(encoded.gaussians)
    counts: Counts = {"gaussians": kept, "dropped": dropped, "ply_bytes": ply_bytes}
    quality = {"sog_psnr": proof.mean, "sog_psnr_worst": proof.worst}
    if compressed.rejection:
        return degraded(compressed.rejection, counts, quality)
    counts["sog_bytes"] = size
    counts |= {f"bytes_{part}": number for part, number in bytes_by_attribute(compressed).items()}
    message = (
        f"{_format_gaussians(kept)} in {_format_bytes(size)}, {ply_bytes / size:.1f} times smaller"
        f" than the model, at {proof.mean:.1f} dB."
    )
    if sentence := missed_target(compressed):
        message += f" {sentence}"
    if dropped:
        were = "was" if dropped == 1 else "were"
        message += f" {_format_gaussians(dropped)} could not be shown and {were} left out"
        message += f"{_format_reasons(encoded.dropped)}."
    return Outcome(message=message, counts=counts, quality=quality)


def degraded(detail: str, counts: Counts, quality: dict[str, float] | None = None) -> Outcome:
    """No SOG is published; the trained model stands as it is."""
    return _uncompressed(Slug.COMPRESSION_BROKEN, counts, quality, detail=detail)


def too_large(count: int, need: int, have: int, ply_bytes: int) -> Outcome:
    """A model that needs more bytes of memory than there are; the trained model stands as it is."""
    counts: Counts = {"gaussians": count, "ply_bytes": ply_bytes}
    facts = {"count": f"{count:,}", "need_gb": f"{need / 1e9:.1f}", "have_gb": f"{have / 1e9:.1f}"}
    return _uncompressed(Slug.MODEL_TOO_LARGE, counts, None, **facts)


def _uncompressed(slug: Slug, counts: Counts, quality: dict[str, float] | None, **facts: str) -> Outcome:
    sentence = SENTENCES[slug].format(**facts)
    return Outcome(
        message=sentence, counts=counts, quality=quality or {}, degraded=Failure(slug=slug, sentence=sentence)
    )


def _format_reasons(dropped: Mapping[str, int]) -> str:
    return " (" + ", ".join(f"{number:,} {reason}" for reason, number in dropped.items()) + ")"


def _format_gaussians(number: int) -> str:
    return f"{number:,} Gaussian{'s' * (number != 1)}"


def _format_bytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
