"""Surveys broken on purpose: each ends as a pilot would expect, with the sentence that he needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import piexif
import pytest
from PIL import Image, ImageFilter
from sfm_cases import photos_of, reconstruct
from surveys import shared_survey

from services.sfm.report.build import ELSEWHERE
from spaceport.demo import Survey, load_truth, make_survey
from spaceport.demo.geodesy import Place, from_enu
from spaceport.demo.photos import _position
from spaceport.demo.survey import ORIGIN
from spaceport.pipeline.errors import Refused, Slug

PHOTOS = 20
SIZE = (640, 480)


@pytest.fixture(scope="module")
def survey() -> Survey:
    return shared_survey(PHOTOS, *SIZE)


@pytest.fixture
def photos(survey: Survey, tmp_path: Path) -> list[Path]:
    return photos_of(survey.zip_path, tmp_path / "source")


@pytest.fixture
def few(tmp_path: Path) -> list[Path]:
    """The photos of the survey of most tests, where no test needs others: they would have to be cast."""
    return photos_of(shared_survey(12, 512, 384).zip_path, tmp_path / "source")


def refused(tmp_path: Path) -> Refused:
    with pytest.raises(Refused) as caught:
        reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert not (tmp_path / "jobs/out/colmap").exists()
    return caught.value


def change(photo: Path, picture: Image.Image | None = None, orientation: int = 1, keep_exif: bool = True) -> None:
    """Save a photo again: another picture, another orientation tag, or without EXIF."""
    with Image.open(photo) as image:
        exif = image.getexif()
        exif[0x0112] = orientation
        made = picture or image.copy()
    made.save(photo, "JPEG", quality=92, **({"exif": exif} if keep_exif else {}))


def move(photo: Path, place: Place) -> None:
    """Write another position into a photo's EXIF."""
    tags = piexif.load(str(photo))
    tags["GPS"] = _position(place)
    piexif.insert(piexif.dump(tags), str(photo))


@pytest.mark.slow
def test_every_second_photo_removed(photos: list[Path], tmp_path: Path) -> None:
    for photo in photos[1::2]:
        photo.unlink()
    run = reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert run.registered >= 9
    assert run.report["georeference"]["metric"]


def test_exif_stripped(few: list[Path], tmp_path: Path) -> None:
    for photo in few:
        change(photo, keep_exif=False)
    run = reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert run.registered == len(few)
    assert run.report["matching"]["method"] == "exhaustive"
    assert not run.report["georeference"]["metric"]
    assert "position" in run.report["georeference"]["reason"]


@pytest.mark.slow
def test_two_cameras_mixed(photos: list[Path], tmp_path: Path) -> None:
    for photo in photos[::2]:
        with Image.open(photo) as image:
            change(photo, image.resize((512, 384), Image.Resampling.LANCZOS))
    run = reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert run.registered == PHOTOS
    assert {camera["width"] for camera in run.report["cameras"]} == {512, 640}
    assert run.report["georeference"]["metric"]
    assert any("2 cameras" in finding["sentence"] for finding in run.report["capture"]["findings"])


@pytest.mark.slow
def test_a_third_blurred(photos: list[Path], tmp_path: Path) -> None:
    blurred = photos[1::3]
    for photo in blurred:
        with Image.open(photo) as image:
            change(photo, image.filter(ImageFilter.GaussianBlur(5)))
    run = reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert run.registered >= PHOTOS - len(blurred)
    assert f"{len(blurred)} of {PHOTOS} photos blurred" in run.outcome.message
    assert set(run.reasons) <= {photo.name for photo in blurred}
    assert all("blurred" in reason for reason in run.reasons.values())


@pytest.mark.slow
def test_twenty_duplicates(photos: list[Path], tmp_path: Path) -> None:
    for photo in photos:
        (photo.parent / f"copy of {photo.name}").write_bytes(photo.read_bytes())
    run = reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert run.registered == PHOTOS
    assert "20 photos repeating another one" in run.outcome.message
    assert set(run.reasons.values()) == {"enough others show the same, or better"}


@pytest.mark.slow
def test_orientation_tags_mixed(photos: list[Path], tmp_path: Path) -> None:
    """Tags turn nothing: COLMAP and training see the pixels as they are stored."""
    for number, photo in enumerate(photos):
        change(photo, orientation=(1, 3, 6, 8)[number % 4])
    run = reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert run.registered == PHOTOS
    assert {photo["orientation"] for photo in run.report["photos"]} == {1, 3, 6, 8}
    assert run.report["georeference"]["metric"]


@pytest.mark.slow
@pytest.mark.parametrize("keep_exif", [True, False])
def test_half_of_another_place(photos: list[Path], tmp_path: Path, keep_exif: bool) -> None:
    """A meadow with trees a hundred metres away: the larger part becomes the model, and the other one is named."""
    meadow = make_survey(tmp_path / "meadow", 18, *SIZE, around=(-105.0, -60.0))
    others = photos_of(meadow.zip_path, tmp_path / "others")
    for photo in others:
        photo.rename(tmp_path / "source" / f"meadow {photo.name}")
    for photo in () if keep_exif else (tmp_path / "source").iterdir():
        change(photo, keep_exif=False)
    run = reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert run.registered == PHOTOS
    assert run.report["apart"] == [sorted(f"meadow {photo.name}" for photo in others)]
    assert run.reasons == dict.fromkeys(run.report["apart"][0], ELSEWHERE)
    assert "2 parts that share nothing. This model is of the largest, 20 photos; 18 are left out" in run.outcome.message
    assert "more overlap" not in run.outcome.message
    assert "2 parts that share nothing" in (tmp_path / "jobs/out/colmap/report.html").read_text()
    assert run.report["georeference"]["metric"] is keep_exif
    if keep_exif:
        assert (tmp_path / "jobs/out/colmap/capture.svg").read_text().count("JPG, not placed</title>") == len(others)


@pytest.mark.parametrize("colour", [0, 255])
def test_all_black_or_white(few: list[Path], tmp_path: Path, colour: int) -> None:
    for photo in few:
        change(photo, Image.new("RGB", (512, 384), (colour,) * 3))
    error = refused(tmp_path)
    assert error.slug is Slug.HOPELESS_CAPTURE
    assert "one colour" in str(error)


def test_all_identical(few: list[Path], tmp_path: Path) -> None:
    for photo in few[1:]:
        photo.write_bytes(few[0].read_bytes())
    error = refused(tmp_path)
    assert error.slug is Slug.HOPELESS_CAPTURE
    assert f"{len(few)} photos that all show the same" in str(error)


@pytest.mark.slow
def test_three_photos(photos: list[Path], tmp_path: Path) -> None:
    for photo in (*photos[:9], *photos[12:]):
        photo.unlink()
    run = reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert run.registered == 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shuffled", "20 m of noise"])
def test_wrong_positions_do_no_harm_and_are_reported(
    survey: Survey, photos: list[Path], tmp_path: Path, kind: str
) -> None:
    random = np.random.default_rng(3)
    centres = load_truth(survey.truth_path).centres
    wrong = random.permutation(centres) if kind == "shuffled" else centres + random.normal(0, 20, centres.shape)
    for photo, centre in zip(photos, wrong, strict=True):
        move(photo, from_enu(centre, ORIGIN))
    run = reconstruct(tmp_path / "source", tmp_path / "jobs/out")
    assert run.registered == PHOTOS
    assert not run.report["georeference"]["metric"]
