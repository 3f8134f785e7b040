"""Writes the published model and its undistorted photos: pinhole cameras, plain JPEGs, the users' file names."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.colmap.database import Count
from services.sfm.jpeg import strip_metadata
from services.sfm.messages import Task, TaskPhoto

JPEG_QUALITY: Final = 95  # COLMAP's own default makes files twice the size
_POLL_SECONDS: Final = 0.5
_MODEL_FILES: Final = ("cameras.bin", "images.bin", "points3D.bin")


def publish(task: Task, model: Any, count: Count) -> Any:
    """Fill `task.colmap` with `sparse/` and `dense/{images,sparse}/`; returns the dense model.

    The photos in `dense/images` are at most `max_image_size` long, and carry no EXIF: an orientation tag left in
    would let a reader turn them away from their cameras.
    """
    registered = sorted(image.name for image in model.images.values() if image.has_pose)
    given, made = task.scratch / "sparse", task.scratch / "dense"
    given.mkdir()
    model.write_binary(given)
    _undistort(task, given, made, registered, count)
    dense = pycolmap.Reconstruction(made / "sparse")
    if not any(point.color.any() for point in dense.points3D.values()):  # else a model that was given has its own
        dense.extract_colors_for_all_images(made / "images")
        for number, point in dense.points3D.items():
            model.points3D[number].color = point.color
    photos = {photo.file: photo for photo in task.photos}
    for file in registered:
        target = task.colmap / "dense/images" / photos[file].dense_name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(strip_metadata((made / "images" / file).read_bytes()))
        (made / "images" / file).unlink()
    _enlarge(model, photos)
    _write(model, task.colmap / "sparse", {file: photo.name for file, photo in photos.items()})
    _write(dense, task.colmap / "dense/sparse", {file: photo.dense_name for file, photo in photos.items()})
    return dense


def _enlarge(model: Any, photos: dict[str, TaskPhoto]) -> None:
    """Give cameras and features of photos that COLMAP saw smaller the size of the users' photos."""
    cameras = set()
    for image in model.images.values():
        photo = photos[image.name]
        width, height = photo.original or (photo.width, photo.height)
        if (width, height) == (photo.width, photo.height):
            continue
        cameras.add((image.camera_id, width, height))
        factors = np.divide((width, height), (photo.width, photo.height))
        for point in image.points2D:
            point.xy = point.xy * factors
    for number, width, height in cameras:
        model.cameras[number].rescale(width, height)


def _undistort(task: Task, given: Path, made: Path, registered: list[str], count: Count) -> None:
    """COLMAP tells nothing here; the files that it has begun are counted instead."""
    options = pycolmap.UndistortCameraOptions()
    options.max_image_size = task.options.max_image_size
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_POLL_SECONDS):
            count(sum(1 for _ in (made / "images").glob("*")), len(registered))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        pycolmap.undistort_images(
            made, given, task.photos_folder, registered, undistort_options=options, jpeg_quality=JPEG_QUALITY
        )
    finally:
        finished.set()
        watcher.join()
    count(len(registered), len(registered))


def _write(model: Any, folder: Path, names: dict[str, str]) -> None:
    """Write `model` under the users' names. Rigs and frames are left out: trivial here, new to many readers."""
    for image in model.images.values():
        image.name = names[image.name]
    folder.mkdir(parents=True)
    model.write_binary(folder)
    for path in folder.iterdir():
        if path.name not in _MODEL_FILES:
            path.unlink()
