"""Undistorts the photos and publishes both models: pinhole cameras, plain JPEGs, the users' file names."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.colmap.database import OnProgress
from services.sfm.jpeg import strip_metadata
from services.sfm.messages import ColmapTask, TaskPhoto

JPEG_QUALITY: Final = 95  # COLMAP's own default makes files twice the size
_POLL_SECONDS: Final = 0.5
_MODEL_FILES: Final = ("cameras.bin", "images.bin", "points3D.bin")


def undistort_and_publish(task: ColmapTask, model: Any, on_progress: OnProgress) -> Any:
    """Fill `task.colmap` with `sparse/` and `dense/{images,sparse}/`; returns the dense `pycolmap.Reconstruction`.

    The photos in `dense/images` are at most `max_image_size` long, and have no EXIF: an orientation tag left in would
    let a reader turn them away from their cameras. Images of `model` get the users' names.
    """
    registered = sorted(image.name for image in model.images.values() if image.has_pose)
    sparse_folder = task.scratch / "sparse"
    dense_folder = task.scratch / "dense"
    sparse_folder.mkdir()
    model.write_binary(sparse_folder)
    _undistort(task, sparse_folder, dense_folder, registered, on_progress)
    dense = pycolmap.Reconstruction(dense_folder / "sparse")
    if not any(point.color.any() for point in dense.points3D.values()):  # a prior model may have colours
        dense.extract_colors_for_all_images(dense_folder / "images")
        for number, point in dense.points3D.items():
            model.points3D[number].color = point.color
    photos = {photo.file: photo for photo in task.photos}
    for file in registered:
        target = task.colmap / "dense/images" / photos[file].dense_name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(strip_metadata((dense_folder / "images" / file).read_bytes()))
        (dense_folder / "images" / file).unlink()
    _rescale_to_originals(model, photos)
    _write_model(model, task.colmap / "sparse", {file: photo.name for file, photo in photos.items()})
    _write_model(dense, task.colmap / "dense/sparse", {file: photo.dense_name for file, photo in photos.items()})
    return dense


def _rescale_to_originals(model: Any, photos: dict[str, TaskPhoto]) -> None:
    """Rescale cameras and features of photos that COLMAP had smaller to the size of the users' photos."""
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
    for camera_id, width, height in cameras:
        model.cameras[camera_id].rescale(width, height)


def _undistort(
    task: ColmapTask, sparse_folder: Path, dense_folder: Path, registered: list[str], on_progress: OnProgress
) -> None:
    """COLMAP reports no progress here; the files that it has begun are counted instead."""
    options = pycolmap.UndistortCameraOptions()
    options.max_image_size = task.options.max_image_size
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_POLL_SECONDS):
            on_progress(sum(1 for _ in (dense_folder / "images").glob("*")), len(registered))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        pycolmap.undistort_images(
            dense_folder,
            sparse_folder,
            task.photos_folder,
            registered,
            undistort_options=options,
            jpeg_quality=JPEG_QUALITY,
        )
    finally:
        finished.set()
        watcher.join()
    on_progress(len(registered), len(registered))


def _write_model(model: Any, folder: Path, names: dict[str, str]) -> None:
    """Write `model` under the users' names. Rigs and frames are left out: trivial here, new to many readers."""
    for image in model.images.values():
        image.name = names[image.name]
    folder.mkdir(parents=True)
    model.write_binary(folder)
    for path in folder.iterdir():
        if path.name not in _MODEL_FILES:
            path.unlink()
