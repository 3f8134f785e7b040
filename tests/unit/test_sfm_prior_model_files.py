"""Uploaded COLMAP models, validated before COLMAP reads them; and which photo each of their images is."""

from __future__ import annotations

import struct
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import ColmapModel, ModelCamera, ModelImage, ModelPoint

from services.sfm.photo import PhotoMetadata, Unreadable
from services.sfm.photos.ingest import IngestResult
from services.sfm.prior_model import validate
from services.sfm.prior_model.match import NOT_IN_MODEL, PriorModel, match_photos, select_prior_model
from services.sfm.prior_model.validate import PriorImage, read_prior_model
from spaceport.pipeline.errors import Refused, Slug, Stopped
from spaceport.splats.formats.colmap import CAMERA_MODELS

GOOD = ColmapModel(
    [ModelCamera(7), ModelCamera(8, "OPENCV", 320, 240, [300.0, 301.0, 160.0, 120.0, 0.1, 0.0, 0.0, -0.1])],
    [ModelImage(3, "a b.jpg", camera=7), ModelImage(1, "f/é.jpg", camera=8), ModelImage(9, "c.jpg", camera=7)],
    [ModelPoint(number, (float(number), float(number % 3), 5.0), track=[(3, 0), (1, 2)]) for number in range(1, 9)],
)
FORMATS = pytest.mark.parametrize("suffix", [".bin", ".txt"])


def nothing() -> None:
    pass


@FORMATS
def test_a_good_model_is_read(tmp_path: Path, suffix: str) -> None:
    model = deepcopy(GOOD)
    model.images[0].features = [(1.5, 2.5, 1), (3.0, 4.0, 2**64 - 1)]
    read = read_prior_model(model.write(tmp_path, suffix), nothing)
    assert read.points == 8
    assert read.images == [
        PriorImage(3, "a b.jpg", (640, 480)),
        PriorImage(1, "f/é.jpg", (320, 240)),
        PriorImage(9, "c.jpg", (640, 480)),
    ]


@FORMATS
@pytest.mark.parametrize("name", CAMERA_MODELS)
def test_each_camera_model_of_colmap_is_known(tmp_path: Path, suffix: str, name: str) -> None:
    model = deepcopy(GOOD)
    _, focals, params = CAMERA_MODELS[name]
    values = [500.0] * focals + [320.0, 240.0] + [0.01] * (params - focals - 2)
    model.cameras[0] = ModelCamera(7, name, params=values)
    assert len(read_prior_model(model.write(tmp_path, suffix), nothing).images) == 3


def test_what_check_raises_passes(tmp_path: Path) -> None:
    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        read_prior_model(GOOD.write(tmp_path, ".bin"), stop)


def move(model: ColmapModel, place: Callable[[int], tuple[float, float, float]]) -> None:
    for point in model.points:
        point.xyz = place(point.number)


