"""The child process that COLMAP runs in: `python -m services.sfm.colmap.worker TASK.json PARENT_PID`.

Its own process, because COLMAP aborts on some failures, cannot be interrupted everywhere, and shares no heap with
Pillow. News go to the parent as JSON lines: `{"phase", "done", "total"}`, at the end `{"result"}` or `{"refused"}`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pycolmap
from numpy.typing import NDArray

from services.sfm.child import die_with_parent, private_output
from services.sfm.colmap import database as colmap_database
from services.sfm.colmap.bundle_adjustment import settle
from services.sfm.colmap.checkpoint import Checkpoint
from services.sfm.colmap.mapping import INCREMENTAL, Model, apart, go_on, in_order, map_photos, most_placed, unplaced
from services.sfm.colmap.matching import Pairs, beyond, pairs_for
from services.sfm.colmap.policy import ENOUGH, Known, Method, alternative, choose, doubtful, look_closer
from services.sfm.colmap.prior_model import keep
from services.sfm.colmap.snapshot import PLACED, save_placed
from services.sfm.colmap.undistort import publish
from services.sfm.georeference.gcp_alignment import lay_over
from services.sfm.georeference.gps_alignment import georeference
from services.sfm.georeference.wgs84 import centre, to_enu
from services.sfm.messages import Task
from spaceport.pipeline.errors import Refused, Slug

MIN_REGISTERED: Final = 3
MIN_SHARE: Final = 0.25  # of the photos; below, the model shows a corner of what was flown

Ground = NDArray[np.float64]


class News:
    """Writes JSON lines to the parent on a descriptor that COLMAP's own output cannot reach."""

    def __init__(self) -> None:
        self._out = private_output()

    def count(self, phase: str) -> colmap_database.Count:
        return lambda done, total: self.send(phase=phase, done=done, total=total)

    def send(self, **fields: Any) -> None:
        self._out.write(json.dumps(fields) + "\n")


def reconstruct(task: Task, news: News) -> dict[str, Any]:
    """Everything COLMAP does for one set of photos. Returns the facts for the report.

    Raises:
        Refused: no_overlap, too_few_registered; bad_given_model.
    """
    pycolmap.set_random_seed(task.options.seed)
    if task.given:
        return keep(task, task.given, news.count("undistortion"))
    database = task.scratch / "database.db"
    _find_features(task, database, news)
    matching, models = _match_and_map(task, database, news)
    best = models[0]
    settle(best.reconstruction)
    placed_on_earth = _georeferenced(task, best.reconstruction)
    facts, parts = [model.facts() for model in models], apart(models)
    photos = _photo_facts(task, best.reconstruction, database)
    publish(task, best.reconstruction, news.count("undistortion"))  # gives the photos of `best` the users' names
    save_placed(best.reconstruction, task.scratch / PLACED)
    return {
        "matching": matching,
        "models": facts,
        "apart": parts,
        "photos": photos,
        "cameras": best.cameras(),
        "georeference": placed_on_earth,
    }


def _find_features(task: Task, database: Path, news: News) -> None:
    checkpoint = Checkpoint(task, database)
    if not checkpoint.restore(lambda sentence: news.send(log=sentence)):
        colmap_database.create(task, database)
    colmap_database.extract_features(task, database, checkpoint.saving(news.count("features")))


