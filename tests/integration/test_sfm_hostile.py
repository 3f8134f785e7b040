"""Files made to crash, hang or swell a decoder cost one photo, the report says why, and the decoder is bounded."""

from __future__ import annotations

import io
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from ingest_cases import dng, video
from PIL import Image
from waiting import PATIENCE

from services.sfm.photos import decoder_pool
from services.sfm.photos.decoder import Decoder
from services.sfm.photos.decoder_pool import decode_all
from services.sfm.stage import run
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import SfmOptions
from spaceport.progress import Silent

GIBIBYTE = 1 << 20  # of ru_maxrss, which counts KiB


def noise(width: int = 160, height: int = 120) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3)).astype(np.uint8)


def saved(kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(noise()).save(out, kind, **options)
    return out.getvalue()


def png_of(width: int, height: int, claimed: tuple[int, int] | None = None, text: bytes = b"") -> bytes:
    """Grey and all black, whole to its last row; the header may claim another size, and `text` be packed with it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    head = struct.pack(">2L5B", *(claimed or (width, height)), 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * height), 1)
    comment = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text)) if text else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + comment + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff_of_many_tags() -> bytes:
    """65,535 tags, each of which claims the same twenty megabytes."""
    body = bytes(20 << 20)
    tags = b"".join(struct.pack("<HHLL", 256 + i % 60_000, 1, len(body), 8) for i in range(65_535))
    return b"II*\0" + struct.pack("<L", 8 + len(body)) + body + struct.pack("<H", 65_535) + tags + bytes(4)


def lying_dng() -> bytes:
    """Claims 60,000 x 60,000 pixels."""
    good = bytearray(dng(noise()))
    for tag in (256, 257):
        at = good.index(struct.pack("<HHL", tag, 4, 1))
        struct.pack_into("<L", good, at + 8, 60_000)
    return bytes(good)


def lying_heic() -> bytes:
    """Its `ispe` box claims 200,000 x 200,000 pixels."""
    out = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(noise())).save(out, quality=80)
    data = bytearray(out.getvalue())
    at = data.index(b"ispe")
    while at >= 0:
        struct.pack_into(">2L", data, at + 8, 200_000, 200_000)
        at = data.find(b"ispe", at + 4)
    return bytes(data)


def wide_jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (65_000, 70)).save(out, "JPEG")
    return out.getvalue()


HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "1 x 1": ("a.png", lambda: png_of(1, 1), "it is only 1 x 1 pixels"),
    "65,000 pixels wide": ("a.jpg", wide_jpeg, "it is far too narrow"),
    "a bomb of 196 megapixels": ("a.png", lambda: png_of(14_000, 14_000), ""),
    "a bomb in a PNG's text": ("a.png", lambda: png_of(160, 120, text=bytes(200 << 20)), "it cannot be decoded"),
    "more than it has": ("a.png", lambda: png_of(400, 300, (12_000, 12_000)), "it cannot be decoded"),
    "a lying header": ("a.png", lambda: png_of(400, 300, (60_000, 60_000)), "more than 200 megapixels"),
    "a TIFF of many tags": ("a.tif", tiff_of_many_tags, "it needs too much memory to decode"),
    "a lying DNG": ("a.dng", lying_dng, "it "),
    "a cut DNG": ("a.dng", lambda: dng(noise())[:-30_000], "it cannot be decoded: it ends too early"),
    "no DNG": ("a.dng", lambda: saved("PNG"), "it cannot be decoded"),
    "a lying HEIC": ("a.heic", lying_heic, "it "),
    "a HEIC of noise": ("a.heic", lambda: b"\0\0\0\x18ftypheic" + noise().tobytes(), "it cannot be decoded"),
    "a JPEG with EXIF of noise": (
        "a.jpg",
        lambda: saved("JPEG", exif=b"Exif\0\0II*\0" + noise().tobytes()[:60_000]),
        "",
    ),
    "a TIFF within a TIFF": ("a.tif", lambda: b"II*\0\x08\0\0\0" + b"\x01\0" + bytes(16) + b"\x08\0\0\0", "it cannot"),
}


SLOW = "a TIFF of many tags"  # four gigabytes are filled before it is over


@pytest.mark.parametrize("case", [pytest.param(case, marks=[pytest.mark.slow] * (case == SLOW)) for case in HOSTILE])
def test_a_hostile_photo_is_left_out_in_bounded_time_and_memory(tmp_path: Path, case: str) -> None:
    name, make, reason = HOSTILE[case]
    (tmp_path / name).write_bytes(make())
    request = {"kind": "photo", "path": str(tmp_path / name), "name": name, "copy": str(tmp_path / "c"), "longest": 800}
    began = time.monotonic()
    (reply,) = decode_all([request], lambda _: None, lambda: None, seconds=60)
    assert time.monotonic() - began < 60 + PATIENCE
    if reason:
        assert reason in reply["reason"]
        assert str(tmp_path) not in reply["reason"]
    else:
        assert reply["metadata"]["width"] == (14_000 if "bomb" in case else 160)
    # the largest child of this process so far, compilers of other tests included
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4.2 * GIBIBYTE


def test_a_video_that_lies_or_is_cut(tmp_path: Path) -> None:
    video(tmp_path / "good.mp4", [noise(), noise()[::-1], noise()[:, ::-1]])
    data = (tmp_path / "good.mp4").read_bytes()
    mvhd, mdhd = data.index(b"mvhd"), data.index(b"mdhd")
    long = bytearray(data)
    for at in (mvhd, mdhd):
        struct.pack_into(">L", long, at + 20, 0xFFFF_FFF0)
    bodies = {
        "long.mp4": bytes(long),
        "cut.mp4": data[: len(data) // 2],
        "noise.mov": noise().tobytes(),
        "list.mp4": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "picture.mp4": saved("PNG"),
    }
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)
    requests = [
        {"kind": "video", "path": str(tmp_path / name), "folder": str(tmp_path / f"{name}.frames"), "max_frames": 50}
        for name in ["good.mp4", *bodies]
    ]
    good, long_one, *bad = decode_all(requests, lambda _: None, lambda: None)
    assert len(good["frames"]) >= 2
    assert long_one["frames"] == good["frames"]  # FFmpeg adds the frames up itself
    assert all("reason" in reply for reply in bad)


def test_a_video_reports_its_progress(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4", [np.roll(noise(), 7 * step, axis=1) for step in range(10)])
    request = {"kind": "video", "path": str(tmp_path / "a.mp4"), "folder": str(tmp_path / "frames"), "max_frames": 50}
    decoder, shares = Decoder(60), list[float]()
    try:
        reply = decoder.decode(request, shares.append)
    finally:
        decoder.close()
    assert len(reply["frames"]) == 10
    assert shares == sorted(shares)
    assert len({share for share in shares if 0 < share < 1}) >= 8


def test_a_decoder_that_dies_or_hangs_costs_one_photo(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(saved("JPEG"))
    good = {"kind": "photo", "path": str(tmp_path / "a.jpg"), "name": "a.jpg", "longest": 800}
    requests = [good | {"copy": str(tmp_path / "1")}, {}, good | {"copy": str(tmp_path / "2")}]
    replies = decode_all(requests, lambda _: None, lambda: None)  # a request without a path ends the decoder
    assert ["metadata" in reply for reply in replies] == [True, False, True]
    assert replies[1]["reason"] == "its decoder crashed on it"
    (late,) = decode_all([good | {"copy": str(tmp_path / "3")}], lambda _: None, lambda: None, seconds=0.001)
    assert late["reason"].startswith("it takes more than")


def test_too_many_lost_decoders_end_the_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_pool, "MAX_LOST", 2)
    replies = decode_all([{}] * 8, lambda _: None, lambda: None)
    assert sum("not tried" in reply["reason"] for reply in replies) >= 8 - 2 - decoder_pool.MAX_DECODERS


def test_only_hostile_photos_end_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, body in {
        "a.dng": lying_dng(),
        "b.png": png_of(1, 1),
        "c.heic": lying_heic(),
        "d.tif": b"II*\0",
    }.items():
        (tmp_path / "in" / name).write_bytes(body)
    with pytest.raises(Refused) as caught:
        run(tmp_path / "in", tmp_path / "jobs/out", SfmOptions(), Silent())
    assert caught.value.slug is Slug.NO_READABLE_IMAGES


def test_a_wrong_text_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in "abc":
        (tmp_path / "in" / f"{name}.jpg").write_bytes(saved("JPEG"))
    (tmp_path / "in/geo.txt").write_text("EPSG:4326\na.jpg 7.0 46.0\nb.jpg x 46.0\n")
    with pytest.raises(Refused) as caught:
        run(tmp_path / "in", tmp_path / "jobs/out", SfmOptions(), Silent())
    assert caught.value.slug is Slug.BAD_POSITIONS
    assert "line 3" in str(caught.value)