Change = Callable[[ColmapModel], Any]
NAN, INFINITE = float("nan"), float("inf")
WRONG: dict[str, tuple[Change, str]] = {
    "no photo": (lambda m: m.images.clear(), "holds no photo"),
    "no point": (lambda m: m.points.clear(), "holds 0 points"),
    "three points": (lambda m: m.points.__delitem__(slice(3, None)), "holds 3 points"),
    "a point twice": (lambda m: setattr(m.points[1], "number", 1), "lists a point twice"),
    "a point nowhere": (lambda m: setattr(m.points[1], "xyz", (NAN, 0.0, 0.0)), "lie nowhere"),
    "a point at the end": (lambda m: setattr(m.points[1], "xyz", (1e300, 0.0, 0.0)), "lie nowhere"),
    "points in one place": (lambda m: move(m, lambda _: (1.0, 2.0, 3.0)), "all in one place"),
    "points far out": (
        lambda m: move(m, lambda number: (5e5 + number, 5e6, 30.0)),
        "single precision",
    ),
    "a photo twice": (lambda m: setattr(m.images[1], "name", "c.jpg"), "photo c.jpg is listed twice"),
    "a number twice": (lambda m: setattr(m.images[1], "number", 3), "is listed twice"),
    "a name that climbs": (lambda m: setattr(m.images[1], "name", "f/../../b.jpg"), "not safe (f/../../b.jpg)"),
    "a name that climbs in Windows": (lambda m: setattr(m.images[1], "name", "..\\b.jpg"), "not safe"),
    "a name with a control": (lambda m: setattr(m.images[1], "name", "b\x07.jpg"), r"not safe (b\x07.jpg)"),
    "a name of a folder": (lambda m: setattr(m.images[1], "name", "/"), "not safe"),
    "a camera that is missing": (lambda m: setattr(m.images[1], "camera", 99), "camera that is missing"),
    "a turn of nothing": (lambda m: setattr(m.images[1], "pose", [0.0] * 7), "no rigid motion"),
    "a pose of NaN": (lambda m: setattr(m.images[1], "pose", [1.0, 0, 0, 0, NAN, 0, 0]), "no rigid motion"),
    "a turn of NaN": (lambda m: setattr(m.images[1], "pose", [NAN, 0, 0, 0, 0, 0, 0]), "no rigid motion"),
    "a pose without end": (lambda m: setattr(m.images[1], "pose", [1.0, 0, 0, 0, 0, 0, INFINITE]), "no rigid motion"),
    "a camera twice": (lambda m: setattr(m.cameras[1], "number", 7), "camera 7 is listed twice"),
    "a camera of no size": (lambda m: setattr(m.cameras[0], "width", 0), "0 x 480 pixels"),
    "a camera of any size": (lambda m: setattr(m.cameras[0], "height", 10**9), "640 x 1000000000 pixels"),
    "a focal length of NaN": (lambda m: m.cameras[0].params.__setitem__(0, NAN), "no numbers"),
    "a distortion without end": (lambda m: m.cameras[1].params.__setitem__(5, INFINITE), "no numbers"),
    "a focal length of nothing": (lambda m: m.cameras[0].params.__setitem__(1, 0.0), "focal length"),
    "a focal length of miles": (lambda m: m.cameras[0].params.__setitem__(0, 1e9), "focal length"),
    "a middle far away": (lambda m: m.cameras[0].params.__setitem__(3, -1e6), "principal point"),
}


@FORMATS
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused(tmp_path: Path, suffix: str, case: str) -> None:
    change, words = WRONG[case]
    model = deepcopy(GOOD)
    change(model)
    with pytest.raises(ValueError) as caught:
        read_prior_model(model.write(tmp_path, suffix), nothing)
    assert words in str(caught.value)


HUGE = struct.pack("<Q", 2**61)
BROKEN: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "empty": ("images.bin", lambda _: b"", "images.bin ends too early"),
    "cut": ("points3D.bin", lambda body: body[:-1], "too early"),
    "longer": ("cameras.bin", lambda body: body + b"\0", "cameras.bin is longer"),
    "more cameras than it holds": ("cameras.bin", lambda body: HUGE + body[8:], "claims 2305843009213693952 records"),
    "more photos than it holds": ("images.bin", lambda body: HUGE + body[8:], "claims"),
    "more points than it holds": ("points3D.bin", lambda body: HUGE + body[8:], "claims"),
    "a track without end": ("points3D.bin", lambda body: body[:51] + HUGE + body[59:], "too early"),
    "features without end": ("images.bin", lambda body: body.replace(b".jpg\0" + bytes(8), b".jpg\0" + HUGE), "claims"),
    "a name without end": ("images.bin", lambda body: body.replace(b"a b.jpg\0", b"a b.jpg!" * 200), "without an end"),
    "a name in another alphabet": ("images.bin", lambda body: body.replace(b"a b", b"\xff b"), "not UTF-8"),
    "an unknown camera": ("cameras.bin", lambda body: body[:12] + b"\x63" + body[13:], "not supported (99)"),
    "a panorama": ("cameras.txt", lambda body: body.replace(b"OPENCV", b"EQUIRECTANGULAR"), "(EQUIRECTANGULAR)"),
    "too few parameters": ("cameras.txt", lambda body: body.replace(b" 320.0 240.0", b" 320.0"), "has 4 parameters"),
    "a camera without a size": ("cameras.txt", lambda _: b"1 PINHOLE 640\n", "line 1"),
    "a negative number": ("cameras.txt", lambda body: body.replace(b"640", b"-640"), "line 2: whole numbers"),
    "a number of 5,000 digits": (
        "images.txt",
        lambda body: body.replace(b"\n3 ", b"\n" + b"9" * 5000),
        "whole numbers",
    ),
    "words for numbers": ("points3D.txt", lambda body: body.replace(b"5.0", b"five"), "numbers are expected"),
    "half a track": ("points3D.txt", lambda body: body.replace(b" 3 0 1 2", b" 3 0 1"), "line 2"),
    "half a feature": ("images.txt", lambda body: body.replace(b"a b.jpg\n", b"a b.jpg\n1.0 2.0"), "line 3"),
    "a photo without a name": ("images.txt", lambda body: body.replace(b" a b.jpg", b""), "line 2"),
    "bytes for text": ("images.txt", lambda _: b"\xff\xfe\x00", "not UTF-8"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_files_that_lie_are_refused_before_anything_is_read_for_them(tmp_path: Path, case: str) -> None:
    name, change, words = BROKEN[case]
    parts = GOOD.write(tmp_path, Path(name).suffix)
    body = (tmp_path / name).read_bytes()
    assert change(body) != body
    (tmp_path / name).write_bytes(change(body))
    with pytest.raises(ValueError) as caught:
        read_prior_model(parts, nothing)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


@FORMATS
@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"camera": 99}, "camera that is missing"), ({"pose": [0.0] * 7}, "no rigid motion"), ({}, "is listed twice")],
)
def test_a_long_name_makes_no_long_sentence(tmp_path: Path, suffix: str, wrong: dict[str, Any], words: str) -> None:
    model = deepcopy(GOOD)
    model.images += [ModelImage(number, "x" * 1000, **{"camera": 7} | wrong) for number in (20, 21)]
    with pytest.raises(ValueError, match=words) as caught:
        read_prior_model(model.write(tmp_path, suffix), nothing)
    assert len(str(caught.value)) < 300


