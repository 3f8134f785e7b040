"""Structure from motion, the whole stage: photos in `source`, cameras, points and undistorted photos in `output`."""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from services.sfm.capture.findings import Verdict
from services.sfm.capture.image_quality import Looks
from services.sfm.capture.measure import measure
from services.sfm.capture.survey import Capture, inspect
from services.sfm.colmap.process import STAGE, News, run_colmap
from services.sfm.messages import Task, TaskPhoto, TaskPoint
from services.sfm.photo import PhotoFacts
from services.sfm.photos.geo_files import names_of
from services.sfm.photos.ingest import Intake, take_in
from services.sfm.prior_model.match import take_given
from services.sfm.report.explain import explain
from services.sfm.report.report import shortfall
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import SfmOptions
from spaceport.pipeline.stages.limits import machine_limits
from spaceport.pipeline.uploads.photo_zip import MIN_PHOTOS
from spaceport.progress import Progress

# Where each phase begins and ends as a share of the stage, from timings of 18 drone photos, and what people read.
PHASES: Final = {
    "unpacking": (0.00, 0.03, "Unpacking your photos"),
    "frames": (0.03, 0.04, "Taking frames out of your videos, percent"),
    "reading": (0.04, 0.06, "Checking your photos"),
    "judging": (0.06, 0.08, "Judging the capture"),
    "features": (0.08, 0.45, "Extracting features from uploaded images"),
    "matching": (0.45, 0.72, "Matching photos with each other"),
    "mapping": (0.72, 0.93, "Placing photos in space"),
    "undistortion": (0.93, 1.00, "Straightening photos for training"),
}


CHECKPOINT: Final = "colmap/checkpoint"
"""Below the output: features and matches of a try that was cut off."""


def run(source: Path, output: Path, options: SfmOptions, progress: Progress) -> Outcome:
    """Reconstruct the photos of `source/` (`upload.zip`, or the photos themselves) into `output/`.

    Where a COLMAP model lies beside the photos, it is kept as it is, in its own frame, in place of a new one.

    Writes `extracted/` (the photos as they came), `colmap/sparse/*.bin` (their cameras and points; metres east,
    north and up where GPS allows), `colmap/dense/{images,sparse}/` (undistorted, PINHOLE), `colmap/report.json`.

    Raises:
        Refused: the upload or the photos cannot become a model.
        LostResource: disk or memory ran out.
    """
    with machine_limits(STAGE), _scratch(output) as scratch:
        try:
            return _run(source, output, scratch, options, Phases(progress))
        except Refused:
            shutil.rmtree(output / "colmap", ignore_errors=True)  # no other try will want the checkpoint in it
            raise


class Phases:
    """Turns the counts of the phases into one fraction that never falls. One left out gives its share to the next."""

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

    def news(self, news: News) -> None:
        self.count(news["phase"], news["done"], news["total"])

    def check(self) -> None:
        self._progress.check()


def _run(source: Path, output: Path, scratch: Path, options: SfmOptions, phases: Phases) -> Outcome:
    shutil.rmtree(output / "extracted", ignore_errors=True)
    intake = take_in(source, output / "extracted", scratch / "photos", options.max_image_size, phases)
    total, unreadable = len(intake.photos), len(intake.photos) - len(intake.readable)
    if total - unreadable < MIN_PHOTOS:
        raise Refused(Slug.NO_READABLE_IMAGES, count=total - unreadable, total=total, limit=MIN_PHOTOS)
    given = take_given(output / "extracted", intake.model_files, intake.readable, phases.check)
    intake = given.narrow(intake) if given else intake
    staged = _staged(intake)
    files = {name: scratch / "photos" / photo.file for name, photo in staged.items()}
    looks = measure(files, options.max_image_size, lambda count: phases.count("judging", count, len(files)))
    capture = _judge(intake.readable, looks, unreadable, None if given else options.max_photos)
    used = [staged[capture.photos[number].name] for number in capture.used]
    ordered = all(photo.taken_at is not None or photo.video for photo in capture.photos)
    task = Task(
        photos=used,
        photos_folder=scratch / "photos",
        scratch=scratch,
        colmap=scratch / "colmap",
        options=options,
        ordered=ordered,
        checkpoint=(output / CHECKPOINT).absolute(),
        control_points=_control_points(intake, staged),
        given=given.task(staged, scratch / "given") if given else None,
    )
    result = run_colmap(task, phases.news, phases.check)
    result |= {"intake": intake.facts(), "given": given.facts() if given else None}
    facts = explain(intake.photos, staged, capture, result, task)
    shutil.rmtree(output / "colmap", ignore_errors=True)  # of an earlier try on this machine
    task.colmap.rename(output / "colmap")
    return _outcome(total, facts, capture)


