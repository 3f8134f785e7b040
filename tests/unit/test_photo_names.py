"""A photo's name, whatever it is, goes from the zip to training; only what could do harm is refused."""

from __future__ import annotations

import io
import os
import string
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_train_colmap_model import cameras_bin, image_record, images_bin, points_bin, write_model
from zip_cases import slug_of
from zip_writer import UTF8, Member, written

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.geo_files import apply_geo_positions, parse_geo
from services.sfm.photos.ingest import IngestResult
from services.sfm.photos.read import PhotoCopy
from services.sfm.photos.unpack import unpack
from services.sfm.prior_model.match import match_photos
from services.sfm.prior_model.validate import safe_name
from services.sfm.staging import stage_photos
from services.train.dataset import Photos, open_dataset
from services.train.preview import write_preview
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.file_names import MAX_PART_BYTES, relative_path, with_suffix
from spaceport.pipeline.uploads.photo_zip import ExtractResult, inspect

SIZE = (40, 30)  # of the camera that `write_model` writes
ODD = [
    "Screenshot 2026-05-01 at 9.41.00\u202fAM.png",
    "e\u0301.jpg",
    "\u00e9.jpg",
    "\U0001f681\u200d\u2642\ufe0f.jpg",
    "\u202egpj.exe.jpg",
    "\x85\u2028\ufeff\ufffe\U0010ffff.jpg",
    "it's \"5\" o'clock; $(rm -rf *) `x` & <b>.jpg",
    "-rf.jpg",
    ".hidden.jpg",
    "..jpg",
    " \u3000 .jpg",
    "#.jpg",
    "%2e%2e%2f.jpg",
    "CON.jpg",
    "{name}.jpg",
    "a\\b.jpg",
    "x" * 251 + ".png",
    "\u5199" * 83 + ".tif",
]
letters = st.characters(min_codepoint=0x20, exclude_characters="/\\\x7f", exclude_categories=["Cs"])
parts = st.text(letters, min_size=1, max_size=40).filter(lambda part: part not in (".", "..") and part[1:2] != ":")
names = st.builds(
    lambda folders, part, suffix: "/".join([*(f"f{folder}" for folder in folders), f"x{part}{suffix}"]),
    st.lists(parts, max_size=3),
    parts.filter(lambda part: "mask" not in part.lower()),
    st.sampled_from([".jpg", ".JPEG", ".png", ".heic"]),
).filter(lambda name: "mask" not in name.lower())
pairs = st.lists(names, min_size=3, max_size=5, unique=True)


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", SIZE, (9, 99, 199)).save(out, "JPEG")
    return out.getvalue()


def zip_of(photos: list[str]) -> io.BytesIO:
    return io.BytesIO(written([Member(name.encode(), jpeg(), 0, flags=UTF8) for name in photos]))


def staged_names(photos: list[str]) -> dict[str, str]:
    """The names in `dense/images` of photos of these names, as the stage gives them."""
    metadata = [PhotoMetadata(name, "JPEG", *SIZE) for name in photos]
    copies = {name: PhotoCopy(f"{number:06d}.jpg", *SIZE) for number, name in enumerate(photos)}
    staged, _ = stage_photos(IngestResult(list(metadata), copies))
    return {name: photo.dense_name for name, photo in staged.items()}


def trained_on(dense_names: list[str], folder: Path) -> list[str]:
    """The names of the cameras, of a workspace that holds photos of these names; each is decoded."""
    for name in dense_names:
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / name).write_bytes(jpeg())
    records = [image_record(name.encode()) for name in dense_names]
    points = points_bin([(1, 2, 3), (4, 5, 6), (7, 8, 9), (1, 1, 1)])
    write_model(folder / "sparse", cameras_bin(), images_bin(*records), points)
    dataset = open_dataset(folder, 8)
    photos = Photos(dataset.folder)
    assert all(photos.at(camera).shape == (*SIZE[::-1], 3) for camera in dataset.cameras)
    return [camera.name for camera in dataset.cameras]


