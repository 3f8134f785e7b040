"""Publishes a model that came with the photos: nothing in it is moved. In COLMAP's process only."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.colmap.database import Count, positions
from services.sfm.colmap.mapping import Model
from services.sfm.colmap.snapshot import PLACED, save_placed
from services.sfm.colmap.undistort import publish
from services.sfm.georeference.gcp_alignment import locate_by_points
from services.sfm.georeference.gps_alignment import in_its_own_frame, locate
from services.sfm.messages import NOT_FOR_COLMAP, GivenTask, Task
from spaceport.pipeline.errors import Refused, Slug

GIVEN: Final = "given"
"""What the report has in place of a mapper and of a way of matching."""
CONTRADICTION: Final = "poses, cameras and photos contradict each other"
MOST_LOOKED_AT: Final = 20_000
MAX_ERROR: Final = 0.02  # of the longer side, that points may miss their features by in the median


def keep(task: Task, given: GivenTask, count: Count) -> dict[str, Any]:
    """Publish the given model and what is made of it. Returns the facts for the report, as `reconstruct` does.

    Raises:
        Refused: bad_given_model, where COLMAP cannot read it, or poses and photos do not belong together.
    """
    try:
        model = _read(task, given)
        error = _judge_error(model)
    except (IndexError, ValueError, RuntimeError) as fault:  # references that lead nowhere
        raise Refused(Slug.BAD_GIVEN_MODEL, detail=NOT_FOR_COLMAP) from fault
    similarity, earth = _locate(task, model)
    kept = Model(GIVEN, model)
    facts = kept.facts() | {"reprojection_error_px": error}
    photos = {image.name: _photo_facts(image) for image in model.images.values()}
    _check_pinholes(publish(task, model, count))
    model.transform(similarity)  # for the drawing alone, which shows the model from above
    save_placed(model, task.scratch / PLACED)
    return {
        "matching": {"method": GIVEN, "pairs": 0, "verified": 0},
        "models": [facts],
        "photos": photos,
        "cameras": kept.cameras(),
        "georeference": in_its_own_frame(similarity, earth),
    }


def _read(task: Task, given: GivenTask) -> Any:
    """The model with the photos that are there, under their file names; points that no two of them see are gone."""
    model = pycolmap.Reconstruction(given.folder)
    files = {number: file for file, number in given.numbers.items()}
    lost = [image for image in model.images.values() if image.image_id not in files]
    for image in lost:
        model.deregister_frame(image.frame_id)
    if lost:  # a model is written without the photos that have no pose
        folder = task.scratch / "kept"
        folder.mkdir()
        model.write_binary(folder)
        model = pycolmap.Reconstruction(folder)
    if {image.image_id for image in model.images.values() if image.has_pose} != files.keys():
        raise Refused(Slug.BAD_GIVEN_MODEL, detail="COLMAP finds other photos in it than its files name")
    sizes = {photo.file: (photo.width, photo.height) for photo in task.photos}
    for image in model.images.values():
        image.name = files[image.image_id]
        camera = model.cameras[image.camera_id]
        if (camera.width, camera.height) != sizes[image.name]:
            raise Refused(Slug.BAD_GIVEN_MODEL, detail="COLMAP finds other cameras in it than its files name")
    return model


def _judge_error(model: Any) -> float | None:
    """The mean distance of points from their features in pixels; None for a model that has no features."""
    model.update_point_3d_errors()
    errors = np.array([point.error for point in model.points3D.values() if point.track.length()])
    if not len(errors):
        _check_views(model)
        return None
    longest = max(max(camera.width, camera.height) for camera in model.cameras.values())
    median = float(np.median(errors))
    if not median <= MAX_ERROR * longest:
        off = f"{median:,.0f} pixels or more" if median < longest else "more than a photo's length"
        detail = f"half of its points miss their features by {off}; {CONTRADICTION}"
        raise Refused(Slug.BAD_GIVEN_MODEL, detail=detail)
    return float(errors[errors < longest].mean())  # a point behind a camera has no distance


def _check_views(model: Any) -> None:
    """Raise `Refused` where half of the photos show no point: all that a model without features can be asked."""
    points = np.array([point.xyz for point in model.points3D.values()])
    points = points[:: -(-len(points) // MOST_LOOKED_AT)]
    blind = 0
    for image in model.images.values():
        pose, camera = image.cam_from_world().matrix(), model.cameras[image.camera_id]
        seen = camera.img_from_cam(points @ pose[:, :3].T + pose[:, 3])  # NaN behind the camera
        blind += not ((seen >= 0) & (seen < (camera.width, camera.height))).all(axis=1).any()
    if 2 * blind > model.num_images():
        detail = f"{blind} of its {model.num_images()} photos show none of its points; {CONTRADICTION}"
        raise Refused(Slug.BAD_GIVEN_MODEL, detail=detail)


def _locate(task: Task, model: Any) -> tuple[Any, dict[str, object]]:
    rows = positions(task.photos)
    by_photos = locate(
        model, {photo.file: row for photo, row in zip(task.photos, rows, strict=True)}, task.options.seed
    )
    if not task.control_points:
        return by_photos
    try:
        return locate_by_points(model, task.control_points)
    except ValueError as reason:
        similarity, facts = by_photos
        return similarity, facts | {"control_points_unused": str(reason)}


def _photo_facts(image: Any) -> dict[str, Any]:
    """Who was matched with whom, a model does not tell."""
    return {
        "features": len(image.points2D),
        "partners": None,
        "matches": None,
        "registered": True,
        "points": image.num_points3D,
    }


def _check_pinholes(dense: Any) -> None:
    """Raise `Refused` where undistortion made no camera that could be trained with."""
    for camera in dense.cameras.values():
        if not np.isfinite(camera.params).all() or min(camera.focal_length_x, camera.focal_length_y) <= 0:
            raise Refused(Slug.BAD_GIVEN_MODEL, detail="the distortion of its cameras leaves no picture to train with")
