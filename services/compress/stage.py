"""The compress stage: `gaussian/model.ply` in; a SOG that was read back, rendered and compared out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from services.compress.core import Compressed, compress
from services.compress.lod import is_streamed, write_lod
from services.compress.proving.held_out import compare_held_out, read_held_out
from services.compress.proving.preview import side_by_side
from services.compress.rate_control.tables import COMPRESSING
from services.compress.report import degraded, make_outcome, make_report, report_json, too_large
from services.compress.report_page.inputs import read_earlier
from services.compress.report_page.page import write_page
from services.compress.viewing.look import THUMB, seconds_for_flight, write_look
from services.compress.viewing.settings import read_georeference
from spaceport.files import replacing_folder, write_atomic
from spaceport.memory_limit import memory_limit
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import CompressOptions
from spaceport.pipeline.reports.compress import CompressReport, HeldOutPsnr
from spaceport.progress import Progress, Share
from spaceport.splats.cameras import Camera, read_cameras
from spaceport.splats.formats.ply import read_ply, read_size
from spaceport.splats.sog.codec.encode import EmptyModel
from spaceport.splats.sog.codec.errors import BrokenSog, TooMany
from spaceport.splats.sog.codec.writer import BUNDLE, write_folder
from spaceport.splats.sog.lod.writer import FOLDER
from spaceport.splats.sog.memory import estimate_memory

FILE_SHARE: Final = 0.6  # of the progress, until the file is there; the rest is the flight


def run(source: Path, output: Path, options: CompressOptions, progress: Progress) -> Outcome:
    """Compress `source`/gaussian/model.ply into `output`/compressed/; see the README for what is written.

    A result under `options.min_psnr` or over `options.max_bytes` is not published, and a model that needs more memory
    than there is is not begun: the outcome is degraded then.

    Raises:
        Refused: the model is missing, unreadable, too large for a SOG, or holds nothing that can be shown.
    """
    begun = time.monotonic()
    path = source / "gaussian" / "model.ply"
    progress.update(0.0, COMPRESSING)
    with _refusing_broken():
        count, degree = read_size(path)
        ply_bytes = path.stat().st_size
        if (need := estimate_memory(count, degree)) > (have := memory_limit()):
            return too_large(count, need, have, ply_bytes)
        models = [read_ply(path, output)]
    cameras = _read_cameras(path.with_name("cameras.json"))
    earlier = read_earlier(source, cameras)
    try:
        # The model is handed over, so that it can be freed there.
        compressed = compress(models.pop(), cameras, options, Share(progress, 0, FILE_SHARE))
    except (EmptyModel, TooMany) as error:
        raise Refused(Slug.BAD_MODEL, detail=error) from error
    except BrokenSog as error:  # what we wrote cannot be read back: our fault, and no reason to lose the model
        return degraded(str(error), {"gaussians": count, "ply_bytes": ply_bytes})

    def write_views(folder: Path) -> dict[str, Any]:
        job_seconds = earlier.training_seconds + time.monotonic() - begun
        seconds = seconds_for_flight(job_seconds) if options.flight else None
        georeference = read_georeference(path.with_name("georeference.json"))
        return write_look(folder, compressed, cameras, georeference, seconds, Share(progress, FILE_SHARE, 1))

    def write_report(folder: Path, report: CompressReport, preview: bytes) -> None:
        write_atomic(folder / "report.json", report_json(report))
        write_page(folder / "report.html", earlier, report, preview, time.monotonic() - begun)

    photos = read_held_out(path.parent, earlier.held_out_photos, cameras)
    held_out = None
    if photos:
        held_out = compare_held_out(compressed.encoded.gaussians, compressed.decoded, photos, compressed.prover)
    _write(output / "compressed", compressed, ply_bytes, held_out, options, write_views, write_report, progress)
    psnr = round(compressed.proof.mean, 2)
    progress.update(1.0, COMPRESSING, sog_bytes=len(compressed.bundle), sog_psnr=psnr)
    outcome, thumb = make_outcome(compressed, ply_bytes), output / "compressed" / THUMB
    if not thumb.exists():  # the model is not published
        return outcome
    return outcome.model_copy(update={"counts": outcome.counts | {"thumb_bytes": thumb.stat().st_size}})


def _write(
    target: Path,
    compressed: Compressed,
    ply_bytes: int,
    held_out: HeldOutPsnr | None,
    options: CompressOptions,
    write_views: Callable[[Path], dict[str, Any]],
    write_report: Callable[[Path, CompressReport, bytes], None],
    progress: Progress,
) -> None:
    """Fill the folder `target`, whole or not at all: with the model if it may be published, and with the report."""
    caption = f"{compressed.proof.views[0].psnr:.1f} dB"
    preview = side_by_side(*compressed.proof.pictures, note=caption)
    figures: dict[str, Any] = {}
    with replacing_folder(target) as folder:
        if compressed.rejection is None:
            write_folder(folder, compressed.encoded.files)
            write_atomic(folder / BUNDLE, compressed.bundle)
            if (folder / BUNDLE).read_bytes() != compressed.bundle:
                raise OSError("the bundle on disk is not the one that was read back and rendered")
            if is_streamed(options, len(compressed.bundle)):
                figures = write_lod(
                    folder / FOLDER, compressed, options, Share(progress, 0.95 * FILE_SHARE, FILE_SHARE)
                )
            figures |= write_views(folder)
        write_atomic(folder / "preview.jpg", preview)
        write_report(folder, make_report(compressed, ply_bytes, held_out, figures, options), preview)


@contextmanager
def _refusing_broken() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Refused(Slug.INPUT_MISSING, stage="compression", name="gaussian/model.ply") from None
    except ValueError as error:
        raise Refused(Slug.BAD_MODEL, detail=error) from error


def _read_cameras(path: Path) -> list[Camera]:
    try:
        return read_cameras(path) if path.exists() else []
    except ValueError as error:
        raise Refused(Slug.BAD_MODEL, detail=error) from error
