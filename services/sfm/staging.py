"""From ingested photos to COLMAP's task: plain file names, cameras, control points in pixels of COLMAP's photos."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from services.sfm.cameras import assign_cameras
from services.sfm.messages import TaskCamera, TaskControlPoint, TaskPhoto
from services.sfm.photo import PhotoMetadata
from services.sfm.photos.geo_files import lookup_names
from services.sfm.photos.ingest import IngestResult
from spaceport.pipeline.file_names import with_suffix

MIN_MARK_STD_PX: Final = 0.3  # of COLMAP's photos, however large the user's were: features are no better

_EPOCH: Final = datetime(1970, 1, 1)


def stage_photos(ingested: IngestResult) -> tuple[dict[str, TaskPhoto], list[TaskCamera]]:
    """The photos as COLMAP gets them, by name, and their cameras.

    Photos get plain names, since COLMAP splits names at blanks, and those that are no JPEGs a dense name that is one.
    """
    photos, staged = ingested.readable, dict[str, TaskPhoto]()
    copies = [ingested.copies[photo.name] for photo in photos]
    numbers, cameras = assign_cameras(photos, [(copy.width, copy.height) for copy in copies])
    taken = {photo.name for photo in photos}
    for photo, copy, camera in zip(photos, copies, numbers, strict=True):
        dense_name = photo.name
        while not dense_name.lower().endswith((".jpg", ".jpeg")) or (dense_name != photo.name and dense_name in taken):
            dense_name = with_suffix(dense_name, ".jpg")
        taken.add(dense_name)
        staged[photo.name] = _stage_photo(photo, copy.file, dense_name, camera, (copy.width, copy.height))
    return staged, cameras


def _stage_photo(photo: PhotoMetadata, file: str, dense_name: str, camera: int, size: tuple[int, int]) -> TaskPhoto:
    gimbal = None if photo.gimbal_pitch is None else (photo.gimbal_pitch, photo.gimbal_roll, photo.gimbal_yaw)
    return TaskPhoto(
        file=file,
        name=photo.name,
        dense_name=dense_name,
        camera=camera,
        width=size[0],
        height=size[1],
        position=photo.position,
        position_std_m=photo.position_std_m,
        rtk_flag=photo.rtk_flag,
        taken_at=(photo.taken_at - _EPOCH).total_seconds() if photo.taken_at else None,
        orientation=photo.orientation,
        gimbal=gimbal,
        relative_altitude_m=photo.relative_altitude_m,
        absolute_altitude_m=photo.absolute_altitude_m,
        original=(photo.width, photo.height),
    )


def stage_control_points(ingested: IngestResult, staged: dict[str, TaskPhoto]) -> list[TaskControlPoint]:
    """The control points in pixels of COLMAP's photos instead of the users'."""
    files = {key: name for name in staged for key in reversed(lookup_names(name))}
    points = []
    for point in ingested.control_points:
        marked = [(staged[name], x, y) for photo, x, y in point.observations if (name := files.get(photo.lower()))]
        pixels = [(photo.file, x * photo.scale, y * photo.scale) for photo, x, y in marked]
        accuracy = point.accuracy
        mark_std_px = accuracy.mark_px * min((photo.scale for photo, _, _ in marked), default=1.0)
        points.append(
            TaskControlPoint(
                point.name,
                point.position,
                pixels,
                check=point.check,
                std_m=(accuracy.horizontal_m, accuracy.vertical_m),
                mark_std_px=max(mark_std_px, MIN_MARK_STD_PX),
            )
        )
    return points
