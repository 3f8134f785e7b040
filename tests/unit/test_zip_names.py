"""Names in zips: which code page they were written in, and that no byte of a character is taken for a separator."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zip_cases import refusal_of
from zip_writer import FAT, UTF8, Member, unicode_path, written

from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.file_names import MAX_PART_BYTES
from spaceport.pipeline.uploads.photo_zip import inspect
from spaceport.pipeline.uploads.zip_names import StoredName, decode_names, safe_path

FOLDERS = {
    "cp932": ["太陽光発電所/写真", "ソーラー", "表", "現場写真", "橋梁点検 第2回", "新しいフォルダー", "予測", "申請"],
    "gbk": ["照片", "新建文件夹", "无人机航拍", "北京", "建筑物倾斜摄影", "大疆", "誠"],
    "cp950": ["新增資料夾", "空拍", "台北市", "許功蓋", "工地照片", "第一次飛行"],
    "cp949": ["사진", "새 폴더", "드론 촬영", "서울", "항공사진 2024"],
    "cp866": ["Новая папка", "Съёмка", "Дрон/полёт 1"],
    "cp1251": ["Новая папка", "фото", "карьер"],
    "cp437": ["Übersicht", "Häuser", "Straße", "été", "Año"],
    "cp850": ["Ålesund", "São Paulo", "Århus/Ærø"],
    "cp1252": ["Häuser", "Straße", "forêt de chênes", "Göteborg"],
    "cp852": ["zdjęcia", "Nový adresář", "Łódź"],
    "cp737": ["Νέος φάκελος"],
    "cp1253": ["φωτογραφίες"],
}
CASES = [(code_page, folder) for code_page, folders in FOLDERS.items() for folder in folders]


def photos_in(folder: bytes, separator: bytes = b"/", **fields: object) -> list[Member]:
    names = [folder + separator + b"DJI_%04d.JPG" % number for number in range(4)]
    return [Member(name, b"photo", **fields) for name in names]  # type: ignore[arg-type]


def names_of(members: list[Member]) -> list[str]:
    return [photo.name for photo in inspect(io.BytesIO(written(members))).photos]


@pytest.mark.parametrize(("code_page", "folder"), CASES)
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_names_in_the_code_page_of_their_windows(code_page: str, folder: str, separator: str) -> None:
    raw = folder.replace("/", separator).encode(code_page)
    expected = [f"{folder}/DJI_{number:04d}.JPG" for number in range(4)]
    assert names_of(photos_in(raw, separator.encode(), system=FAT)) == expected


def test_half_a_character_is_no_separator() -> None:
    """The second byte of each of these is 0x5C, a backslash."""
    for code_page, folder in (("cp932", "ソ表予"), ("cp950", "許功蓋"), ("gbk", "誠")):
        raw = folder.encode(code_page)
        assert b"\\" in raw
        assert {name.split("/")[0] for name in names_of(photos_in(raw, system=FAT))} == {folder}


def test_what_no_code_page_explains_is_kept_as_it_is() -> None:
    for raw in (b"\xff\xfe\xfd\xfc", b"\x80\\\xff", b"\xb0\xb1\xb2\xdb\xdb"):
        photos = names_of(photos_in(raw, system=FAT))
        assert len(set(photos)) == 4
        assert photos == names_of(photos_in(raw, system=FAT))


def test_all_names_are_taken_together() -> None:
    """Alone, `表` could be a Russian letter and a separator; beside the others it cannot."""
    members = [*photos_in("新しいフォルダー".encode("cp932")), *photos_in("表".encode("cp932"))]
    assert {name.split("/")[0] for name in names_of(members)} == {"新しいフォルダー", "表"}


def test_the_flag_and_the_extra_field_are_believed() -> None:
    assert names_of(photos_in("Übersicht 写真".encode(), flags=UTF8))[0] == "Übersicht 写真/DJI_0000.JPG"
    raw = "写真/DJI_1.JPG".encode("cp932")
    member = Member(raw, b"photo", extra=unicode_path(raw, "相片/DJI_1.JPG"))
    assert names_of([*photos_in(b"f"), member])[-1] == "相片/DJI_1.JPG"
    other = Member(raw, b"photo", extra=unicode_path(raw, "../x.jpg", checksum=1))
    assert names_of([*photos_in(b"f"), other])[-1] == "写真/DJI_1.JPG"


def test_a_name_in_the_extra_field_is_as_suspect_as_any() -> None:
    for hidden in ("../d.jpg", "f\\..\\..\\d.jpg", "d\0.jpg", "C:/d.jpg"):
        member = Member(b"d.jpg", b"photo", extra=unicode_path(b"d.jpg", hidden))
        assert refusal_of(io.BytesIO(written([*photos_in(b"f"), member])))[0] is Slug.UNSAFE_PATH


def test_utf8_without_the_flag_and_with_a_wrong_one() -> None:
    assert names_of(photos_in("Übersicht 写真".encode()))[0] == "Übersicht 写真/DJI_0000.JPG"
    assert names_of(photos_in("写真".encode("cp932"), flags=UTF8))[0] == "写真/DJI_0000.JPG"


def test_names_that_grow_as_utf8_are_cut_and_stay_apart() -> None:
    long = "写真" * 50
    members = [*photos_in(b"f"), *(Member(f"{long}{i}.JPG".encode("cp932"), b"photo") for i in range(3))]
    cut = names_of(members)[4:]
    assert len(set(cut)) == 3
    assert all(name.startswith("写真") and name.endswith(".JPG") for name in cut)
    assert all(len(name.encode()) <= MAX_PART_BYTES for name in cut)


def test_two_names_that_decode_to_one_path() -> None:
    twice = [Member("写.jpg".encode("cp932")), Member("写.jpg".encode(), flags=UTF8)]
    assert refusal_of(io.BytesIO(written([*photos_in(b"f"), *twice])))[0] is Slug.DUPLICATE_NAMES


@given(raw=st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=8), utf8=st.booleans())
def test_any_bytes_are_names_or_refused(raw: list[bytes], utf8: bool) -> None:
    stored = [StoredName(name, utf8, None) for name in raw]
    decoded = decode_names(stored)
    assert decoded == decode_names(stored)
    for name in decoded:
        try:
            path = safe_path(name)
        except Refused:
            continue
        assert ".." not in path.split("/") and "\\" not in path and not path.startswith("/")
        assert safe_path(path) == path
