"""COLMAP's database: photos and cameras in, then features and verified matches, in portions that can be counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pycolmap
from numpy.typing import NDArray

from services.sfm.colmap.device import device
from services.sfm.colmap.matching import Pairs, chunks
from services.sfm.colmap.retrieval import Vectors, describe
from services.sfm.messages import MASKS, Task, TaskPhoto
from spaceport.simd.cores import usable_cores

MIN_MATCHES: Final = 15  # what the mappers ask of a pair before they use it
PER_CORE: Final = 4  # photos of a portion: with 1, cores wait for each other, and features take 1.2 times as long
USUAL_RATIO: Final = 0.8  # a feature's best match is that much nearer than its second best (Lowe 2004)
LOOSE_RATIO: Final = 0.9  # more matches, and more wrong ones: for photos that have too few
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
    """SIFT (Lowe 2004) on every photo that has no features yet, as many at once as there are cores."""
    options = pycolmap.FeatureExtractionOptions()
    options.num_threads = usable_cores()
    options.max_image_size = task.options.max_image_size
    options.sift.max_num_features = task.options.max_features
    options.sift.first_octave = task.options.first_octave
    reader = pycolmap.ImageReaderOptions()
    if (masks := task.photos_folder / MASKS).is_dir():
        reader.mask_path = masks
    found = feature_counts(database)
    missing = [photo for photo in task.photos if not found[photo.file]]
    done = len(task.photos) - len(missing)
    for portion in _portions(missing, PER_CORE * usable_cores()):
        pycolmap.extract_features(
            database,
            task.photos_folder,
            portion,
            pycolmap.CameraMode.SINGLE,
            reader,
            extraction_options=options,
            device=device(task.options.device),
        )
        done += len(portion)
        count(done, len(task.photos))


def _portions(photos: list[TaskPhoto], most: int) -> Iterator[list[str]]:
    """Files in portions of one camera each: COLMAP passes over photos of a second camera without a word."""
    groups: dict[int, list[str]] = {}
    for photo in photos:
        groups.setdefault(photo.camera, []).append(photo.file)
    for files in groups.values():
        for begin in range(0, len(files), most):
            yield files[begin : begin + most]


def match(task: Task, database: Path, pairs: Pairs, count: Count, ratio: float = USUAL_RATIO) -> None:
    """Match and verify the given pairs of photos [M,2]. COLMAP passes over those that the database has already."""
    options = pycolmap.FeatureMatchingOptions()
    options.num_threads = usable_cores()
    options.sift.max_ratio = ratio
    pairing = pycolmap.ImportedPairingOptions()
    pairing.match_list_path = task.scratch / "pairs.txt"
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = task.options.seed
    done = 0
    for portion in chunks(pairs):
        lines = [f"{task.photos[i].file} {task.photos[j].file}\n" for i, j in portion]
        Path(pairing.match_list_path).write_text("".join(lines))
        pycolmap.match_image_pairs(database, options, pairing, verification, device(task.options.device))
        done += len(portion)
        count(done, len(pairs))


def match_loosely(task: Task, database: Path, pairs: Pairs, count: Count) -> None:
    """Match and verify the pairs once more, with `LOOSE_RATIO`; what was known of them is forgotten."""
    with pycolmap.Database.open(database) as opened:
        numbers = {image.name: image.image_id for image in opened.read_all_images()}
        for i, j in pairs:
            both = numbers[task.photos[i].file], numbers[task.photos[j].file]
            opened.delete_matches(*both)
            opened.delete_two_view_geometry(*both)
    match(task, database, pairs, count, LOOSE_RATIO)


def look_alike(task: Task, database: Path) -> Vectors:
    """A vector for each photo [N,D], in the order of the task, from its features."""
    with pycolmap.Database.open(database) as opened:
        numbers = {image.name: image.image_id for image in opened.read_all_images()}
        ids = [numbers[photo.file] for photo in task.photos]

        def read(number: int) -> NDArray[np.uint8]:
            return np.asarray(opened.read_descriptors(ids[number]).data, np.uint8).reshape(-1, 128)

        return describe(read, len(ids), task.options.seed)


def feature_counts(database: Path) -> dict[str, int]:
    """Features of each photo, by its file name."""
    with pycolmap.Database.open(database) as opened:
        return {image.name: opened.num_keypoints_for_image(image.image_id) for image in opened.read_all_images()}


def matched_pairs(database: Path) -> int:
    """Pairs that were compared, whatever came of it."""
    with pycolmap.Database.open(database) as opened:
        return int(opened.num_matched_image_pairs())


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


def positions(photos: list[TaskPhoto]) -> NDArray[np.float64]:
    """Latitude, longitude, altitude [N,3] of the photos; NaN where unknown."""
    unknown = (np.nan, np.nan, np.nan)
    rows = [photo.position or unknown for photo in photos]
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)
