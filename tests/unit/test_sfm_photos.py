"""Decoding photos: which are used, which are left out and why, and what their EXIF says."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from services.sfm.photo import PhotoMetadata, Unreadable
from services.sfm.photos import decode
from services.sfm.photos.decoder_pool import decode_all
from services.sfm.photos.exif import focal_length_px, parse_gps


def picture(width: int = 160, height: int = 90) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (height // 10, width // 10, 3)).astype(np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def read_photo(folder: Path, name: str, longest: int = 1000) -> PhotoMetadata | Unreadable:
    """In this process; what the decoder's process makes of errors is tested with hostile files."""
    (folder / "copy.jpg").unlink(missing_ok=True)
    try:
        return decode.read_photo(folder / name, name, folder / "copy.jpg", longest)[0]
    except Exception as error:
        return Unreadable(name, str(error))


def write_jpeg(source: Path, target: Path) -> None:
    decode.read_photo(source, source.name, target, 1000)


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Model] = "DJI\0", " FC300S "
    tags[ExifTags.Base.Orientation] = 8
    details = tags.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.FocalLength], details[ExifTags.Base.FocalLengthIn35mmFilm] = 3.61, 20
    gps = tags.get_ifd(ExifTags.IFD.GPSInfo)
    gps.update(GPS)
    return tags


GPS: dict[int, Any] = {
    ExifTags.GPS.GPSLatitudeRef: "N",
    ExifTags.GPS.GPSLatitude: (46.0, 50.0, 33.0),
    ExifTags.GPS.GPSLongitudeRef: "W",
    ExifTags.GPS.GPSLongitude: (91.0, 59.0, 40.5),
    ExifTags.GPS.GPSAltitudeRef: b"\x00",
    ExifTags.GPS.GPSAltitude: 198.5,
}


def test_size_camera_focal_and_position_are_read(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg", exif=exif())
    photo = read_photo(tmp_path, "a.jpg")
    assert isinstance(photo, PhotoMetadata)
    assert (photo.width, photo.height, photo.format, photo.orientation) == (160, 90, "JPEG", 8)
    assert (photo.make, photo.model, photo.focal_mm) == ("DJI", "FC300S", 3.61)
    assert photo.focal_px == pytest.approx(200 * 20 / math.hypot(36, 24))
    assert photo.position == pytest.approx((46 + 50 / 60 + 33 / 3600, -(91 + 59 / 60 + 40.5 / 3600), 198.5))


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.tif", "a.webp"])
def test_every_promised_format_is_read(tmp_path: Path, name: str) -> None:
    picture().save(tmp_path / name)
    assert isinstance(read_photo(tmp_path, name), PhotoMetadata)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_photos_are_left_out(tmp_path: Path, name: str, share: float) -> None:
    picture(640, 360).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    photo = read_photo(tmp_path, name)
    assert isinstance(photo, Unreadable)


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff\xd8\xff", b"GIF89a" + bytes(100)])
def test_what_is_no_photo_is_left_out(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(body)
    assert isinstance(read_photo(tmp_path, "a.jpg"), Unreadable)


def test_a_format_that_was_not_promised_is_left_out(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg", "BMP")
    assert isinstance(read_photo(tmp_path, "a.jpg"), Unreadable)


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [15_000, 30_000, 2**30])
def test_a_picture_that_claims_too_many_pixels_is_not_decoded(tmp_path: Path, side: int) -> None:
    head = struct.pack(">2L5B", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">L", len(head)) + b"IHDR" + head + struct.pack(">L", zlib.crc32(b"IHDR" + head))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">L", 8) + b"IDAT" + bytes(12))
    photo = read_photo(tmp_path, "a.png")
    assert isinstance(photo, Unreadable)
    assert "200 megapixels" in photo.reason