@FORMATS
def test_a_name_has_an_end(tmp_path: Path, suffix: str) -> None:
    model = deepcopy(GOOD)
    model.images[0].name = "x" * 1100
    with pytest.raises(ValueError, match="name"):
        read_prior_model(model.write(tmp_path, suffix), nothing)


def test_files_too_large_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in (".bin", ".txt"):
        parts = GOOD.write(tmp_path, suffix)
        with parts["points3D"].open("ab") as file:
            file.truncate((1 << 30) + 1)
        with pytest.raises(ValueError, match="larger than 1 GiB"):
            read_prior_model(parts, nothing)
    monkeypatch.setattr(validate, "MAX_POINTS", 7)
    with pytest.raises(ValueError, match="more than 7 points"):
        read_prior_model(GOOD.write(tmp_path, ".bin"), nothing)


@settings(max_examples=150)
@given(
    name=st.sampled_from([name for suffix in (".bin", ".txt") for name in GOOD.parts(suffix)]),
    at=st.floats(0, 1),
    change=st.binary(min_size=1, max_size=12),
    cut=st.booleans(),
)
def test_any_change_is_read_or_refused(tmp_path: Path, name: str, at: float, change: bytes, cut: bool) -> None:
    parts = GOOD.write(tmp_path, Path(name).suffix)
    body = bytearray((tmp_path / name).read_bytes())
    place = int(at * (len(body) - 1))
    body[place : place + len(change)] = change
    (tmp_path / name).write_bytes(body[:place] if cut else body)
    try:
        assert read_prior_model(parts, nothing).points >= validate.MIN_POINTS
    except ValueError as refusal:
        assert str(refusal)


# which photo each image is


@pytest.mark.parametrize(
    ("image", "photos", "folder", "photo"),
    [
        ("a.jpg", ["a.jpg"], "sparse/0", "a.jpg"),
        ("A.JPG", ["photos/a.jpg"], "sparse/0", "photos/a.jpg"),
        ("a.jpg", ["input/a.jpg", "images/a.jpg", "images_2/a.jpg"], "sparse/0", "images/a.jpg"),
        ("a.jpg", ["images/a.jpg", "dense/images/a.jpg"], "sparse/0", "images/a.jpg"),
        ("a.jpg", ["images/a.jpg", "dense/images/a.jpg"], "dense/sparse", "dense/images/a.jpg"),
        ("a.jpg", ["s/images/a.jpg", "t/images/a.jpg"], "t/colmap/sparse/0", "t/images/a.jpg"),
        ("f/a.jpg", ["images/f/a.jpg", "images/g/a.jpg"], "sparse", "images/f/a.jpg"),
        ("f/a.jpg", ["x/y/f/a.jpg", "x/y/g/a.jpg"], "sparse", "x/y/f/a.jpg"),
        ("home/me/f/a.jpg", ["b.jpg", "f/a.jpg"], "sparse", "f/a.jpg"),
        ("u\u0308.jpg", ["images/ü.jpg"], "sparse", "images/ü.jpg"),
        ("a.jpg", ["f/a.jpg", "g/a.jpg"], "sparse", None),
        ("a.jpg", ["ba.jpg"], "sparse", None),
        ("a.jpg", [], "sparse", None),
    ],
)
def test_names_find_their_photos(image: str, photos: list[str], folder: str, photo: str | None) -> None:
    assert match_photos([image], photos, folder).get(image) == photo


