"""Each kind of upload goes through the stage from end to end and becomes a model."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
import tifffile
from ingest_cases import dng, pixels_of, survey_photos, video
from PIL import Image
from sfm_cases import read_report
from surveys import shared_survey

from services.sfm.stage import run
from spaceport.demo import load_truth
from spaceport.demo.geodesy import from_enu
from spaceport.pipeline.options import SfmOptions
from spaceport.progress import Silent

# pycolmap reads the result in a process of its own: it and Pillow cannot share one.
COLUMNS = """
import json, sys, pycolmap
model = pycolmap.Reconstruction(sys.argv[1])
columns = [float(point.xy[0]) for image in model.images.values() for point in image.points2D]
print(json.dumps([min(columns), max(columns)]))
"""
PHOTOS, WIDTH, HEIGHT = 8, 512, 384
OPTIONS = SfmOptions(max_image_size=512, max_features=2048)


@pytest.fixture(scope="module")
def photos() -> dict[str, bytes]:
    """The first of the survey of most tests: another one would have to be cast."""
    return dict(islice(survey_photos(shared_survey(12, WIDTH, HEIGHT).zip_path), PHOTOS))


def heic(jpeg: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as image:
        pillow_heif.from_pillow(image).save(out, quality=90)
    return out.getvalue()


def tiff16(jpeg: bytes) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels_of(jpeg).astype(np.uint16) * 257, photometric="rgb")
    return out.getvalue()


def cmyk(jpeg: bytes) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels_of(jpeg)).convert("CMYK").save(out, "JPEG", quality=92)
    return out.getvalue()


def result(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report of a run on `folder/in`, and its photos by name."""
    run(folder / "in", folder / "jobs/out", OPTIONS, Silent())
    report = read_report(folder / "jobs/out")
    return report, {photo["name"]: photo for photo in report["photos"]}


WRITERS: dict[str, Callable[[bytes], bytes]] = {
    "heic": heic,
    "tif": tiff16,
    "jpg": cmyk,
    "dng": lambda jpeg: dng(pixels_of(jpeg)),
}


