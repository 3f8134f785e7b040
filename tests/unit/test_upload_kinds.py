"""What a file of an upload is taken for, by its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceport.pipeline.uploads.kinds import Kind, classify, find_models, photo_of_mask


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
        (".a.jpg", None),
    ],
)
def test_kinds(name: str, kind: Kind | None) -> None:
    assert classify([name]).get(name) is kind


def test_a_mask_needs_its_photo() -> None:
    kinds = classify(["f/A.JPG", "f/a_mask.PNG", "b_mask.png", "f/c.dng", "f/c_MASK.jpg", "a_mask.png"])
    masks = [name for name, kind in kinds.items() if kind is Kind.MASK]
    assert masks == ["f/a_mask.PNG", "f/c_MASK.jpg"]
    assert photo_of_mask("f/a_mask.PNG") == "f/a"
    assert photo_of_mask("f/a.png") is None


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