def test_an_icon_is_left_out(tmp_path: Path) -> None:
    picture(160, 60).save(tmp_path / "a.jpg")
    photo = read_photo(tmp_path, "a.jpg")
    assert isinstance(photo, Unreadable)
    assert photo.reason == "it is only 160 x 60 pixels"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_broken_exif_costs_only_the_exif(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(range(40)))
    photo = read_photo(tmp_path, "a.jpg")
    assert isinstance(photo, PhotoMetadata)
    assert (photo.focal_px, photo.position, photo.make) == (None, None, "")


def requests(folder: Path, names: list[str]) -> list[dict[str, Any]]:
    return [
        {"kind": "photo", "path": str(folder / name), "name": name, "copy": str(folder / f"{i}.copy"), "longest": 800}
        for i, name in enumerate(names)
    ]


def test_order_is_kept_and_each_is_counted(tmp_path: Path) -> None:
    names = [f"{i}.jpg" for i in range(9)]
    for name in names:
        picture().save(tmp_path / name)
    (tmp_path / "4.jpg").write_bytes(b"broken")
    counted: list[int] = []
    replies = decode_all(requests(tmp_path, names), counted.append, lambda: None)
    assert [reply.get("metadata", {}).get("name") for reply in replies] == [*names[:4], None, *names[5:]]
    assert replies[4]["reason"].startswith("it cannot be decoded")
    assert str(tmp_path) not in replies[4]["reason"]
    assert counted == list(range(1, 10))


def test_what_the_listener_raises_passes(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg")

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_all(requests(tmp_path, ["a.jpg"] * 50), stop, lambda: None)
    with pytest.raises(KeyboardInterrupt):
        decode_all(requests(tmp_path, ["a.jpg"] * 50), lambda _: None, stop)


FILM, FOCAL = ExifTags.Base.FocalLengthIn35mmFilm, ExifTags.Base.FocalLength
DENSITY, UNIT = ExifTags.Base.FocalPlaneXResolution, ExifTags.Base.FocalPlaneResolutionUnit
WIDTH = ExifTags.Base.ExifImageWidth


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, None),
        ({FILM: 36}, 36 / math.hypot(36, 24) * 5000),  # the diagonal counts, not the width
        ({FILM: 0}, None),
        ({FILM: float("nan")}, None),
        ({FILM: 1}, None),  # five degrees short of a full circle: a broken tag
        ({FOCAL: 5.0}, None),
        ({FOCAL: 5.0, DENSITY: 800.0, UNIT: 4}, 4000.0),
        ({FOCAL: 5.0, DENSITY: 8000.0, UNIT: 3}, 4000.0),
        ({FOCAL: 5.0, DENSITY: 25.4 * 800, UNIT: 2}, 4000.0),
        ({FOCAL: 5.0, DENSITY: 25.4 * 800}, 4000.0),
        ({FOCAL: 5.0, DENSITY: 1600.0, UNIT: 4, WIDTH: 8000}, 4000.0),  # scaled down to half since
        ({FOCAL: 5.0, DENSITY: 800.0, UNIT: 9}, None),
        ({FOCAL: "five", DENSITY: 800.0, UNIT: 4}, None),
    ],
)
def test_focal_length_in_pixels(tags: dict[int, Any], expected: float | None) -> None:
    assert focal_length_px(tags, 4000, 3000) == (pytest.approx(expected) if expected else None)


@pytest.mark.parametrize(
    ("film", "size", "calibrated"),
    [
        (20, (4000, 3000), 2340.0),  # FC330
        (24, (5472, 3648), 3666.7),  # FC6310
        (24, (5280, 3956), 3713.0),  # Mavic 3E
        (40, (1600, 1300), 1956.0),  # P4 Multispectral
        (28, (4032, 3024), 3289.0),  # iPhone 7
        (24, (3648, 5472), 3666.7),  # stored as portrait
    ],
)
def test_equivalents_come_near_to_calibrations(film: int, size: tuple[int, int], calibrated: float) -> None:
    assert focal_length_px({FILM: film}, *size) == pytest.approx(calibrated, rel=0.03)


