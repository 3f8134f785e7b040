"""The process that COLMAP runs in: `python -m services.sfm.colmap.worker TASK.json PARENT_PID`.

Its own process, because COLMAP aborts on some failures, cannot be interrupted everywhere, and shares no heap with
Pillow. It sends the parent a message of `services/sfm/messages.py` a line: progress, and at last a result or a refusal.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pycolmap
from numpy.typing import NDArray

from services.sfm.child import die_with_parent, private_output
from services.sfm.colmap import database as colmap_database
from services.sfm.colmap.checkpoint import Checkpoint
from services.sfm.colmap.finish import finish_model
from services.sfm.colmap.lens_report import at_original_size
from services.sfm.colmap.mapping import (
    INCREMENTAL,
    MappedModel,
    best_first,
    continue_mapping,
    global_mapping,
    map_photos,
    max_registered,
    separate_parts,
    unregistered,
)
from services.sfm.colmap.matching import Pairs, exclude_pairs, select_pairs
from services.sfm.colmap.policy import (
    ENOUGH_REGISTERED,
    MatchingMethod,
    PhotoSet,
    are_positions_doubtful,
    choose_matching,
    fallback_matching,
    needs_global_mapper,
    should_retry_unregistered,
)
from services.sfm.colmap.prior_model import publish_prior_model
from services.sfm.colmap.snapshot import SNAPSHOT, save_snapshot
from services.sfm.colmap.undistort import undistort_and_publish
from services.sfm.georeference.positions import find_wrong_positions, ground_of, photo_positions, photo_times
from services.sfm.messages import (
    ColmapResult,
    ColmapTask,
    LogLine,
    Phase,
    PhaseProgress,
    PhotoResult,
    Refusal,
    WorkerMessage,
    encode_message,
)
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.reports.sfm import MatchingReport

MIN_REGISTERED: Final = 3
MIN_REGISTERED_SHARE: Final = 0.25  # of the photos; below, the model shows a corner of what was flown

Ground = NDArray[np.float64]


class MessageWriter:
    """Writes messages to the parent on a descriptor that COLMAP's own output cannot reach."""

    def __init__(self) -> None:
        self._out = private_output()

    def send(self, message: WorkerMessage) -> None:
        self._out.write(encode_message(message) + "\n")

    def log(self, sentence: str) -> None:
        self.send(LogLine(sentence))

    def progress_of(self, phase: Phase) -> colmap_database.OnProgress:
        return lambda done, total: self.send(PhaseProgress(phase, done, total))


def reconstruct(task: ColmapTask, messages: MessageWriter) -> ColmapResult:
    """Everything COLMAP does for one set of photos.

    Raises:
        Refused: no_overlap, too_few_registered; bad_prior_model.
    """
    pycolmap.set_random_seed(task.options.seed)
    if task.prior_model:
        return publish_prior_model(task, task.prior_model, messages.progress_of("undistortion"))
    database = task.scratch / "database.db"
    _extract_features(task, database, messages)
    matching, models = _match_and_map(task, database, messages)
    finished = finish_model(task, models[0].reconstruction)
    best = replace(models[0], reconstruction=finished.reconstruction)
    models = [best, *models[1:]]
    figures = [model.figures() for model in models]
    parts = separate_parts(models)
    photos = _photo_results(task, best.reconstruction, database)
    undistort_and_publish(
        task, best.reconstruction, messages.progress_of("undistortion")
    )  # renames the images of `best`
    save_snapshot(best.reconstruction, task.scratch / SNAPSHOT)
    cameras = at_original_size(finished.cameras, best.reconstruction)
    return ColmapResult(matching, figures, photos, cameras, finished.georeference, parts, finished.findings)


def _extract_features(task: ColmapTask, database: Path, messages: MessageWriter) -> None:
    checkpoint = Checkpoint(task, database)
    if not checkpoint.restore(messages.log):
        colmap_database.create_database(task, database)
    colmap_database.extract_features(task, database, checkpoint.save_during(messages.progress_of("features")))


