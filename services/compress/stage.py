"""The compress stage: `gaussian/model.ply` in; a SOG that was read back, rendered and compared out."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.compress import preview, proof, views, writer
from services.compress.encode import Encoded, NothingLeft, Plan, encode
from services.compress.errors import BrokenSog
from services.compress.quality import Quality, ladder
from services.compress.reader import read_sog
from services.compress.sanitise import sanitise
from spaceport.files import write_atomic
from spaceport.pipeline.contract import Failure, Outcome
from spaceport.pipeline.errors import SENTENCES, Refused, Slug
from spaceport.pipeline.options import CompressOptions
from spaceport.pipeline.progress import Progress
from spaceport.splats.cameras import Camera, read_cameras
from spaceport.splats.model import Gaussians
from spaceport.splats.ply import read_ply

BUSY = "Compressing with PlayCanvas SOGS algorithm"
CHECKING = "Comparing the compressed model with the original"
OWN_BUDGET = 1 << 36  # what we wrote ourselves may need as much memory as the model did


@dataclass(frozen=True)
class Attempt:
    """One setting, what it gave, and how it looked."""

    quality: Quality
    encoded: Encoded
    bundle_bytes: int
    errors: dict[str, float]
    proof: proof.Proof


def run(source: Path, output: Path, options: CompressOptions, progress: Progress) -> Outcome:
    """Compress `source`/gaussian/model.ply into `output`/compressed/; see the README for what is written.

    A result that does not reach `options.min_psnr` at any setting is not published: the outcome is then degraded.

    Raises:
        Refused: the model is missing, unreadable, or holds nothing that can be shown.
    """
    model = source / "gaussian" / "model.ply"
    progress.update(0.0, BUSY)
    original = _read_model(model)
    cameras, origin = _cameras(source / "gaussian" / "cameras.json", original)
    progress.update(0.05, BUSY, gaussians=len(original))
    try:
        attempts = _attempts(original, cameras, options, progress)
    except BrokenSog as error:  # what we wrote cannot be read back: our fault, and no reason to lose the model
        return _degraded(str(error), {"gaussians": len(original), "ply_bytes": model.stat().st_size})
    best = max(attempts, key=lambda attempt: attempt.proof.mean)
    folder = output / "compressed"
    folder.mkdir(parents=True, exist_ok=True)
    published = best.proof.mean >= options.min_psnr
    if published:
        writer.write_folder(folder, best.encoded.files)
        writer.write_bundle(folder / writer.BUNDLE, best.encoded.files)
    first = best.proof.views[0]
    picture = preview.side_by_side(*best.proof.pictures, note=f"{first.psnr:.1f} dB")
    write_atomic(folder / "preview.jpg", picture)
    report = _report(best, attempts, model.stat().st_size, origin, options) | {"published": published}
    write_atomic(folder / "report.json", (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
    progress.update(1.0, BUSY, sog_bytes=best.bundle_bytes, sog_psnr=round(best.proof.mean, 2))
    return _outcome(best, model.stat().st_size, options, published)


def _read_model(path: Path) -> Gaussians:
    try:
        return read_ply(path)
    except FileNotFoundError:
        raise Refused(Slug.INPUT_MISSING, stage="compression", name="gaussian/model.ply") from None
    except ValueError as error:
        raise Refused(Slug.BAD_MODEL, detail=error) from error


def _cameras(path: Path, original: Gaussians) -> tuple[list[Camera], str]:
    """The cameras to compare from, and in words where they come from."""
    try:
        if path.exists() and (found := views.chosen(read_cameras(path))):
            return found, "the job's cameras"
    except ValueError as error:
        raise Refused(Slug.BAD_MODEL, detail=error) from error
    shown, _ = sanitise(original)
    if not len(shown):
        raise Refused(Slug.BAD_MODEL, detail="no Gaussian of it can be shown")
    return views.ring(shown), "made cameras around the model, because it came without its own"


def _attempts(
    original: Gaussians, cameras: list[Camera], options: CompressOptions, progress: Progress
) -> list[Attempt]:
    """Try the settings from small to exact until one looks like the original."""
    progress.update(0.1, CHECKING)
    prover = proof.Prover(original, cameras, progress)
    attempts: list[Attempt] = []
    settings = ladder(options.palette_size)
    for number, quality in enumerate(settings):
        step = _Part(progress, 0.2 + 0.75 * number / len(settings), 0.75 / len(settings))
        attempt = _attempt(original, quality, prover, options, step)
        attempts.append(attempt)
        if attempt.proof.mean >= options.min_psnr:
            break
    return attempts


def _attempt(
    original: Gaussians, quality: Quality, prover: proof.Prover, options: CompressOptions, progress: Progress
) -> Attempt:
    try:
        encoded = encode(original, Plan(quality, options.kmeans_rounds, options.seed, options.order), progress)
    except NothingLeft as error:
        raise Refused(Slug.BAD_MODEL, detail=error) from error
    progress.update(0.9, CHECKING)
    with tempfile.TemporaryDirectory(prefix="sog-") as folder:
        path = Path(folder) / writer.BUNDLE
        size = writer.write_bundle(path, encoded.files)
        decoded = read_sog(path, OWN_BUDGET)
    return Attempt(quality, encoded, size, proof.attribute_errors(encoded.gaussians, decoded), prover.compare(decoded))


class _Part:
    """The share of a stage's progress that one attempt makes up."""

    def __init__(self, whole: Progress, start: float, share: float) -> None:
        self._whole, self._start, self._share = whole, start, share

    def update(self, fraction: float, message: str, **counts: int | float | str) -> None:
        self._whole.update(self._start + self._share * fraction, message, **counts)

    def check(self) -> None:
        self._whole.check()


