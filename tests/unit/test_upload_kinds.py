"""What a file of an upload is taken for, by its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceport.pipeline.uploads.kinds import Kind, classify, find_models
from spaceport.pipeline.uploads.mask_names import find_masks


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jpg", Kind.PHOTO),
        ("f 1/A.JPEG", Kind.PHOTO),
        ("a.heic", Kind.PHOTO),
        ("a.DNG", Kind.PHOTO),
        ("a.MOV", Kind.VIDEO),
        ("gcp_list.txt", Kind.TEXT),
        ("survey/geo.txt", Kind.TEXT),
        ("sparse/0/cameras.txt", Kind.MODEL),
        ("colmap/Sparse/points3D.bin", Kind.MODEL),
        ("sparse/0/rigs.bin", None),
        ("sparse/x/cameras.bin", None),
        ("cameras.bin", None),
        ("geo.txt/x", None),
        ("notes.txt", None),
        ("jpg", None),
        ("__MACOSX/._a.jpg", None),
        (".a.jpg", Kind.PHOTO),
        ("._a.jpg", None),
        (".trashed-1700000000-a.jpg", None),
        (".thumbnails/a.jpg", None),
        (".jpg", None),
    ],
)
def test_kinds(name: str, kind: Kind | None) -> None:
    assert classify([name]).get(name) is kind


def test_a_mask_needs_its_photo() -> None:
    kinds = classify(["f/A.JPG", "f/a_mask.PNG", "b_mask.png", "f/c.dng", "f/c_MASK.jpg", "a_mask.png"])
    masks = [name for name, kind in kinds.items() if kind is Kind.MASK]
    assert masks == ["f/a_mask.PNG", "f/c_MASK.jpg"]


@pytest.mark.parametrize(
    ("mask", "photo"),
    [
        ("masks/A.png", "a.JPG"),
        ("masks/A.jpg", "a.jpg"),
        ("masks/a.jpg.png", "a.jpg"),
        ("masks/a_mask.png", "a.jpg"),
        ("mask/a.jpg.png", "images/a.jpg"),
        ("survey/Masks/f1/a.png", "survey/images/f1/a.jpg"),
        ("survey/images/masks/a.png", "survey/images/a.jpg"),
        ("photos_masks/a.png", "photos/a.jpg"),
        ("masks_2/a.png", "images/a.png"),
        ("f/a-mask.png", "f/a.jpg"),
    ],
)
def test_masks_by_suffix_and_folder(mask: str, photo: str) -> None:
    others = ["other/b.jpg", "c.jpg"]
    assert find_masks([mask, *others, photo]) == {mask: photo}
    kinds = classify([photo, mask, *others])
    assert (kinds[photo], kinds[mask], kinds["c.jpg"]) == (Kind.PHOTO, Kind.MASK, Kind.PHOTO)


def test_a_survey_and_a_mask_of_each_photo() -> None:
    photos = [f"DJI_{number:04}.JPG" for number in range(135)]
    kinds = list(classify([*photos, *(f"masks/{name}" for name in photos)]).values())
    assert (kinds.count(Kind.PHOTO), kinds.count(Kind.MASK)) == (135, 135)


def test_masks_of_photos_with_the_same_names() -> None:
    names = [f"{folder}/{name}.jpg" for folder in ("images/f1", "images/f2") for name in "ab"]
    masks = [name.replace("images", "masks") + ".png" for name in names]
    assert find_masks([*masks, *names]) == dict(zip(masks, names, strict=True))
    assert find_masks(["masks/a.png", *names]) == {}  # which of the two nobody knows
    assert find_masks(["masks/a.png", "masks/z.png", "a.jpg", "a.dng.jpg"]) == {
        "masks/a.png": "a.jpg",
        "masks/z.png": None,
    }


def test_photos_in_a_folder_that_is_only_called_masks() -> None:
    names = [f"museum of masks/{number}.jpg" for number in range(9)]
    assert set(classify(names).values()) == {Kind.PHOTO}
    assert set(classify([*names, "1.jpg"]).values()) == {Kind.PHOTO}
    assert classify(["masks/a.jpg", "damask/a.jpg", "unmasked/b.jpg"])["unmasked/b.jpg"] is Kind.PHOTO
    assert classify(["a.jpg", "a.dng", "masks/a.png"]) == {"a.jpg": Kind.PHOTO, "masks/a.png": Kind.MASK}


def test_a_raw_photo_beside_its_developed_one_is_passed_over() -> None:
    assert list(classify(["a.jpg", "a.DNG", "b.dng", "f/a.dng"])) == ["a.jpg", "b.dng", "f/a.dng"]


def test_a_whole_model_is_found_wherever_it_lies() -> None:
    flat = ["a.jpg", "cameras.txt", "images.txt", "points3D.txt"]
    assert [name for name, kind in classify(flat).items() if kind is Kind.MODEL] == flat[1:]
    both = ["m/cameras.bin", "m/images.bin", "m/points3D.bin", "m/cameras.txt", "m/images.txt", "m/points3D.txt"]
    for names in (both, both[::-1]):
        assert find_models(names) == {"m": {part: f"m/{part}.bin" for part in ("cameras", "images", "points3D")}}
    assert find_models([*both[:2], *both[3:]]) == {
        "m": {part: f"m/{part}.txt" for part in ("cameras", "images", "points3D")}
    }
    assert find_models([name.replace("m/", "n/") for name in both[:2]]) == {}


@given(st.lists(st.text(st.characters(blacklist_characters="\0"), min_size=1), unique=True))
def test_any_names_are_sorted_out(names: list[str]) -> None:
    assert set(classify(names)) <= set(names)