def test_a_photo_is_matched_once() -> None:
    assert match_photos(["l/a.jpg", "r/a.jpg"], ["l/a.jpg"], "sparse") == {"l/a.jpg": "l/a.jpg"}
    assert match_photos(["x/a.jpg", "y/a.jpg"], ["a.jpg"], "sparse") == {}
    with pytest.raises(ValueError, match=r"A.jpg and a.jpg of it are the same photo"):
        match_photos(["A.jpg", "a.jpg"], ["a.jpg"], "sparse")


def photo(name: str, width: int = 640, height: int = 480) -> PhotoMetadata:
    return PhotoMetadata(name, "JPEG", width, height)


FOUR = [ModelImage(number, f"{letter}.jpg") for number, letter in enumerate("abcd", start=1)]
POINTS = GOOD.points


def select(folder: Path, photos: list[PhotoMetadata], **models: ColmapModel) -> PriorModel | None:
    """What is selected of models by their folder, `_` for `/`."""
    names = []
    for name, model in models.items():
        place = name.replace("_", "/")
        names += [path.relative_to(folder).as_posix() for path in model.write(folder / place, ".bin").values()]
    return select_prior_model(folder, names, photos, nothing)


def test_the_model_that_holds_most_photos_is_selected(tmp_path: Path) -> None:
    all_four, three = ColmapModel([ModelCamera()], FOUR, POINTS), ColmapModel([ModelCamera()], FOUR[1:], POINTS)
    photos = [photo(f"images/{letter}.jpg") for letter in "abcde"]
    prior = select(tmp_path, photos, sparse_0=three, sparse_1=all_four, dense_sparse=all_four)
    assert prior is not None
    assert prior.folder == "sparse/1"
    assert prior.image_ids == {f"images/{letter}.jpg": number for number, letter in enumerate("abcd", start=1)}
    assert prior.report().model_dump() == {
        "folder": "sparse/1",
        "images": 4,
        "without_photo": [],
        "photos_beside": 1,
        "sentence": "The zip held a COLMAP reconstruction of 4 photos; it was kept as it is."
        " Not in it, and so not used: 1 photo of the zip.",
    }
    restricted = prior.restrict(IngestResult([*photos, Unreadable("x.jpg", "it is broken")], {}))
    assert restricted.photos[4:] == [Unreadable("images/e.jpg", NOT_IN_MODEL), Unreadable("x.jpg", "it is broken")]
    assert select_prior_model(tmp_path, ["notes.txt"], photos, nothing) is None


def test_a_broken_model_beside_a_good_one_is_passed_over(tmp_path: Path) -> None:
    good, empty = ColmapModel([ModelCamera()], FOUR, POINTS), ColmapModel([ModelCamera()], FOUR, [])
    prior = select(tmp_path, [photo(f"{letter}.jpg") for letter in "abc"], sparse_0=empty, sparse_1=good)
    assert prior is not None
    assert (prior.folder, prior.missing) == ("sparse/1", ["d.jpg"])
    assert "Taken out of it, because the zip does not hold them: 1 photo." in prior.report().sentence


@pytest.mark.parametrize(
    ("photos", "words"),
    [
        (
            [photo("a.jpg"), photo("b.jpg"), photo("x.jpg")],
            "of its 4 photos the zip holds 2, and at least 3 are needed",
        ),
        (
            [photo("x.jpg"), photo("y.jpg"), photo("z.jpg")],
            "holds 0, and at least 3 are needed; the first is called a.jpg",
        ),
        (
            [photo(f"{x}.jpg", 480, 640) for x in "abcd"],
            "a.jpg is 480 x 640 pixels large, and its camera in the model 640",
        ),
    ],
)
def test_a_model_of_other_photos_is_refused(tmp_path: Path, photos: list[PhotoMetadata], words: str) -> None:
    with pytest.raises(Refused) as caught:
        select(tmp_path, photos, sparse_0=ColmapModel([ModelCamera()], FOUR, POINTS))
    assert caught.value.slug is Slug.BAD_PRIOR_MODEL
    assert words in str(caught.value)
