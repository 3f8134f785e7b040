"""Frames of videos: HDR becomes sRGB, a rotation the orientation tag, and a video without motion says so."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.sfm.photos.exif import read_metadata
from services.sfm.photos.hdr import Transfer, roll_off, tone_map
from services.sfm.photos.video import write_frames
from services.sfm.stage import run
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import SfmOptions
from spaceport.progress import Silent

WIDTH, HEIGHT = 320, 240


def ramp() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """Grey from black to the peak, and red."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    pixels[...] = np.linspace(0, 0xFFFF, WIDTH)[None, :, None]
    pixels[:80, :, 1:] = 0
    return pixels


def write_video(path: Path, transfer: int | None) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=4)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuv420p10le" if transfer else "yuv420p"
        stream.options = {"crf": "10"}
        if transfer:
            context = stream.codec_context
            context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(ramp(), format="rgb48le")
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace=9 if transfer else 5, dst_color_range=1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def first_frame(path: Path, folder: Path) -> Image.Image:
    frames, _ = write_frames(path, folder, 10, lambda _: None)
    return Image.open(folder / frames[0].file)


@pytest.mark.parametrize("transfer", list(Transfer))
def test_hdr_frames_are_tone_mapped(tmp_path: Path, transfer: Transfer) -> None:
    write_video(tmp_path / "v.mp4", transfer)
    with first_frame(tmp_path / "v.mp4", tmp_path / "frames") as image:
        seen = np.asarray(image).astype(int)
    expected = tone_map(ramp(), transfer).astype(int)
    assert np.abs(seen[120:200] - expected[120:200]).mean() < 3
    assert seen[120:200].mean() > 100  # not as dark as the signal taken for sRGB, nor clipped
    assert seen[20:60, -20:, 0].mean() > 200
    assert seen[20:60, -20:, 1].mean() < 60


def test_other_frames_stay_as_they_are(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", None)
    with first_frame(tmp_path / "v.mp4", tmp_path / "frames") as image:
        assert np.abs(np.asarray(image).astype(int)[120:200] - (ramp()[120:200] >> 8)).mean() < 3


def test_reference_white_grey_and_peak() -> None:
    def grey(signal: float, transfer: Transfer) -> int:
        return int(tone_map(np.full((1, 1, 3), round(signal * 0xFFFF), np.uint16), transfer)[0, 0, 0])

    for transfer, white in ((Transfer.HLG, 0.75), (Transfer.PQ, 0.58)):  # 203 cd/m2 (BT.2408)
        assert grey(0, transfer) == 0
        assert grey(white, transfer) == pytest.approx(225, abs=2)
        assert grey(1, transfer) == 255
    assert grey(0.38, Transfer.HLG) == pytest.approx(101, abs=2)  # BT.2408's grey card, 26 cd/m2


@given(st.lists(st.floats(0, 4.9), min_size=2, max_size=20))
def test_the_roll_off_never_falls(light: list[float]) -> None:
    rolled = roll_off(np.sort(np.array(light, np.float32)))
    assert (np.diff(rolled) >= -1e-6).all()
    assert rolled.min() >= 0
    assert rolled.max() <= 1 + 1e-6


@pytest.mark.parametrize(("matrix", "orientation"), [((0, 1, -1, 0), 6), ((-1, 0, 0, -1), 3), ((0, -1, 1, 0), 8)])
def test_the_display_matrix_becomes_the_orientation(
    tmp_path: Path, matrix: tuple[int, int, int, int], orientation: int
) -> None:
    write_video(tmp_path / "v.mp4", None)
    data = (tmp_path / "v.mp4").read_bytes()
    at = data.index(b"tkhd") + 44  # ISO 14496-12: the track's matrix
    a, b, c, d = (number << 16 for number in matrix)
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "v.mp4").write_bytes(data[:at] + turned + data[at + 36 :])
    with first_frame(tmp_path / "v.mp4", tmp_path / "frames") as image:
        assert image.size == (WIDTH, HEIGHT)
        assert read_metadata("a.jpg", image).orientation == orientation


def test_a_video_without_motion_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with av.open(str(tmp_path / "in/hover.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(28):
            container.mux(stream.encode(av.VideoFrame.from_ndarray((ramp() >> 8).astype(np.uint8), format="rgb24")))
        container.mux(stream.encode())
    with pytest.raises(Refused) as caught:
        run(tmp_path / "in", tmp_path / "jobs/out", SfmOptions(), Silent())
    assert caught.value.slug is Slug.UNSUITABLE_PHOTOS
    assert "hover.mp4 gave only 1 frame, because the camera hardly moved" in str(caught.value)
