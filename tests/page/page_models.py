"""A small model for the page's viewer: a tower, red on top of blue."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from random_models import gaussians

from spaceport.progress import Silent
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.quality import FINEST
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.writer import write_bundle


def tower() -> Gaussians:
    """Red on top of blue; z is up."""
    random = np.random.default_rng(3)
    means = random.uniform((-1, -1, -1.5), (1, 1, 1.5), (3000, 3))
    colours = np.where(means[:, 2:] > 0, (1.7, -1.7, -1.7), (-1.7, -1.7, 1.7))
    count = len(means)
    return gaussians(
        means=means,
        quats=random.normal(size=(count, 4)),
        scales=np.full((count, 3), np.log(0.06)),
        opacities=np.full(count, 4.0),
        sh0=colours[:, None],
        shN=np.zeros((count, 0, 3)),
    )


@cache
def model_sog() -> bytes:
    """The tower as `model.sog`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.sog"
        write_bundle(path, encode(tower(), EncoderSettings(FINEST), Silent()).files)
        return path.read_bytes()


@cache
def poster() -> bytes:
    """A picture of a plain sky, as a JPEG."""
    file = io.BytesIO()
    Image.new("RGB", (1280, 720), "steelblue").save(file, "JPEG")
    return file.getvalue()