def _match_and_map(task: Task, database: Path, news: News) -> tuple[dict[str, Any], list[Model]]:
    """Facts of the matching, and the models, best first. Where little comes of the chosen pairs, others are added.

    Raises:
        Refused: no_overlap, too_few_registered.
    """
    total, ground = len(task.photos), _ground(task)
    method = choose(task.options.matching, _known(ground, task.ordered))
    pairs = _pairs(method, task, database, ground)
    colmap_database.match(task, database, pairs, Checkpoint(task, database).saving(news.count("matching")))
    methods, models = [method], list[Model]()
    trusted = not doubtful(method, len(pairs), colmap_database.verified_pairs(database))
    if trusted:
        models = _map(task, database, news)
    if most_placed(models) < ENOUGH * total and (other := alternative(method, total)):
        more = beyond(_pairs(other, task, database, ground), pairs)
        colmap_database.match(task, database, more, news.count("matching"))
        methods, pairs = [method, other], np.concatenate([pairs, more])
        if len(more) or not trusted:
            models = in_order(models + _map(task, database, news))
    models = _look_closer(task, database, pairs, models, news)
    verified = colmap_database.verified_pairs(database)
    if verified == 0:
        raise Refused(Slug.NO_OVERLAP, total=total)
    placed = most_placed(models)
    if placed < max(MIN_REGISTERED, MIN_SHARE * total):
        raise Refused(Slug.TOO_FEW_REGISTERED, count=placed, total=total)
    return {"method": " + ".join(methods), "pairs": len(pairs), "verified": verified}, models


def _map(task: Task, database: Path, news: News) -> list[Model]:
    return map_photos(task, database, news.count("mapping")) if colmap_database.verified_pairs(database) else []


def _look_closer(task: Task, database: Path, pairs: Pairs, models: list[Model], news: News) -> list[Model]:
    """`models`, the best of which has more photos where the few that it lacks can be placed by looser matches."""
    base = next((model for model in models if model.mapper == INCREMENTAL), None)
    if base is None or not look_closer(len(task.photos), most_placed(models)):
        return models
    theirs = pairs[np.isin(pairs, unplaced(base, task)).any(axis=1)]
    if base.merit[0] < most_placed(models) or not len(theirs):
        return models
    colmap_database.match_loosely(task, database, theirs, news.count("matching"))
    more = go_on(base, task, database, news.count("mapping"))
    return (
        in_order([more, *(model for model in models if model is not base)]) if more.merit[0] > base.merit[0] else models
    )


def _pairs(method: Method, task: Task, database: Path, ground: Ground) -> Pairs:
    by_looks = method in ("sequential", "retrieval")
    return pairs_for(method, ground, colmap_database.look_alike(task, database) if by_looks else None)


def _ground(task: Task) -> Ground:
    """[N,2] metres east and north of the middle; NaN where a photo has no position."""
    rows = colmap_database.positions(task.photos)
    rows[:, 2] = np.where(np.isnan(rows[:, 0]), np.nan, 0.0)  # on the ground: heights play no part here
    located = np.isfinite(rows[:, 0])
    return to_enu(rows, centre(rows[located]))[:, :2] if located.any() else rows[:, :2]


def _known(ground: Ground, ordered: bool) -> Known:
    located = ground[np.isfinite(ground[:, 0])]
    spread = float(np.linalg.norm(np.ptp(located, axis=0))) if len(located) else 0.0
    return Known(len(ground), len(located), spread, ordered)


def _georeferenced(task: Task, model: Any) -> dict[str, object]:
    rows = colmap_database.positions(task.photos)
    files = [photo.file for photo in task.photos]
    by_photos = georeference(model, dict(zip(files, rows, strict=True)), task.options.seed)
    if not task.control_points:
        return by_photos
    try:
        return lay_over(model, task.control_points)
    except ValueError as reason:
        return by_photos | {"control_points_unused": str(reason)}


def _photo_facts(task: Task, model: Any, database: Path) -> dict[str, dict[str, Any]]:
    features, matches = colmap_database.feature_counts(database), colmap_database.match_counts(database)
    points = {image.name: image.num_points3D for image in model.images.values() if image.has_pose}
    return {
        photo.file: {
            "features": features.get(photo.file, 0),
            "partners": matches[photo.file][0],
            "matches": matches[photo.file][1],
            "registered": photo.file in points,
            "points": points.get(photo.file, 0),
        }
        for photo in task.photos
    }


def main(task_file: Path, parent: int) -> int:
    die_with_parent(parent)
    pycolmap.logging.logtostderr = True  # and to no file of its own, which it would leave in the machine's /tmp
    news = News()
    try:
        news.send(result=reconstruct(Task.from_json(task_file.read_text()), news))
    except Refused as refusal:
        news.send(refused=refusal.slug, facts=refusal.facts)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