def _match_and_map(
    task: ColmapTask, database: Path, messages: MessageWriter
) -> tuple[MatchingReport, list[MappedModel]]:
    """The matching in figures, and the models, best first. Where the chosen pairs register too few, others are added.

    Raises:
        Refused: no_overlap, too_few_registered.
    """
    total, ground = len(task.photos), _ground(task)
    method = choose_matching(task.options.matching, _photo_set(ground, task.ordered))
    pairs = _select_pairs(method, task, database, ground)
    on_matched = Checkpoint(task, database).save_during(messages.progress_of("matching"))
    colmap_database.match_pairs(task, database, pairs, on_matched)
    methods, models = [method], list[MappedModel]()
    verified = colmap_database.num_verified_pairs(database)
    trusted = not are_positions_doubtful(method, len(pairs), verified)
    if trusted:
        models = _map(task, database, messages)
    few = max_registered(models) < ENOUGH_REGISTERED * total
    if few and (fallback := fallback_matching(method, total)):
        more = exclude_pairs(_select_pairs(fallback, task, database, ground), pairs)
        colmap_database.match_pairs(task, database, more, messages.progress_of("matching"))
        methods, pairs = [method, fallback], np.concatenate([pairs, more])
        if not trusted or colmap_database.num_verified_pairs(database) > verified:
            models = best_first(models + _map(task, database, messages))
    models = _retry_unregistered(task, database, pairs, models, messages)
    connected = colmap_database.num_connected(database)
    if needs_global_mapper(task.options.mapper, connected, max_registered(models)):
        models = best_first(models + global_mapping(task, database))
    verified = colmap_database.num_verified_pairs(database)
    if verified == 0:
        raise Refused(Slug.NO_OVERLAP, total=total)
    registered = max_registered(models)
    if registered < max(MIN_REGISTERED, MIN_REGISTERED_SHARE * total):
        raise Refused(Slug.TOO_FEW_REGISTERED, count=registered, total=total)
    return MatchingReport(method=" + ".join(methods), pairs=len(pairs), verified=verified), models


def _map(task: ColmapTask, database: Path, messages: MessageWriter) -> list[MappedModel]:
    if not colmap_database.num_verified_pairs(database):
        return []
    return map_photos(task, database, messages.progress_of("mapping"))


def _retry_unregistered(
    task: ColmapTask, database: Path, pairs: Pairs, models: list[MappedModel], messages: MessageWriter
) -> list[MappedModel]:
    """`models`, the best of which has more photos where looser matches register the few that it lacks."""
    base = next((model for model in models if model.mapper == INCREMENTAL), None)
    if base is None or not should_retry_unregistered(len(task.photos), max_registered(models)):
        return models
    retried = pairs[np.isin(pairs, unregistered(base, task)).any(axis=1)]
    if base.score[0] < max_registered(models) or not len(retried):
        return models
    colmap_database.rematch_pairs_loosely(task, database, retried, messages.progress_of("matching"))
    continued = continue_mapping(base, task, database, messages.progress_of("mapping"))
    if continued.score[0] <= base.score[0]:
        return models
    return best_first([continued, *(model for model in models if model is not base)])


def _select_pairs(method: MatchingMethod, task: ColmapTask, database: Path, ground: Ground) -> Pairs:
    by_likeness = method in ("sequential", "retrieval")
    return select_pairs(method, ground, colmap_database.photo_descriptors(task, database) if by_likeness else None)


def _ground(task: ColmapTask) -> Ground:
    """[N,2] metres east and north of the middle; NaN where a photo has no position, or one that cannot be right."""
    positions = photo_positions(task.photos)
    cameras = [photo.camera for photo in task.photos]
    return ground_of(positions, find_wrong_positions(positions, photo_times(task.photos), cameras))


def _photo_set(ground: Ground, ordered: bool) -> PhotoSet:
    located = ground[np.isfinite(ground[:, 0])]
    spread = float(np.linalg.norm(np.ptp(located, axis=0))) if len(located) else 0.0
    return PhotoSet(len(ground), len(located), spread, ordered)


def _photo_results(task: ColmapTask, model: Any, database: Path) -> dict[str, PhotoResult]:
    features, matches = colmap_database.feature_counts(database), colmap_database.match_counts(database)
    points = {image.name: image.num_points3D for image in model.images.values() if image.has_pose}
    return {
        photo.file: PhotoResult(
            features=features.get(photo.file, 0),
            partners=matches[photo.file][0],
            matches=matches[photo.file][1],
            registered=photo.file in points,
            points=points.get(photo.file, 0),
        )
        for photo in task.photos
    }


def main(task_file: Path, parent: int) -> int:
    die_with_parent(parent)
    pycolmap.logging.logtostderr = True  # and to no file of its own, which it would leave in the machine's /tmp
    messages = MessageWriter()
    try:
        messages.send(reconstruct(ColmapTask.from_json(task_file.read_text()), messages))
    except Refused as refusal:
        messages.send(Refusal(refusal.slug, refusal.facts))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