def _staged(intake: Intake) -> dict[str, TaskPhoto]:
    """The photos as COLMAP knows them: by plain names, since it splits names at blanks, and as JPEGs."""
    cameras: dict[object, int] = {}
    staged: dict[str, TaskPhoto] = {}
    taken = {photo.name for photo in intake.readable}
    for photo in intake.readable:
        dense_name = photo.name
        while not dense_name.lower().endswith((".jpg", ".jpeg")) or (dense_name != photo.name and dense_name in taken):
            dense_name += ".jpg"
        taken.add(dense_name)
        copy = intake.copies[photo.name]
        scale = photo.width / copy.width
        staged[photo.name] = TaskPhoto(
            file=copy.file,
            name=photo.name,
            dense_name=dense_name,
            camera=cameras.setdefault((photo.camera_key, copy.width, copy.height), len(cameras)),
            width=copy.width,
            height=copy.height,
            focal_px=photo.focal_px / scale if photo.focal_px else None,
            position=photo.position,
            original=[photo.width, photo.height],
        )
    return staged


def _control_points(intake: Intake, staged: dict[str, TaskPhoto]) -> list[TaskPoint]:
    """The control points, seen in COLMAP's photos instead of the users'."""
    files = {key: name for name in staged for key in reversed(names_of(name))}
    found = []
    for point in intake.control_points:
        seen = [(staged[name], x, y) for photo, x, y in point.seen if (name := files.get(photo.lower()))]
        pixels = [(photo.file, x * photo.shrink, y * photo.shrink) for photo, x, y in seen]
        found.append(TaskPoint(point.name, point.position, pixels))
    return found


def _judge(photos: list[PhotoFacts], looks: dict[str, Looks], unreadable: int, most: int | None) -> Capture:
    """The capture report, before anything expensive is done. Without `most` all photos go on, whatever they show.

    Raises:
        Refused: hopeless_capture.
    """
    if most is None:
        return inspect(photos, looks, unreadable, len(photos)).with_all_used()
    capture = inspect(photos, looks, unreadable, most)
    if capture.verdict is Verdict.STOP:
        raise Refused(Slug.HOPELESS_CAPTURE, why=capture.found[0].sentence)
    return capture


def _outcome(total: int, facts: dict[str, Any], capture: Capture) -> Outcome:
    model = facts["model"]
    error, placed, points = model["reprojection_error_px"], model["photos"], model["points"]
    warnings = [found.sentence for found in capture.found if found.level is Verdict.WARN]
    warnings = [*shortfall(facts), *warnings]
    figures = f"{placed} of {total} photos placed, {points:,} points"
    figures += f", {error:.2f} px reprojection error" if error is not None else ""
    if facts["given"]:
        warnings = [facts["given"]["sentence"], *warnings]
    return Outcome(
        message=". ".join([figures, " ".join(warnings)]) if warnings else figures,
        counts={"photos": total, "registered": placed, "points": points},
        quality={"reprojection_error_px": error} if error is not None else {},
    )


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """A folder beside `output` for the database and what else is not published; gone in the end, whatever happens.

    Where this process is killed, the next one takes it away.
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
