"""Kinds of pictures that are no ordinary photos: cut JPEGs, panoramas, fisheyes, bands, thermal ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image

from services.sfm.photo import PhotoMetadata
from services.sfm.photos import decode
from services.sfm.photos.frames import about_few_frames
from services.sfm.photos.projection import Projection, projection_of_pixels
from services.sfm.photos.selection import select_photos
from services.sfm.photos.traits import PhotoTraits, Spectrum, band_names, read_traits
from spaceport.pipeline.reports.sfm import Verdict

Pixels = NDArray[np.uint8]


def photo_pixels(width: int = 640, height: int = 480, seed: int = 0) -> Pixels:
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(pixels: Pixels, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", **options)
    return out.getvalue()


def read(folder: Path, data: bytes, name: str = "a.jpg") -> decode.DecodedPhoto:
    (folder / name).write_bytes(data)
    (folder / "copy.jpg").unlink(missing_ok=True)
    return decode.read_photo(folder / name, name, folder / "copy.jpg", 1600)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_lacks_only_its_end_is_used_with_one(tmp_path: Path, options: dict[str, object]) -> None:
    whole = jpeg(photo_pixels(), **options)
    photo = read(tmp_path, whole[:-2])
    assert photo.size == (640, 480)
    assert (tmp_path / "copy.jpg").read_bytes() == whole
    assert (tmp_path / "a.jpg").read_bytes() == whole[:-2]
    read(tmp_path, whole)
    assert (tmp_path / "copy.jpg").is_symlink()


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_a_jpeg_that_lacks_pixels_is_left_out_with_how_many(
    tmp_path: Path, options: dict[str, object], end: bytes
) -> None:
    whole = jpeg(np.random.default_rng(0).integers(0, 255, (480, 640, 3)).astype(np.uint8), **options)
    if options and end:
        return  # as it is, a progressive one with an end shows everything
    with pytest.raises(decode.LeftOutError, match=r"cut off: (the last (59|60|61) % of it are|its finer details are)"):
        read(tmp_path, whole[: int(len(whole) * 0.4)] + end)


def test_a_last_block_that_is_missing_is_forgiven(tmp_path: Path) -> None:
    assert read(tmp_path, jpeg(photo_pixels())[:-12]).size == (640, 480)


def test_a_photo_with_a_grey_foot_is_not_cut_off(tmp_path: Path) -> None:
    pixels = photo_pixels().copy()
    pixels[240:] = 128
    assert read(tmp_path, jpeg(pixels)).size == (640, 480)
    assert read(tmp_path, jpeg(np.full_like(pixels, 128))).size == (640, 480)


def sphere(width: int = 512) -> Pixels:
    """An equirectangular panorama of coloured blobs all around."""
    height = width // 2
    azimuth, elevation = np.meshgrid(
        (np.arange(width) + 0.5) / width * 2 * np.pi, (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    )
    rays = np.stack([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)], -1)
    waves = np.random.default_rng(0).normal(size=(3, 5, 3)) * 4
    colours = np.stack([np.sin(rays @ waves[channel].T + channel).sum(axis=-1) for channel in range(3)], axis=-1)
    return (128 + 25 * colours).clip(0, 255).astype(np.uint8)


def image_circle(side: int = 256) -> Pixels:
    pixels = photo_pixels(side, side).copy() // 2 + 90
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    pixels[np.hypot(x, y) > side * 0.48] = 3
    return pixels


def test_projections_are_seen_without_tags() -> None:
    assert projection_of_pixels(sphere(), 512, 256) is Projection.PANORAMA
    assert projection_of_pixels(photo_pixels(512, 256), 512, 256) is Projection.FLAT  # a phone's 18:9
    circle = image_circle()
    assert projection_of_pixels(np.hstack([circle, circle]), 512, 256) is Projection.DUAL_FISHEYE
    assert projection_of_pixels(np.vstack([circle, circle]), 256, 512) is Projection.DUAL_FISHEYE
    wide = np.full((256, 384, 3), 3, np.uint8)
    wide[:, 64:320] = circle
    assert projection_of_pixels(wide, 384, 256) is Projection.FISHEYE
    assert projection_of_pixels(photo_pixels(), 640, 480) is Projection.FLAT
    assert projection_of_pixels(np.zeros((128, 256, 3), np.uint8), 512, 256) is Projection.FLAT


@given(st.integers(0, 2**32), st.integers(40, 400), st.integers(40, 400))
def test_ordinary_photos_are_flat(seed: int, width: int, height: int) -> None:
    assert projection_of_pixels(photo_pixels(width, height, seed), width, height) is Projection.FLAT


XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {}/></rdf:RDF></x:xmpmeta>'


@pytest.mark.parametrize(
    ("packet", "fields", "projection"),
    [
        ('GPano:ProjectionType="equirectangular"', {}, Projection.PANORAMA),
        ("><GPano:ProjectionType>cylindrical</GPano:ProjectionType>", {}, Projection.PANORAMA),
        ('GPano:ProjectionType="rectilinear"', {}, Projection.FLAT),
        ('Camera:ModelType="fisheye"', {}, Projection.FISHEYE),
        ('Camera:ModelType="perspective"', {}, Projection.FLAT),
        ("", {"lens_model": "EF8-15mm f/4L FISHEYE USM"}, Projection.FISHEYE),
        ("", {"make": "RICOH", "model": "RICOH THETA Z1", "width": 512, "height": 256}, Projection.PANORAMA),
        ("", {"make": "RICOH", "model": "GR III"}, Projection.FLAT),
    ],
)
def test_projections_by_their_tags(packet: str, fields: dict[str, object], projection: Projection) -> None:
    metadata = PhotoMetadata(**{"name": "a.jpg", "format": "JPEG", "width": 640, "height": 480, **fields})  # type: ignore[arg-type]
    assert read_traits(metadata, XMP.format(packet).encode(), photo_pixels(64, 48), 3, 8).projection is projection


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('Camera:BandName="NIR"', ["NIR"]),
        ("<Camera:BandName><rdf:Seq><rdf:li>Red edge</rdf:li></rdf:Seq></Camera:BandName>", ["Red edge"]),
        ("<Camera:BandName>\n <rdf:Seq>\n <rdf:li>Red</rdf:li><rdf:li>Green</rdf:li>", ["Red", "Green"]),
        ('Camera:BandName="Red, Green, Blue"', ["Red", "Green", "Blue"]),
        ("nothing", []),
    ],
)  # fmt: skip
def test_band_names(text: str, names: list[str]) -> None:
    assert band_names(text.encode()) == names


@given(st.binary(max_size=300))
def test_any_packet_is_read(packet: bytes) -> None:
    photo = PhotoMetadata("a.jpg", "JPEG", 640, 480)
    for text in (packet, b"Camera:BandName=" + packet, b"GPano:ProjectionType>" + packet):
        assert read_traits(photo, text, photo_pixels(64, 48), 1, 8).channels == 1


def picture(name: str, **traits: object) -> tuple[PhotoMetadata, PhotoTraits]:
    kind = "TIFF" if name.lower().endswith(".tif") else "JPEG"
    return PhotoMetadata(name, kind, 640, 480), PhotoTraits(**traits)  # type: ignore[arg-type]


DEEP = {"channels": 1, "bits": 16}


@pytest.mark.parametrize(
    ("colour", "others"),
    [
        ("DJI_2023_{:04}_D.JPG", ["DJI_2023_{:04}_MS_G.TIF", "DJI_2023_{:04}_MS_NIR.TIF"]),
        ("DJI_{:03}0.JPG", ["DJI_{:03}1.TIF", "DJI_{:03}5.TIF"]),
        ("IMG_{:04}_RGB.JPG", ["IMG_{:04}_GRE.TIF", "IMG_{:04}_REG.TIF"]),
        ("a/DSC{:04}.jpg", ["b/IMG_{:04}_1.tif", "b/IMG_{:04}_6.tif"]),
        ("rgb{:04}.jpg", ["any{:04}.tif"]),
        ("DJI_{:04}_W.JPG", ["DJI_{:04}_T.JPG"]),
        ("MAX_{:04}.JPG", ["IRX_{:04}.JPG"]),
        ("DJI_1_W.MP4.frames/{:04}.jpg", ["DJI_1_T.MP4.frames/{:04}.JPG"]),
    ],
)
def test_bands_and_thermal_pictures_beside_colour_photos_are_left_out(colour: str, others: list[str]) -> None:
    names = [colour.format(number) for number in range(6)]
    beside = [name.format(number) for name in others for number in range(6)]
    traits = {} if beside[0].endswith(".JPG") else DEEP
    chosen = select_photos([picture(name) for name in names] + [picture(name, **traits) for name in beside])
    assert set(chosen.beside) == set(beside)
    assert not chosen.unsuitable
    assert [finding.level for finding in chosen.findings] == [Verdict.GO]
    assert f"{len(beside)} " in chosen.findings[0].sentence


def test_wide_and_zoomed_photos_both_stay() -> None:
    names = [f"DJI_{number:04}_{letter}.JPG" for number in range(4) for letter in "WZ"]
    assert not select_photos([picture(name) for name in names]).left_out


def test_of_bands_alone_the_green_one_is_used() -> None:
    photos = [picture(f"IMG_{n:04}_{band}.tif", **DEEP) for n in range(5) for band in (1, 2, 3, 4, 5)]
    chosen = select_photos(photos)
    assert {photo.name for photo, _ in photos} - chosen.left_out == {f"IMG_{n:04}_2.tif" for n in range(5)}
    assert "band green alone" in chosen.findings[0].sentence
    named = [
        picture(f"{n}{b}.tif", spectrum=Spectrum.BAND, band=b, **DEEP) for n in range(5) for b in ("NIR", "Panchro")
    ]
    assert select_photos(named).left_out == {f"{n}NIR.tif" for n in range(5)}


def test_grey_photos_and_thermal_ones_alone_are_used() -> None:
    assert select_photos([picture(f"{n}.tif", **DEEP) for n in range(5)]).findings == []
    assert select_photos([picture(f"house_r{n}.jpg", channels=1) for n in range(5)]).findings == []
    thermal = select_photos([picture(f"{n}.jpg", spectrum=Spectrum.THERMAL) for n in range(5)])
    assert not thermal.left_out
    assert thermal.findings[0].level is Verdict.WARN


def test_panoramas_among_photos_are_left_out_with_a_warning() -> None:
    photos = [picture(f"{n}.jpg") for n in range(5)] + [picture("p.jpg", projection=Projection.PANORAMA)]
    chosen = select_photos(photos)
    assert chosen.unsuitable == {"p.jpg": "it is a 360-degree panorama"}
    assert chosen.findings[0].level is Verdict.WARN


def test_fisheye_bands_beside_colour_photos_are_bands() -> None:
    """Parrot's Sequoia: its four bands have fisheye lenses, its colour camera has not."""
    bands = [
        picture(f"IMG_{n}_{band}.TIF", projection=Projection.FISHEYE, **DEEP)
        for n in range(5)
        for band in ("GRE", "NIR")
    ]
    chosen = select_photos([*(picture(f"IMG_{n}_RGB.JPG") for n in range(5)), *bands])
    assert (len(chosen.unsuitable), len(chosen.beside)) == (0, 10)
    assert len(select_photos(bands).unsuitable) == 5


