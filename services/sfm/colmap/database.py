"""COLMAP's database: photos and cameras in, then features and verified matches, in portions that report progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pycolmap
from numpy.typing import NDArray

from services.sfm.colmap.device import device, matching_threads
from services.sfm.colmap.matching import Pairs, split_pairs
from services.sfm.colmap.retrieval import Descriptors, global_descriptors
from services.sfm.messages import MASKS, ColmapTask, TaskPhoto
from spaceport.simd.cores import usable_cores

MIN_NUM_MATCHES: Final = 15  # what the mappers ask of a pair before they use it
PHOTOS_PER_CORE: Final = 4  # in a portion: with 1, cores wait for each other, and features take 1.2 times as long
MAX_RATIO: Final = 0.8  # a feature's best match is that much nearer than its second best (Lowe 2004)
LOOSE_MAX_RATIO: Final = 0.9  # more matches, and more wrong ones: for photos that have too few
OnProgress = Callable[[int, int], None]
"""Called with the number of photos or pairs that are done, and of all."""


def create_database(task: ColmapTask, database: Path) -> None:
    """Make the database: one camera for each of the task that has photos."""
    pycolmap.Database.open(database).close()
    files: dict[int, list[str]] = {}
    for photo in task.photos:
        files.setdefault(photo.camera, []).append(photo.file)
    for number, names in files.items():
        reader = pycolmap.ImageReaderOptions()
        camera = task.cameras[number]
        reader.camera_model = camera.model
        if camera.params:  # else COLMAP reads the EXIF itself, and guesses at worst
            reader.camera_params = ",".join(map(str, camera.params))
        pycolmap.import_images(database, task.photos_folder, pycolmap.CameraMode.SINGLE, names, reader)


def extract_features(task: ColmapTask, database: Path, on_progress: OnProgress) -> None:
    """SIFT (Lowe 2004) on every photo that has no features yet, as many at once as there are cores."""
    options = pycolmap.FeatureExtractionOptions()
    options.num_threads = usable_cores()
    options.max_image_size = task.options.max_image_size
    options.sift.max_num_features = task.options.max_features
    options.sift.first_octave = task.options.first_octave
    reader = pycolmap.ImageReaderOptions()
    masks = task.photos_folder / MASKS
    if masks.is_dir():
        reader.mask_path = masks
    counts = feature_counts(database)
    missing = [photo for photo in task.photos if not counts[photo.file]]
    done = len(task.photos) - len(missing)
    for portion in _portions(missing, PHOTOS_PER_CORE * usable_cores()):
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
        on_progress(done, len(task.photos))


def _portions(photos: list[TaskPhoto], size: int) -> Iterator[list[str]]:
    """Files in portions of one camera each: COLMAP skips photos of a second camera without a word."""
    groups: dict[int, list[str]] = {}
    for photo in photos:
        groups.setdefault(photo.camera, []).append(photo.file)
    for files in groups.values():
        for begin in range(0, len(files), size):
            yield files[begin : begin + size]


def match_pairs(
    task: ColmapTask, database: Path, pairs: Pairs, on_progress: OnProgress, max_ratio: float = MAX_RATIO
) -> None:
    """Match and verify pairs of photos [M,2]. COLMAP skips those that the database already has."""
    options = pycolmap.FeatureMatchingOptions()
    options.num_threads = matching_threads()
    options.sift.max_ratio = max_ratio
    pairing = pycolmap.ImportedPairingOptions()
    pairing.match_list_path = task.scratch / "pairs.txt"
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = task.options.seed
    done = 0
    for portion in split_pairs(pairs):
        lines = [f"{task.photos[i].file} {task.photos[j].file}\n" for i, j in portion]
        Path(pairing.match_list_path).write_text("".join(lines))
        pycolmap.match_image_pairs(database, options, pairing, verification, device(task.options.device))
        done += len(portion)
        on_progress(done, len(pairs))


def rematch_pairs_loosely(task: ColmapTask, database: Path, pairs: Pairs, on_progress: OnProgress) -> None:
    """Delete the matches of the pairs, then match and verify them again with `LOOSE_MAX_RATIO`."""
    with pycolmap.Database.open(database) as opened:
        image_ids = {image.name: image.image_id for image in opened.read_all_images()}
        for i, j in pairs:
            pair = image_ids[task.photos[i].file], image_ids[task.photos[j].file]
            opened.delete_matches(*pair)
            opened.delete_two_view_geometry(*pair)
    match_pairs(task, database, pairs, on_progress, LOOSE_MAX_RATIO)


def photo_descriptors(task: ColmapTask, database: Path) -> Descriptors:
    """A global descriptor of each photo [N,D], in the order of the task, from its features."""
    with pycolmap.Database.open(database) as opened:
        by_name = {image.name: image.image_id for image in opened.read_all_images()}
        image_ids = [by_name[photo.file] for photo in task.photos]

        def read(number: int) -> NDArray[np.uint8]:
            return np.asarray(opened.read_descriptors(image_ids[number]).data, np.uint8).reshape(-1, 128)

        return global_descriptors(read, len(image_ids), task.options.seed)


def feature_counts(database: Path) -> dict[str, int]:
    """Features of each photo, by its file name."""
    with pycolmap.Database.open(database) as opened:
        return {image.name: opened.num_keypoints_for_image(image.image_id) for image in opened.read_all_images()}


def num_matched_pairs(database: Path) -> int:
    """Pairs that were matched, with or without success."""
    with pycolmap.Database.open(database) as opened:
        return int(opened.num_matched_image_pairs())


def num_verified_pairs(database: Path) -> int:
    """Pairs with enough inlier matches. COLMAP's own count of "verified" pairs includes the failed ones."""
    with pycolmap.Database.open(database) as opened:
        _, inliers = opened.read_two_view_geometry_num_inliers()
    return sum(number >= MIN_NUM_MATCHES for number in inliers)


def match_counts(database: Path) -> dict[str, tuple[int, int]]:
    """By file name: with how many photos each shares verified matches, and how many matches in all."""
    with pycolmap.Database.open(database) as opened:
        names = {image.image_id: image.name for image in opened.read_all_images()}
        pairs, inliers = opened.read_two_view_geometry_num_inliers()
    counts = dict.fromkeys(names.values(), (0, 0))
    for pair, matches in zip(pairs, inliers, strict=True):
        for image_id in pycolmap.pair_id_to_image_pair(pair) if matches >= MIN_NUM_MATCHES else ():
            partners, total = counts[names[image_id]]
            counts[names[image_id]] = partners + 1, total + matches
    return counts


def num_connected(database: Path) -> int:
    """Photos of the largest part that verified matches hold together."""
    with pycolmap.Database.open(database) as opened:
        pairs, inliers = opened.read_two_view_geometry_num_inliers()
    parent: dict[int, int] = {}

    def root(photo: int) -> int:
        while parent.setdefault(photo, photo) != photo:
            parent[photo] = photo = parent[parent[photo]]
        return photo

    for pair, matches in zip(pairs, inliers, strict=True):
        if matches >= MIN_NUM_MATCHES:
            first, second = pycolmap.pair_id_to_image_pair(pair)
            parent[root(first)] = root(second)
    return max(Counter(map(root, list(parent))).values(), default=0)


def all_focal_lengths_known(database: Path) -> bool:
    with pycolmap.Database.open(database) as opened:
        return all(camera.has_prior_focal_length for camera in opened.read_all_cameras())
