"""The compress stage: `gaussian/model.ply` in; a SOG that was read back, rendered and compared out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from services.compress import analytics, report
from services.compress.proving import preview, proof, views
from services.compress.tuning.allocate import Wish, presets_from, wish_of
from services.compress.tuning.search import CHECKING, OWN_BUDGET, Attempt, Found, Search
from services.compress.tuning.tables import BUSY
from spaceport.files import replacing_folder, write_atomic
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import CompressOptions, CompressPreset
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera, read_cameras
from spaceport.splats.formats.ply import read_ply
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.quantise import Prepared
from spaceport.splats.sog.codec import writer
from spaceport.splats.sog.codec.encode import NothingLeft, prepare
from spaceport.splats.sog.codec.errors import BrokenSog, TooMany
from spaceport.splats.sog.lod import writer as lod
from spaceport.splats.sog.lod.reader import read_level


def run(source: Path, output: Path, options: CompressOptions, progress: Progress) -> Outcome:
    """Compress `source`/gaussian/model.ply into `output`/compressed/; see the README for what is written.

    A result under `options.min_psnr` or over `options.max_bytes` is not published. The next preset up is tried, and
    when none is left the outcome is degraded.

    Raises:
        Refused: the model is missing, unreadable, too large for a SOG, or holds nothing that can be shown.
    """
    model = source / "gaussian" / "model.ply"
    progress.update(0.0, BUSY)
    original = _read_model(model)
    count = len(original)
    progress.update(0.05, BUSY, gaussians=count)
    prepared = _prepared(original, options, progress)
    cameras, origin = _cameras(source / "gaussian" / "cameras.json", prepared.stored)
    size = model.stat().st_size
    try:
        progress.update(0.1, CHECKING)
        prover = proof.Prover(original, cameras, progress)
        del original  # from here on it is its pictures that count
        search = Search(prepared, prover, options, _Part(progress, 0.2, 0.2))
        found, preset, wish = _search(search, options, progress)
        best = found.best
        made = best.file
    except BrokenSog as error:  # what we wrote cannot be read back: our fault, and no reason to lose the model
        return report.degraded(str(error), {"gaussians": count, "ply_bytes": size})
    published = report.why_not(best, options) is None
    told = report.report(found, size, preset, wish, options) | {"views_from": origin, "published": published}
    picture = preview.side_by_side(*best.proof.pictures, note=f"{best.proof.views[0].psnr:.1f} dB")
    with replacing_folder(output / "compressed") as folder:
        if published:
            writer.write_folder(folder, made.encoded.files)
            writer.write_bundle(folder / writer.BUNDLE, made.encoded.files)
            if writer.digest(folder / writer.BUNDLE) != made.digest:
                raise OSError("the bundle on disk is not the one that was read back and rendered")
            told["attribute_psnr"] = analytics.psnr_alone(search.windows, best.draft.gaussians(search.windows.index))
            if options.lod == "always" or (options.lod == "auto" and lod.is_large(prepared.stored)):
                part = _Part(progress, 0.95, 0.05)
                told |= _levels(folder / lod.FOLDER, prepared.stored, best, prover, options, part)
        write_atomic(folder / "preview.jpg", picture)
        write_atomic(folder / "report.json", (json.dumps(told, indent=2, allow_nan=False) + "\n").encode())
    progress.update(1.0, BUSY, sog_bytes=made.bytes, sog_psnr=round(best.proof.mean, 2))
    return report.outcome(best, size, options, wish)


def _read_model(path: Path) -> Gaussians:
    try:
        return read_ply(path)
    except FileNotFoundError:
        raise Refused(Slug.INPUT_MISSING, stage="compression", name="gaussian/model.ply") from None
    except ValueError as error:
        raise Refused(Slug.BAD_MODEL, detail=error) from error


def _cameras(path: Path, stored: Gaussians) -> tuple[list[Camera], str]:
    """The cameras to compare from, and in words where they come from."""
    try:
        if path.exists() and (found := views.chosen(read_cameras(path))):
            return found, "the job's cameras"
    except ValueError as error:
        raise Refused(Slug.BAD_MODEL, detail=error) from error
    return views.ring(stored), "made cameras around the model, because it came without its own"


def _prepared(original: Gaussians, options: CompressOptions, progress: Progress) -> Prepared:
    try:
        return prepare(original, options.order, options.seed, progress)
    except (NothingLeft, TooMany) as error:
        raise Refused(Slug.BAD_MODEL, detail=error) from error


def _search(search: Search, options: CompressOptions, progress: Progress) -> tuple[Found, CompressPreset, Wish]:
    """What was found in all attempts, and the preset and wish that the last of them were made for."""
    preset, *higher = presets_from(options.preset)
    share = 0.55 / (1 + len(higher))
    wish = wish_of(preset, options.target_psnr, options.max_bytes, options.min_psnr)
    found = search.run(wish, _Part(progress, 0.4, share))
    for number, above in enumerate(higher, start=1):
        if report.why_not(found.best, options) is None or wish.psnr is None:
            break
        preset, wish = above, wish_of(above, None, options.max_bytes, options.min_psnr)
        found = search.run(wish, _Part(progress, 0.4 + number * share, share), found)
    return found, preset, wish


def _levels(
    folder: Path,
    stored: Gaussians,
    found: Attempt,
    prover: proof.Prover,
    options: CompressOptions,
    progress: Progress,
) -> dict[str, Any]:
    """Write the levels of detail, and prove the finest like the rest; without them if it is not good enough."""
    told = lod.write(folder, stored, found.quality, progress, options.seed)
    told["lod_psnr"] = prover.compare(read_level(folder, 0, OWN_BUDGET)).mean
    if told["lod_psnr"] >= options.min_psnr:
        return told
    shutil.rmtree(folder)
    return {"lod_missed": f"The finest level reached {told['lod_psnr']:.1f} dB, so none is published."}


class _Part:
    """The share of a stage's progress that one step makes up."""

    def __init__(self, whole: Progress, start: float, share: float) -> None:
        self._whole, self._start, self._share = whole, start, share

    def update(self, fraction: float, message: str, **counts: int | float | str) -> None:
        self._whole.update(self._start + self._share * fraction, message, **counts)

    def check(self) -> None:
        self._whole.check()
