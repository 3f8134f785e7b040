"""Make the demo survey: fly over the hamlet, take the photos, zip them, and write down what is true."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spaceport.demo.flight import HAMLET, Shot, Spot, plan_flight
from spaceport.demo.geodesy import Place, from_enu
from spaceport.demo.gimbal import gimbal_tags
from spaceport.demo.lens import Lens
from spaceport.demo.photos import encode_photo
from spaceport.demo.raycast import cast_photo
from spaceport.demo.scene import Scene, make_scene
from spaceport.demo.truth import Truth, write_truth
from spaceport.files import replacing
from spaceport.simd.cores import usable_cores
from spaceport.splats.cameras import Camera

ORIGIN: Final = Place(50.4406, -4.9954, 105.0)
"""Where the hamlet's origin lies on the earth: a spaceport's corner of Cornwall."""
FOLDER: Final = "photos"
OnPhoto = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Survey:
    """Where a survey was written."""

    zip_path: Path
    truth_path: Path
    photos: int


def make_survey(
    folder: Path,
    photos: int = 30,
    width: int = 1024,
    height: int = 768,
    seed: int = 7,
    on_photo: OnPhoto | None = None,
    around: Spot = HAMLET,
) -> Survey:
    """Write `survey.zip` and `truth.json` into `folder`, made if need be. Same arguments, same bytes.

    Args:
        photos: 8 to 500; from about 12 on all of them can be registered.
        width: 128 to 8192 pixels, and so `height`. The field of view follows from the width alone.
        seed: changes relief, patterns, trees and the drone's jitter; the buildings stay.
        on_photo: called with photos done, photos in all and the last one's name, from the caller's thread; what it
            raises ends the work.
        around: metres east and north of what the flight is flown around, within 150 of the hamlet.

    Raises:
        ValueError: when an argument is out of bounds.
    """
    if not (8 <= photos <= 500 and 128 <= width <= 8192 and 128 <= height <= 8192 and 0 <= seed < 2**31):
        raise ValueError("a survey has 8 to 500 photos of 128 to 8192 pixels a side, and a seed from 0")
    lens = Lens(width, height)
    shots = plan_flight(photos, lens, seed, around)
    truth = Truth(seed, ORIGIN, [_camera(shot, lens) for shot in shots])
    folder.mkdir(parents=True, exist_ok=True)
    survey = Survey(folder / "survey.zip", folder / "truth.json", photos)
    _write_zip(survey.zip_path, _photos(make_scene(seed), shots, lens), photos, on_photo)
    write_truth(survey.truth_path, truth)
    return survey


def _camera(shot: Shot, lens: Lens) -> Camera:
    cx, cy = lens.centre
    return Camera(shot.name, lens.width, lens.height, lens.focal, lens.focal, cx, cy, shot.world_to_camera)


def _photos(scene: Scene, shots: list[Shot], lens: Lens) -> Iterator[tuple[Shot, bytes]]:
    """The photos in order, cast in as many threads as this process may use."""

    def take(shot: Shot) -> tuple[Shot, bytes]:
        pixels, _ = cast_photo(scene, shot.world_to_camera, lens)
        position = _camera(shot, lens).position
        place, xmp = from_enu(position, ORIGIN), gimbal_tags(shot.world_to_camera)
        return shot, encode_photo(pixels, lens, shot.time, place, xmp)

    pool = ThreadPoolExecutor(usable_cores())
    try:
        yield from pool.map(take, shots)
    finally:
        pool.shutdown(cancel_futures=True)


def _write_zip(path: Path, photos: Iterator[tuple[Shot, bytes]], total: int, on_photo: OnPhoto | None) -> None:
    with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for done, (shot, data) in enumerate(photos, 1):
            archive.writestr(zipfile.ZipInfo(f"{FOLDER}/{shot.name}", shot.time.timetuple()[:6]), data)
            if on_photo:
                on_photo(done, total, shot.name)