def test_crops_keep_their_lens() -> None:
    assert focal_length_px({FILM: 24}, 4000, 2250) == pytest.approx(24 / 36 * 4000, rel=1e-9)
    small = focal_length_px({FILM: 20, FOCAL: 3.61}, 4000, 2250)  # of a sensor of 4:3, by its size
    assert small == pytest.approx(focal_length_px({FILM: 20}, 4000, 3000))
    assert focal_length_px({FILM: 24}, 3000, 3000) == pytest.approx(focal_length_px({FILM: 24}, 4000, 3000))


def test_a_digital_zoom_is_in_the_equivalent_and_not_in_the_density() -> None:
    zoom = ExifTags.Base.DigitalZoomRatio
    assert focal_length_px({FOCAL: 5.0, DENSITY: 800.0, UNIT: 4, zoom: 2.0}, 4000, 3000) == pytest.approx(8000)
    assert focal_length_px({FILM: 48, zoom: 2.0}, 4000, 3000) == focal_length_px({FILM: 48}, 4000, 3000)
    for nothing in (0, float("nan"), -2, 1e9, "twice"):
        assert focal_length_px({FOCAL: 5.0, DENSITY: 800.0, UNIT: 4, zoom: nothing}, 4000, 3000) == pytest.approx(4000)


@pytest.mark.parametrize(
    "change",
    [
        {ExifTags.GPS.GPSLatitude: None},
        {ExifTags.GPS.GPSLatitude: (46.0, 50.0)},
        {ExifTags.GPS.GPSLatitude: (float("nan"), 0.0, 0.0)},
        {ExifTags.GPS.GPSLatitude: (91.0, 0.0, 0.0)},
        {ExifTags.GPS.GPSLongitude: ("a", "b", "c")},
        {ExifTags.GPS.GPSLatitude: (0.0, 0.0, 0.0), ExifTags.GPS.GPSLongitude: (0.0, 0.0, 0.0)},
    ],
)
def test_what_is_no_fix_is_no_position(change: dict[int, Any]) -> None:
    assert parse_gps(GPS | change) is None


def test_south_east_below_the_sea_and_without_altitude() -> None:
    south: dict[int, Any] = {
        ExifTags.GPS.GPSLatitudeRef: "S",
        ExifTags.GPS.GPSLongitudeRef: "E",
        ExifTags.GPS.GPSAltitudeRef: b"\x01",
    }
    assert parse_gps(GPS | south) == pytest.approx((-46.8425, 91.9945833, -198.5))
    assert (parse_gps({k: v for k, v in GPS.items() if k != ExifTags.GPS.GPSAltitude}) or (0,))[-1] is None


def test_photos_of_one_camera_share_it() -> None:
    one = PhotoMetadata("a.jpg", "JPEG", 160, 90, "DJI", "FC300S", focal_mm=3.61)
    assert one.camera_key == PhotoMetadata("b.jpg", "JPEG", 160, 90, "DJI", "FC300S", focal_mm=3.61).camera_key
    others = [
        PhotoMetadata("b.jpg", "JPEG", 90, 160, "DJI", "FC300S", focal_mm=3.61),
        PhotoMetadata("b.jpg", "JPEG", 160, 90, "DJI", "FC300S", focal_mm=7.2),
        PhotoMetadata("b.jpg", "JPEG", 160, 90, "DJI", "FC330", focal_mm=3.61),
    ]
    assert one.camera_key not in {other.camera_key for other in others}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "1"])
def test_any_colours_become_a_jpeg_on_the_same_grid(tmp_path: Path, mode: str) -> None:
    source = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture().convert(mode).save(source)
    write_jpeg(source, tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as made:
        assert (made.mode, made.size) == ("RGB", (160, 90))
        if mode in ("RGB", "RGBA", "CMYK"):
            difference = np.abs(np.asarray(made, dtype=float) - np.asarray(picture(), dtype=float)).mean()
            assert difference < 3


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    grey = np.asarray(picture().convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a.tif")
    assert isinstance(read_photo(tmp_path, "a.tif"), PhotoMetadata)
    write_jpeg(tmp_path / "a.tif", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as made:
        assert np.abs(np.asarray(made.convert("L"), dtype=float) - grey).mean() < 2
