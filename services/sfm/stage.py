"""Structure from motion, the whole stage: photos in `source`, cameras, points and undistorted photos in `output`."""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.sfm.capture.image_quality import ImageQuality
from services.sfm.capture.measure import measure_photos
from services.sfm.capture.survey import Capture, assess_capture
from services.sfm.colmap.process import STAGE, run_colmap
from services.sfm.colmap.snapshot import SNAPSHOT, load_snapshot
from services.sfm.messages import ColmapTask, PhaseProgress
from services.sfm.photos.enough import require_enough_photos
from services.sfm.photos.ingest import IngestResult, ingest
from services.sfm.prior_model.match import select_prior_model
from services.sfm.report.build import build_report, missing_photo_warnings
from services.sfm.report.figures import lengths_sentence
from services.sfm.report.thumbs import write_thumbs
from services.sfm.report.write import write_reports
from services.sfm.staging import stage_control_points, stage_photos
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import SfmOptions
from spaceport.pipeline.reports.sfm import SfmReport, Verdict
from spaceport.pipeline.stages.limits import machine_limits
from spaceport.progress import Progress

# Where each phase begins and ends as a share of the stage, from timings of 18 drone photos, and its message.
PHASES: Final = {
    "unpacking": (0.00, 0.03, "Unpacking your photos"),
    "frames": (0.03, 0.04, "Taking frames out of your videos, percent"),
    "reading": (0.04, 0.06, "Checking your photos"),
    "capture": (0.06, 0.08, "Judging the capture"),
    "features": (0.08, 0.45, "Extracting features from uploaded images"),
    "matching": (0.45, 0.72, "Matching photos with each other"),
    "mapping": (0.72, 0.93, "Placing photos in space"),
    "undistortion": (0.93, 1.00, "Straightening photos for training"),
}

CHECKPOINT: Final = "colmap/checkpoint"
"""Below the output: features and matches of a try that was cut off."""


def run(source: Path, output: Path, options: SfmOptions, progress: Progress) -> Outcome:
    """Reconstruct the photos of `source/` (`upload.zip`, or the photos themselves) into `output/`.

    A COLMAP model that comes with the photos (the prior model) is published as it is, in its own frame.

    Writes `extracted/` (the photos as they came), `colmap/sparse/*.bin` (their cameras and points; metres east,
    north and up where GPS allows), `colmap/dense/{images,sparse}/` (undistorted, PINHOLE), `colmap/report.json`.

    Raises:
        Refused: the upload or the photos cannot become a model.
        LostResource: disk or memory ran out.
    """
    with machine_limits(STAGE), _scratch(output) as scratch:
        try:
            return _run(source, output, scratch, options, StageProgress(progress))
        except Refused:
            shutil.rmtree(output / "colmap", ignore_errors=True)  # no other try will want the checkpoint in it
            raise


class StageProgress:
    """Turns the counts of the phases into one fraction that never falls. One left out leaves its share to the next."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._highest = 0.0
        self._begun: dict[str, float] = {}

    def count(self, phase: str, done: int, total: int) -> None:
        begin, end, message = PHASES[phase]
        begin = self._begun.setdefault(phase, min(begin, self._highest))
        self._highest = max(self._highest, begin + (end - begin) * min(1.0, done / max(1, total)))
        self._progress.update(self._highest, f"{message}: {done} of {total}", done=done, total=total)
        self._progress.check()

    def on_progress(self, message: PhaseProgress) -> None:
        self.count(message.phase, message.done, message.total)

    def check(self) -> None:
        self._progress.check()


def _run(source: Path, output: Path, scratch: Path, options: SfmOptions, progress: StageProgress) -> Outcome:
    shutil.rmtree(output / "extracted", ignore_errors=True)
    photos_folder = scratch / "photos"
    ingested = ingest(source, output / "extracted", photos_folder, options.max_image_size, progress)
    require_enough_photos(ingested)
    total, unreadable = len(ingested.photos), sum(not photo.is_unsuitable for photo in ingested.unreadable)
    prior = select_prior_model(output / "extracted", ingested.model_files, ingested.readable, progress.check)
    ingested = prior.restrict(ingested) if prior else ingested
    staged, cameras = stage_photos(ingested)
    files = {name: photos_folder / photo.file for name, photo in staged.items()}
    qualities = measure_photos(files, options.max_image_size, lambda done: progress.count("capture", done, len(files)))
    capture = _assess(ingested, unreadable, qualities, None if prior else options.max_photos)
    task = ColmapTask(
        photos=[staged[capture.photos[number].name] for number in capture.used],
        cameras=cameras,
        photos_folder=photos_folder,
        scratch=scratch,
        colmap=scratch / "colmap",
        options=options,
        ordered=all(photo.taken_at is not None or photo.video for photo in capture.photos),
        checkpoint=(output / CHECKPOINT).absolute(),
        control_points=stage_control_points(ingested, staged),
        prior_model=prior.task(staged, scratch / "prior_model") if prior else None,
    )
    result = run_colmap(task, progress.on_progress, progress.check)
    snapshot = load_snapshot(scratch / SNAPSHOT)
    thumbs = write_thumbs(task.colmap, list(staged.values()), photos_folder, progress.check)
    prior_report = prior.report() if prior else None
    report = build_report(ingested, staged, prior_report, capture, result, options, snapshot, thumbs)
    write_reports(report, staged, capture, result, task, snapshot)
    shutil.rmtree(output / "colmap", ignore_errors=True)  # of an earlier try on this machine
    task.colmap.rename(output / "colmap")
    return _outcome(total, report)


def _assess(
    ingested: IngestResult, unreadable: int, qualities: dict[str, ImageQuality], max_photos: int | None
) -> Capture:
    """The capture, before anything expensive is done. Without `max_photos` all photos are used, whatever they show.

    Raises:
        Refused: hopeless_capture.
    """
    photos, control_points = ingested.readable, len(ingested.control_points)
    if max_photos is None:
        return assess_capture(photos, qualities, unreadable, len(photos), control_points).with_all_used()
    capture = assess_capture(photos, qualities, unreadable, max_photos, control_points)
    if capture.verdict is Verdict.STOP:
        raise Refused(Slug.HOPELESS_CAPTURE, why=capture.findings[0].sentence)
    return capture


def _outcome(total: int, report: SfmReport) -> Outcome:
    registered, points, error = report.model.photos, report.model.points, report.model.reprojection_error_px
    findings = [*report.findings, *report.capture.findings]
    warnings = [finding.sentence for finding in findings if finding.level is Verdict.WARN]
    if report.georeference.metric_reason:
        warnings = [lengths_sentence(report.georeference), *warnings]
    warnings = [*missing_photo_warnings(report), *warnings]
    figures = f"{registered} of {total} photos placed, {points:,} points"
    figures += f", {error:.2f} px reprojection error" if error is not None else ""
    if report.given:
        warnings = [report.given.sentence, *warnings]
    return Outcome(
        message=". ".join([figures, " ".join(warnings)]) if warnings else figures,
        counts={"photos": total, "registered": registered, "points": points},
        quality={"reprojection_error_px": error} if error is not None else {},
    )


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """A folder beside `output` for the database and whatever is not published; removed in the end.

    Where this process is killed, the next one removes it.
    """
    output.mkdir(parents=True, exist_ok=True)
    beside, prefix = output.resolve().parent, f".{output.name}-sfm-"
    for left in beside.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
