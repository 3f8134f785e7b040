"""How like the photos that training never saw: of the model, and of the file. Papers report this as test PSNR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np
from PIL import Image

from services.compress.proving.proof import PSNR_CAP, Picture, Prover
from spaceport.pictures import open_picture
from spaceport.pipeline.reports.compress import HeldOutPsnr
from spaceport.splats.cameras import Camera
from spaceport.splats.metrics import psnr
from spaceport.splats.model import Gaussians

MOST: Final = 8
"""Photos that are compared."""
LONGEST_SIDE: Final = 8192
"""Pixels; training compares none that are larger."""
NONE_CAME: Final = "no held-out photos came with the model"


@dataclass(frozen=True, eq=False)
class HeldOutPhoto:
    """A photo, and the camera that took it at the photo's size."""

    camera: Camera
    picture: Picture
    """[H,W,3], 0 to 1."""


def read_held_out(folder: Path, names: Sequence[str], cameras: Sequence[Camera]) -> list[HeldOutPhoto]:
    """The photos `held-out-N.jpg` in `folder`, of the N-th name; those that cannot be used are left out."""
    by_name = {camera.name: camera for camera in cameras if camera.held_out}
    photos = []
    for number, name in enumerate(names[:MOST]):
        if name in by_name and (photo := _read(folder / f"held-out-{number}.jpg", by_name[name])):
            photos.append(photo)
    return photos


def _read(path: Path, camera: Camera) -> HeldOutPhoto | None:
    """None for a photo that is missing, damaged, or not of the camera's shape."""
    try:
        with open_picture(path, ("JPEG",)) as image:
            side = max(image.size)
            scaled = camera.rescale(side / max(camera.width, camera.height))
            if side > LONGEST_SIDE or image.size != (scaled.width, scaled.height):
                return None
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return HeldOutPhoto(scaled, np.multiply(pixels, np.float32(1 / 255), dtype=np.float32))


def compare_held_out(
    model: Gaussians, decoded: Gaussians, photos: Sequence[HeldOutPhoto], prover: Prover
) -> HeldOutPsnr | None:
    """Both beside each photo, as means over the photos; None without photos."""
    if not photos:
        return None
    means = [
        fmean(min(PSNR_CAP, psnr(prover.render(gaussians, photo.camera), photo.picture)) for photo in photos)
        for gaussians in (model, decoded)
    ]
    return HeldOutPsnr(photos=len(photos), model=means[0], file=means[1], loss=means[0] - means[1])
