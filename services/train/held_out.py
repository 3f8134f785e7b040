"""held-out-N.jpg: photos that training never saw, at the size at which they were compared. Compression measures on them
what its file loses."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from PIL import Image

from services.train.dataset import Photos
from spaceport.files import write_atomic
from spaceport.splats.cameras import Camera, sample_evenly

MOST: Final = 4
"""Photos: together about as large as the compressed model."""
JPEG_QUALITY: Final = 95
"""With colours at full resolution: some 45 dB, where a model is 30 dB from the photo."""


def write_held_out(folder: Path, cameras: list[Camera], photos: Photos) -> list[str]:
    """Write some of the photos that `cameras` took, evenly over the flight, and return their names in order."""
    selected = sample_evenly(cameras, MOST)
    for number, camera in enumerate(selected):
        stream = io.BytesIO()
        Image.fromarray(photos.at(camera)).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        write_atomic(folder / f"held-out-{number}.jpg", stream.getvalue())
    return [camera.name for camera in selected]
