"""COLMAP's database: photos and cameras in, then features and verified matches, in portions that can be counted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.matching import Pairs, chunks
from services.sfm.task import Task, TaskPhoto

MIN_MATCHES: Final = 15  # what the mappers ask of a pair before they use it
Count = Callable[[int, int], None]
"""Hears how many of how many are done."""


def create(task: Task, database: Path) -> None:
    """Make the database: one camera for each group of photos, its focal length from EXIF where there is one."""
    pycolmap.Database.open(database).close()
    groups: dict[int, list[TaskPhoto]] = {}
    for photo in task.photos:
        groups.setdefault(photo.camera, []).append(photo)
    for photos in groups.values():
        reader = pycolmap.ImageReaderOptions()
        first = photos[0]
        if first.focal_px is not None:  # else COLMAP looks into the EXIF itself, and guesses at worst
            reader.camera_params = f"{first.focal_px},{first.width / 2},{first.height / 2},0"
        files = [photo.file for photo in photos]
        pycolmap.import_images(database, task.photos_folder, pycolmap.CameraMode.SINGLE, files, reader)


def extract_features(task: Task, database: Path, count: Count) -> None:
    """SIFT (Lowe 2004) on every photo, as many at once as there are cores."""
    options = pycolmap.FeatureExtractionOptions()
    options.max_image_size = task.options.max_image_size
    options.sift.max_num_features = task.options.max_features
    options.sift.first_octave = task.options.first_octave
    files = [photo.file for photo in task.photos]
    at_once = max(2, os.cpu_count() or 1)
    for begin in range(0, len(files), at_once):
        portion = files[begin : begin + at_once]
        pycolmap.extract_features(
            database, task.photos_folder, portion, pycolmap.CameraMode.SINGLE, extraction_options=options
        )
        count(begin + len(portion), len(files))


def match(task: Task, database: Path, pairs: Pairs, count: Count) -> None:
    """Match and verify the given pairs of photos [M,2]."""
    pairing = pycolmap.ImportedPairingOptions()
    pairing.match_list_path = task.scratch / "pairs.txt"
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = task.options.seed
    done = 0
    for portion in chunks(pairs):
        lines = [f"{task.photos[i].file} {task.photos[j].file}\n" for i, j in portion]
        Path(pairing.match_list_path).write_text("".join(lines))
        pycolmap.match_image_pairs(database, pairing_options=pairing, verification_options=verification)
        done += len(portion)
        count(done, len(pairs))


def feature_counts(database: Path) -> dict[str, int]:
    """Features of each photo, by its file name."""
    with pycolmap.Database.open(database) as opened:
        return {image.name: opened.num_keypoints_for_image(image.image_id) for image in opened.read_all_images()}


def verified_pairs(database: Path) -> int:
    """Pairs with enough matches that fit one geometry. COLMAP's own count of "verified" pairs holds the failed ones."""
    with pycolmap.Database.open(database) as opened:
        _, inliers = opened.read_two_view_geometry_num_inliers()
    return sum(number >= MIN_MATCHES for number in inliers)


def match_counts(database: Path) -> dict[str, tuple[int, int]]:
    """By file name: with how many photos each shares verified matches, and how many matches in all."""
    with pycolmap.Database.open(database) as opened:
        names = {image.image_id: image.name for image in opened.read_all_images()}
        pairs, inliers = opened.read_two_view_geometry_num_inliers()
    counts = dict.fromkeys(names.values(), (0, 0))
    for pair, matches in zip(pairs, inliers, strict=True):
        for number in pycolmap.pair_id_to_image_pair(pair) if matches >= MIN_MATCHES else ():
            partners, total = counts[names[number]]
            counts[names[number]] = partners + 1, total + matches
    return counts


def all_focals_known(database: Path) -> bool:
    with pycolmap.Database.open(database) as opened:
        return all(camera.has_prior_focal_length for camera in opened.read_all_cameras())


def positions(photos: list[TaskPhoto]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Latitude, longitude, altitude [N,3] of the photos; NaN where unknown."""
    unknown = (np.nan, np.nan, np.nan)
    rows = [photo.position or unknown for photo in photos]
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)
