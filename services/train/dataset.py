"""The undistorted workspace: cameras, sparse points, and photos that are decoded when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from services.train.colmap_model import PosedImage, read_sparse_model
from spaceport.pictures import open_picture
from spaceport.pipeline.errors import Refused, Slug
from spaceport.splats.cameras import Camera

Photo = npt.NDArray[np.uint8]

MIN_PHOTOS: Final = 2
MIN_POINTS: Final = 4
MIN_PHOTOS_TO_HOLD_OUT: Final = 8
"""With fewer photos none is held out: training needs each of them."""
CACHE_BYTES: Final = 1 << 30
FORMATS: Final = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM")
"""Of photos in a workspace: ours are JPEGs, those of others whatever COLMAP writes."""


@dataclass(frozen=True)
class Dataset:
    """What is trained on.

    Args:
        folder: of the photos.
        cameras: at the photos' own size, world frame, in name order; those `held_out` are only evaluated.
        xyz: [P,3] float64 sparse points, world frame.
        rgb: [P,3] uint8 their colours.
    """

    folder: Path
    cameras: list[Camera]
    xyz: npt.NDArray[np.float64]
    rgb: Photo

    @property
    def training(self) -> list[int]:
        """Indices of the cameras that are trained on."""
        return [index for index, camera in enumerate(self.cameras) if not camera.held_out]

    @property
    def held_out(self) -> list[int]:
        """Indices of the cameras that are only evaluated."""
        return [index for index, camera in enumerate(self.cameras) if camera.held_out]


def open_dataset(dense: Path, test_every: int) -> Dataset:
    """Read a COLMAP workspace: `sparse/*.bin` and `images/`. Photos are checked by their headers, not decoded.

    Args:
        dense: the folder `colmap/dense`.
        test_every: of this many photos, in name order, the first is held out.

    Raises:
        Refused: `bad_reconstruction` or `photo_mismatch`, saying which file and why.
    """
    try:
        model = read_sparse_model(dense / "sparse")
    except ValueError as error:
        raise Refused(Slug.BAD_RECONSTRUCTION, detail=str(error)) from None
    if len(model.images) < MIN_PHOTOS:
        detail = f"it holds {len(model.images)} photos and at least {MIN_PHOTOS} are needed"
        raise Refused(Slug.BAD_RECONSTRUCTION, detail=detail)
    if len(model.xyz) < MIN_POINTS:
        detail = f"it holds {len(model.xyz)} points and at least {MIN_POINTS} are needed"
        raise Refused(Slug.BAD_RECONSTRUCTION, detail=detail)
    held_out = choose_held_out(len(model.images), test_every)
    for image in model.images:
        _check_photo(dense / "images", image)
    cameras = [_camera(image, index in held_out) for index, image in enumerate(model.images)]
    return Dataset(dense / "images", cameras, model.xyz, model.rgb)


def choose_held_out(photos: int, every: int) -> set[int]:
    """Indices of the first of every `every` photos, none of fewer than 8 photos: the convention since Mip-NeRF 360."""
    return set(range(0, photos, every)) if photos >= MIN_PHOTOS_TO_HOLD_OUT else set()


def _check_photo(folder: Path, image: PosedImage) -> None:
    try:
        with open_picture(folder / image.name, FORMATS) as photo:
            size = photo.size
    except FileNotFoundError:
        raise Refused(Slug.PHOTO_MISMATCH, detail=f"{image.name} is missing") from None
    except Image.DecompressionBombError as error:
        raise Refused(Slug.PHOTO_MISMATCH, detail=f"{image.name} cannot be used, {error}") from None
    except (OSError, UnidentifiedImageError, ValueError):
        raise Refused(Slug.PHOTO_MISMATCH, detail=f"{image.name} is not a readable picture") from None
    expected = (image.camera.width, image.camera.height)
    if size != expected:
        detail = f"{image.name} has {size[0]} x {size[1]} pixels and its camera {expected[0]} x {expected[1]}"
        raise Refused(Slug.PHOTO_MISMATCH, detail=detail)


def _camera(image: PosedImage, held_out: bool) -> Camera:
    intrinsics: dict[str, Any] = vars(image.camera)
    return Camera(name=image.name, world_to_camera=image.world_to_camera, held_out=held_out, **intrinsics)


class Photos:
    """Decoded photos at the sizes in use; the least recently used are dropped when the memory for them is full.

    Args:
        folder: of the files.
        budget: bytes that decoded photos may take.
    """

    def __init__(self, folder: Path, budget: int = CACHE_BYTES) -> None:
        self._folder = folder
        self._budget = budget
        self._cache: OrderedDict[tuple[str, int, int], Photo] = OrderedDict()
        self._bytes = 0

    def at(self, camera: Camera) -> Photo:
        """[H,W,3] uint8, the camera's photo at the camera's size.

        Raises:
            Refused: `photo_mismatch` when the file is damaged.
        """
        key = (camera.name, camera.width, camera.height)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        photo = _decode(self._folder / camera.name, camera.width, camera.height)
        self._cache[key] = photo
        self._bytes += photo.nbytes
        while self._bytes > self._budget and len(self._cache) > 1:
            self._bytes -= self._cache.popitem(last=False)[1].nbytes
        return photo


def _decode(path: Path, width: int, height: int) -> Photo:
    """The pixels as stored (without EXIF's orientation, as COLMAP read them), resized."""
    try:
        with open_picture(path, FORMATS) as image:
            draft = image.draft("RGB", (width, height))  # a JPEG decodes faster at 1/2, 1/4 or 1/8
            box = draft[1] if draft else None
            picture = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC, box=box)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise Refused(Slug.PHOTO_MISMATCH, detail=f"{path.name} is damaged and cannot be decoded") from None
    return np.ascontiguousarray(picture)


def limit_size(camera: Camera, longest_side: int | None) -> Camera:
    """The camera with a longest side of at most `longest_side` pixels, never enlarged."""
    side = max(camera.width, camera.height)
    return replace(camera) if longest_side is None or longest_side >= side else camera.rescale(longest_side / side)
