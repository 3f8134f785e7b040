"""Publishes a COLMAP model that came with the photos: nothing in it is moved. In COLMAP's process only."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.colmap.database import OnProgress
from services.sfm.colmap.mapping import MappedModel
from services.sfm.colmap.snapshot import SNAPSHOT, save_snapshot
from services.sfm.colmap.undistort import undistort_and_publish
from services.sfm.georeference.alignment import Alignment, keep_own_frame
from services.sfm.georeference.gcp_alignment import estimate_gcp_alignment
from services.sfm.georeference.gps_alignment import estimate_gps_alignment
from services.sfm.messages import NOT_FOR_COLMAP, ColmapResult, ColmapTask, PhotoResult, PriorModelTask
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.reports.sfm import MatchingReport

PRIOR_MODEL: Final = "given"
"""What the report has in place of a mapper and of a matching method; readers know it by this word."""
CONTRADICTION: Final = "poses, cameras and photos contradict each other"
MAX_CHECKED_POINTS: Final = 20_000
MAX_ERROR: Final = 0.02  # median reprojection error, as a share of the longer side


def publish_prior_model(task: ColmapTask, prior: PriorModelTask, on_progress: OnProgress) -> ColmapResult:
    """Undistort and publish the prior model as it is.

    Raises:
        Refused: bad_prior_model, where COLMAP cannot read it, or poses and photos do not belong together.
    """
    try:
        reconstruction = _read(task, prior)
        error = _check_reprojection_error(reconstruction)
    except (IndexError, ValueError, RuntimeError) as fault:  # references that lead nowhere
        raise Refused(Slug.BAD_PRIOR_MODEL, detail=NOT_FOR_COLMAP) from fault
    alignment = _align(task, reconstruction)
    model = MappedModel(PRIOR_MODEL, reconstruction)
    figures = model.figures().model_copy(update={"reprojection_error_px": error})
    photos = {image.name: _photo_result(image) for image in reconstruction.images.values()}
    _check_pinholes(undistort_and_publish(task, reconstruction, on_progress))
    reconstruction.transform(alignment.similarity)  # for the drawing alone, which shows the model from above
    save_snapshot(reconstruction, task.scratch / SNAPSHOT)
    return ColmapResult(
        matching=MatchingReport(method=PRIOR_MODEL, pairs=0, verified=0),
        models=[figures],
        photos=photos,
        cameras=model.cameras(),
        georeference=keep_own_frame(alignment),
        findings=alignment.findings,
    )


def _read(task: ColmapTask, prior: PriorModelTask) -> Any:
    """The model with the photos that are there, under their file names; points that no two of them see are removed."""
    model = pycolmap.Reconstruction(prior.folder)
    files = {image_id: file for file, image_id in prior.image_ids.items()}
    missing = [image for image in model.images.values() if image.image_id not in files]
    for image in missing:
        model.deregister_frame(image.frame_id)
    if missing:  # a model is written without the photos that have no pose
        folder = task.scratch / "registered"
        folder.mkdir()
        model.write_binary(folder)
        model = pycolmap.Reconstruction(folder)
    if {image.image_id for image in model.images.values() if image.has_pose} != files.keys():
        raise Refused(Slug.BAD_PRIOR_MODEL, detail="COLMAP finds other photos in it than its files name")
    sizes = {photo.file: (photo.width, photo.height) for photo in task.photos}
    for image in model.images.values():
        image.name = files[image.image_id]
        camera = model.cameras[image.camera_id]
        if (camera.width, camera.height) != sizes[image.name]:
            raise Refused(Slug.BAD_PRIOR_MODEL, detail="COLMAP finds other cameras in it than its files name")
    return model


def _check_reprojection_error(model: Any) -> float | None:
    """The mean reprojection error in pixels; None for a model without features.

    Raises:
        Refused: bad_prior_model, where it is too large.
    """
    model.update_point_3d_errors()
    errors = np.array([point.error for point in model.points3D.values() if point.track.length()])
    if not len(errors):
        _check_visibility(model)
        return None
    longest = max(max(camera.width, camera.height) for camera in model.cameras.values())
    median = float(np.median(errors))
    if not median <= MAX_ERROR * longest:
        off = f"{median:,.0f} pixels or more" if median < longest else "more than a photo's length"
        detail = f"half of its points miss their features by {off}; {CONTRADICTION}"
        raise Refused(Slug.BAD_PRIOR_MODEL, detail=detail)
    return float(errors[errors < longest].mean())  # a point behind a camera has no distance


def _check_visibility(model: Any) -> None:
    """Raise `Refused` where half of the photos show no point: all that can be checked without features."""
    points = np.array([point.xyz for point in model.points3D.values()])
    points = points[:: -(-len(points) // MAX_CHECKED_POINTS)]
    blind = 0
    for image in model.images.values():
        pose, camera = image.cam_from_world().matrix(), model.cameras[image.camera_id]
        pixels = camera.img_from_cam(points @ pose[:, :3].T + pose[:, 3])  # NaN behind the camera
        blind += not ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(axis=1).any()
    if 2 * blind > model.num_images():
        detail = f"{blind} of its {model.num_images()} photos show none of its points; {CONTRADICTION}"
        raise Refused(Slug.BAD_PRIOR_MODEL, detail=detail)


def _align(task: ColmapTask, model: Any) -> Alignment:
    by_gps = estimate_gps_alignment(model, task.photos, task.options.seed)
    if not task.control_points:
        return by_gps
    try:
        return estimate_gcp_alignment(model, task.control_points)
    except ValueError as reason:
        return by_gps.without_control_points(str(reason))


def _photo_result(image: Any) -> PhotoResult:
    """A model does not say which photos were matched."""
    return PhotoResult(len(image.points2D), None, None, True, image.num_points3D)


def _check_pinholes(dense: Any) -> None:
    """Raise `Refused` where undistortion made no camera that could be trained with."""
    for camera in dense.cameras.values():
        if not np.isfinite(camera.params).all() or min(camera.focal_length_x, camera.focal_length_y) <= 0:
            raise Refused(Slug.BAD_PRIOR_MODEL, detail="the distortion of its cameras leaves no picture to train with")