def test_thermal_cameras_are_known_by_size_source_and_segment(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "DJI"
    assert read(tmp_path, jpeg(photo_pixels(640, 512), exif=tags)).traits.spectrum is Spectrum.THERMAL
    assert read(tmp_path, jpeg(photo_pixels(640, 480), exif=tags)).traits.spectrum is Spectrum.COLOUR
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    assert read(tmp_path, jpeg(photo_pixels(640, 512), exif=tags)).traits.spectrum is Spectrum.COLOUR
    data = jpeg(photo_pixels())
    segment = b"FLIR\0\1\0\0" + bytes(20)
    flir = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    assert read(tmp_path, flir).traits.spectrum is Spectrum.THERMAL
    xmp = XMP.format('drone-dji:ImageSource="InfraredCamera"').encode()
    assert read(tmp_path, jpeg(photo_pixels(), xmp=xmp)).traits.spectrum is Spectrum.THERMAL


@pytest.mark.parametrize(
    ("frames", "stretches", "words"),
    [(2, 14, "hardly moved"), (2, 3, "short"), (12, 14, ""), (25, 400, ""), (9, 60, "hardly moved")],
)
def test_a_video_of_few_frames_says_what_it_lacks(frames: int, stretches: int, words: str) -> None:
    sentence = about_few_frames("flight.mp4", frames, stretches)
    assert words in sentence
    assert bool(words) == bool(sentence)