@settings(max_examples=60, deadline=None)
@example(photos=ODD)
@example(photos=["a.jpg", "A.jpg", "a.JPG", "f/a.jpg", "F/a.jpg"])
@given(photos=pairs)
def test_any_name_goes_from_the_zip_to_training(photos: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        unpacked = [result.name for result in _unpacked(zip_of(photos), Path(folder))]
        assert sorted(unpacked) == sorted(name.replace("\\", "/") for name in photos)
        dense = staged_names(sorted(unpacked))
        assert list(dense) == sorted(unpacked)
        assert len(set(dense.values())) == len(dense)
        assert sorted(trained_on(list(dense.values()), Path(folder))) == sorted(dense.values())
        assert all(safe_name(name) == name for name in unpacked)
        assert match_photos(unpacked, unpacked, ".") == {name: name for name in unpacked}


def _unpacked(file: io.BytesIO, folder: Path) -> list[ExtractResult]:
    (folder / "upload.zip").write_bytes(file.getvalue())
    results = unpack(folder / "upload.zip", folder / "extracted", lambda _, __: None)
    assert all(result.path and result.path.read_bytes() == jpeg() for result in results)
    return results


HARMFUL = ["../x.jpg", "/x.jpg", "C:\\x.jpg", "a/../../x.jpg", "x\0.jpg", "x\n.jpg", "x\x1b[2J.jpg"]


@pytest.mark.parametrize("name", HARMFUL)
def test_what_could_do_harm_is_refused_everywhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no path below"):
        relative_path(name)
    assert slug_of(zip_of(["a.jpg", "b.jpg", "c.jpg", name])) is Slug.UNSAFE_PATH
    if "\0" not in name:
        write_model(tmp_path / "sparse", cameras_bin(), images_bin(image_record(name.encode())))
        with pytest.raises(Refused, match="unsafe photo name"):
            open_dataset(tmp_path, 8)


@given(path=st.text(string.ascii_letters + "é写\U0001f681./", min_size=1), suffix=st.sampled_from([".jpg", ".frames"]))
def test_a_name_with_a_suffix_fits_a_file(path: str, suffix: str) -> None:
    path = f"{path}{'写' * 70}"
    longer = with_suffix(path, suffix)
    assert longer.endswith(suffix)
    assert longer.rpartition("/")[0] == path.rpartition("/")[0]
    assert len(longer.rpartition("/")[2].encode()) <= MAX_PART_BYTES
    assert with_suffix(f"{path}x", suffix) != longer


def test_the_picture_of_a_folder_stops_nothing() -> None:
    """macOS calls it so, with a carriage return."""
    photos = ["a.jpg", "b.jpg", "c.jpg", "Icon\r", "f/Icon\r"]
    assert [photo.name for photo in inspect(zip_of(photos)).photos] == photos[:3]


def test_a_folder_of_photos_has_the_names_that_a_zip_of_it_has(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photos = [name for name in ODD if name not in ("..jpg",)]
    for name in photos:
        (tmp_path / "in" / name).write_bytes(jpeg())
    (tmp_path / "in/link.jpg").symlink_to("a.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/f\xfcr.jpg")).write_bytes(jpeg())  # Latin-1
    results = unpack(tmp_path / "in", tmp_path / "jobs/extracted", lambda _, __: None)
    names = [result.name for result in results]
    assert len(names) == len(photos) + 1
    assert "a/b.jpg" in names
    assert all(result.path and result.path.is_file() for result in results)
    assert all(name.encode() for name in names), "each is Unicode"
    (tmp_path / "in/new\nline.jpg").write_bytes(jpeg())
    with pytest.raises(Refused) as caught:
        unpack(tmp_path / "in", tmp_path / "jobs/again", lambda _, __: None)
    assert caught.value.slug is Slug.UNSAFE_PATH


def test_positions_belong_to_names_that_differ_only_in_case() -> None:
    photos = ["a.jpg", "A.JPG", "b\u2028c.jpg", unicodedata.normalize("NFD", "é.jpg")]
    text = "EPSG:4326\n" + "\n".join(f"{name}\t{number}.5\t46.5\t100" for number, name in enumerate(photos, start=7))
    metadata = [PhotoMetadata(name, "JPEG", *SIZE) for name in photos]
    placed = apply_geo_positions(metadata, parse_geo(text, photos))
    assert [photo.position for photo in placed] == [(46.5, number + 0.5, 100.0) for number in range(7, 11)]


def test_any_name_is_drawn_beside_its_pictures(tmp_path: Path) -> None:
    pixels = Image.new("RGB", SIZE)
    rows = [(name, np.asarray(pixels), np.zeros((*SIZE[::-1], 3), np.float32)) for name in ODD]
    for begin in range(0, len(rows), 3):
        write_preview(tmp_path / "preview.jpg", rows[begin : begin + 3])