@pytest.mark.parametrize("suffixes", [("tif", "jpg"), ("heic", "dng")])
def test_photos_of_these_kinds_become_a_model(
    tmp_path: Path, photos: dict[str, bytes], suffixes: tuple[str, str]
) -> None:
    (tmp_path / "in").mkdir()
    names = [f"{name}.{suffixes[number % 2]}" for number, name in enumerate(photos)]
    for name, jpeg in zip(names, photos.values(), strict=True):
        (tmp_path / "in" / name).write_bytes(WRITERS[name.rpartition(".")[2]](jpeg))
    report, photos_by_name = result(tmp_path)
    assert sorted(photos_by_name) == sorted(names)
    assert report["model"]["photos"] >= PHOTOS - 1
    assert {(photo["width"], photo["height"]) for photo in photos_by_name.values()} == {(WIDTH, HEIGHT)}
    assert {(camera["width"], camera["height"]) for camera in report["cameras"]} == {(WIDTH, HEIGHT)}
    for suffix in suffixes:
        of_kind = {name: photo for name, photo in photos_by_name.items() if name.endswith(suffix)}
        name = next(name for name, photo in of_kind.items() if photo["registered"])
        with Image.open(tmp_path / "jobs/out/colmap/dense/images" / of_kind[name]["dense_name"]) as made:
            colours = np.asarray(made.convert("RGB")).mean(axis=(0, 1))
        assert np.abs(colours - pixels_of(photos[Path(name).stem]).mean(axis=(0, 1))).max() < 12
        assert (tmp_path / "jobs/out/extracted" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()
        if suffix == "heic":  # its EXIF came along
            assert all(photo["position"] and photo["focal_px"] for photo in of_kind.values())
        if suffix == "dng":
            assert {photo["camera"] for photo in of_kind.values()} == {"Spaceport Demo Raw"}
            assert {photo["focal_mm"] for photo in of_kind.values()} == {14.0}


def test_a_video_becomes_a_model(tmp_path: Path, photos: dict[str, bytes]) -> None:
    (tmp_path / "in").mkdir()
    video(tmp_path / "in/flight.mp4", [pixels_of(jpeg) for jpeg in photos.values()])
    report, photos_by_name = result(tmp_path)
    names = [f"flight.mp4.frames/{seconds:09.3f}.jpg" for seconds in np.arange(PHOTOS) / 2]
    assert len(photos_by_name) == PHOTOS
    times = [float(Path(name).stem) for name in sorted(photos_by_name)]
    assert np.allclose(times, [float(Path(name).stem) for name in names], atol=0.5)
    assert report["model"]["photos"] >= PHOTOS - 2


def test_masked_ground_gets_no_points_and_geo_outranks_exif(tmp_path: Path, photos: dict[str, bytes]) -> None:
    (tmp_path / "in").mkdir()
    rows = ["EPSG:32630"]
    for number, (name, jpeg) in enumerate(photos.items()):
        (tmp_path / "in" / f"{name}.jpg").write_bytes(jpeg)
        left = np.zeros((HEIGHT, WIDTH), np.uint8)
        left[:, WIDTH // 2 :] = 255
        Image.fromarray(left).save(tmp_path / "in" / f"{name}_mask.png")
        rows.append(f"{name}.jpg {350000 + 10 * number} {5590000 + 7 * (number % 3)} {100 + number}")
    (tmp_path / "in/geo.txt").write_text("\n".join(rows))
    report, photos_by_name = result(tmp_path)
    assert [photo["position"][2] for photo in photos_by_name.values()] == [100 + n for n in range(PHOTOS)]
    assert all(
        50.4 < lat < 50.5 and -5.2 < lon < -5.0 for lat, lon, _ in (p["position"] for p in photos_by_name.values())
    )
    assert report["model"]["photos"] >= PHOTOS - 2
    assert report["intake"] == {"videos": [], "masks": PHOTOS, "control_points": 0, "left_out": {}}
    columns = subprocess.run(
        [sys.executable, "-c", COLUMNS, str(tmp_path / "jobs/out/colmap/sparse")], check=True, capture_output=True
    )
    least, most = json.loads(columns.stdout)
    assert WIDTH / 2 - 1 < least < WIDTH / 2 + 20
    assert WIDTH - 40 < most < WIDTH


def test_what_comes_along_with_photos_is_told_apart(tmp_path: Path, photos: dict[str, bytes]) -> None:
    """JPEGs without end, bands beside photos, a panorama, masks in a folder, positions in a table."""
    (tmp_path / "in/masks").mkdir(parents=True)
    rows = ["file name;east;north;height"]
    for number, (name, jpeg) in enumerate(photos.items()):
        (tmp_path / "in" / f"{name} D.JPG").write_bytes(jpeg if number % 2 else jpeg[:-2])
        tifffile.imwrite(tmp_path / "in" / f"{name}_MS_NIR.TIF", pixels_of(jpeg)[::2, ::2, 0].astype(np.uint16) * 20)
        Image.new("L", (WIDTH, HEIGHT), 255).save(tmp_path / "in/masks" / f"{name} D.JPG.png")
        rows.append(f"{name} D.JPG;{350000 + 10 * number};{5590000 + 7 * (number % 3)};{100 + number}")
    (tmp_path / "in/geo.txt").write_text("\n".join(["32630", *rows]), encoding="utf-16")
    panorama = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" GPano:ProjectionType="equirectangular"/>'
    Image.fromarray(pixels_of(next(iter(photos.values())))).save(tmp_path / "in/pano.jpg", xmp=panorama)
    report, photos_by_name = result(tmp_path)
    assert report["model"]["photos"] >= PHOTOS - 1
    assert photos_by_name.pop("pano.jpg")["reason"] == "it is a 360-degree panorama"
    assert sorted(photos_by_name) == [f"{name} D.JPG" for name in photos]
    assert [photo["position"][2] for photo in photos_by_name.values()] == [100 + n for n in range(PHOTOS)]
    assert (report["intake"]["masks"], len(report["intake"]["left_out"])) == (PHOTOS, PHOTOS)
    assert report["capture"]["figures"]["unreadable"] == 0
    sentences = " ".join(finding["sentence"] for finding in report["findings"])
    assert f"{PHOTOS} pictures of single bands left out" in sentences
    assert "360-degree panoramas" in sentences


@pytest.mark.slow
def test_control_points_place_the_model(tmp_path: Path) -> None:
    """True points are seen where the true cameras see them; the photos' own positions are removed."""
    survey = shared_survey(10, 640, 480)
    truth = load_truth(survey.truth_path)
    (tmp_path / "in").mkdir()
    for name, jpeg in survey_photos(survey.zip_path):
        Image.fromarray(pixels_of(jpeg)).save(tmp_path / "in" / f"{name}.jpg", quality=95)
    rows = ["EPSG:4326"]
    for number, point in enumerate(np.array([[-9.0, -7, 0.2], [9, -7, 0.1], [9, 7, 1.0], [-9, 7, 0.5], [0, 0, 2.0]])):
        place = from_enu(point, truth.origin)
        for camera in truth.cameras:
            x, y, z = camera.world_to_camera[:3, :3] @ point + camera.world_to_camera[:3, 3]
            column, row = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
            if z > 0 and 0 < column < 640 and 0 < row < 480:
                spot = f"{place.longitude:.10f} {place.latitude:.10f} {place.altitude:.5f}"
                rows.append(f"{spot} {column:.3f} {row:.3f} {Path(camera.name).name} p{number}")
    (tmp_path / "in/gcp_list.txt").write_text("\n".join(rows))
    report, _ = result(tmp_path)
    earth = report["georeference"]
    assert earth["method"] == "bundle adjustment with 5 control points"
    assert earth["metric"]
    assert len(earth["control_points"]) == 5
    assert earth["max_residual_m"] < 0.01 * truth.scene_size
