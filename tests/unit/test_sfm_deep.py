"""Photos of 16 bits: stretched by what they show, all of a kind alike."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from services.sfm.photos.ingest import IngestResult, ingest
from services.sfm.photos.levels import FULL, common_levels
from services.sfm.stage import StageProgress
from spaceport.progress import Silent

Pixels16 = NDArray[np.uint16]


def shot(number: int, peak: int, channels: int = 3) -> Pixels16:
    """A picture whose brightest pixels have this value, in 4095ths of which it has no more than 12 bits."""
    coarse = np.random.default_rng(number).integers(0, peak + 1, (6, 8, channels))
    return np.kron(coarse, np.ones((20, 20, 1), int)).squeeze().astype(np.uint16)


def write(path: Path, pixels: Pixels16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", compression=None)
    elif pixels.ndim == 2:
        Image.fromarray(pixels).save(path)
    else:
        codec = av.CodecContext.create("png", "w")
        codec.width, codec.height, codec.pix_fmt, codec.time_base = pixels.shape[1], pixels.shape[0], "rgb48be", 1
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb48le").reformat(format="rgb48be")
        path.write_bytes(b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)]))


def taken(folder: Path) -> tuple[IngestResult, dict[str, NDArray[np.float64]]]:
    result = ingest(folder / "in", folder / "extracted", folder / "copies", 800, StageProgress(Silent()))
    copies = {}
    for name, copy in result.copies.items():
        with Image.open(io.BytesIO((folder / "copies" / copy.file).read_bytes())) as image:
            copies[name] = np.asarray(image.convert("RGB"), dtype=float)
    return result, copies


@pytest.mark.parametrize("suffix", ["tif", "png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_twelve_bits_in_sixteen_are_stretched_alike(tmp_path: Path, suffix: str, channels: int) -> None:
    for number, peak in enumerate([4095, 4095, 1500, 4095]):  # the third shows a dark place
        write(tmp_path / f"in/{number}.{suffix}", shot(number, peak, channels))
    _, copies = taken(tmp_path)
    assert len(copies) == 4
    for number, peak in enumerate([4095, 4095, 1500, 4095]):
        expected = shot(number, peak, channels) * (255 / 4095)
        seen = copies[f"{number}.{suffix}"]
        seen = seen if channels == 3 else seen[..., 0]
        assert np.abs(seen - expected).mean() < 5


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_full_ranges_stay_as_they_are(tmp_path: Path, suffix: str) -> None:
    for number, peak in enumerate([65535, 65535, 9000]):
        write(tmp_path / f"in/{number}.{suffix}", shot(number, peak))
    _, copies = taken(tmp_path)
    assert np.abs(copies[f"2.{suffix}"] - shot(2, 9000) / 257).mean() < 3


def test_bands_are_stretched_each_by_itself(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"in/IMG_000{number}_2.tif", shot(number, 8000, 1))
        write(tmp_path / f"in/IMG_000{number}_4.tif", shot(number, 800, 1))
    result, copies = taken(tmp_path)
    assert sorted(copies) == [f"IMG_000{number}_2.tif" for number in range(3)]
    assert copies["IMG_0000_2.tif"].max() > 240
    assert len(result.left_out) == 3


def test_common_levels() -> None:
    assert common_levels([(0, 4000)] * 9 + [(0, 65535)]) == (0, 4000)  # one photo with a glare
    assert common_levels([(100, 4000)] * 3) == (0, 4000)
    assert common_levels([(28_000, 31_000)] * 3) == (28_000, 31_000)
    assert common_levels([(0, 60_000)] * 3) == FULL
    assert common_levels([(0, 0)] * 3) == FULL