def _report(
    best: Attempt, attempts: list[Attempt], ply_bytes: int, origin: str, options: CompressOptions
) -> dict[str, Any]:
    return {
        "gaussians": len(best.encoded.gaussians),
        "dropped": best.encoded.dropped,
        **best.encoded.facts,
        "ply_bytes": ply_bytes,
        "sog_bytes": best.bundle_bytes,
        "ratio": round(ply_bytes / best.bundle_bytes, 3),
        "file_bytes": {name: len(data) for name, data in best.encoded.files.items()},
        "quality": asdict(best.quality),
        "rms_errors": best.errors,
        "sog_psnr": best.proof.mean,
        "sog_psnr_worst": best.proof.worst,
        "min_psnr": options.min_psnr,
        "views_from": origin,
        "views": [asdict(view) for view in best.proof.views],
        "attempts": [{"sog_bytes": attempt.bundle_bytes, "sog_psnr": attempt.proof.mean} for attempt in attempts],
        "seed": options.seed,
    }


def _outcome(best: Attempt, ply_bytes: int, options: CompressOptions, published: bool) -> Outcome:
    dropped = sum(best.encoded.dropped.values())
    kept = len(best.encoded.gaussians)
    counts: dict[str, int | float | str] = {"gaussians": kept, "dropped": dropped, "ply_bytes": ply_bytes}
    quality = {"sog_psnr": best.proof.mean, "sog_psnr_worst": best.proof.worst}
    if not published:
        detail = f"{best.proof.mean:.1f} dB, where {options.min_psnr:.1f} dB were asked for"
        return _degraded(detail, counts, quality)
    left_out = f" {dropped:,} Gaussians could not be shown and were left out." if dropped else ""
    message = (
        f"{kept:,} Gaussians in {best.bundle_bytes / 1e6:.2f} MB, {ply_bytes / best.bundle_bytes:.1f} times smaller"
        f" than the model, at {best.proof.mean:.1f} dB.{left_out}"
    )
    return Outcome(message=message, counts=counts | {"sog_bytes": best.bundle_bytes}, quality=quality)


def _degraded(detail: str, counts: dict[str, int | float | str], quality: dict[str, float] | None = None) -> Outcome:
    sentence = SENTENCES[Slug.COMPRESSION_BROKEN].format(detail=detail)
    failure = Failure(slug=Slug.COMPRESSION_BROKEN, sentence=sentence)
    return Outcome(message=sentence, counts=counts, quality=quality or {}, degraded=failure)
