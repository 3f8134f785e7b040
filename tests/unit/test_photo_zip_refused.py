"""`photo_zip` against the zips attackers send, and those that broke on the way: each case its own."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import unicodedata
import zipfile

import pytest
from zip_cases import (
    CENTRAL,
    END,
    THREE,
    Counting,
    as_zip64,
    claiming,
    patched,
    refusal_of,
    slug_of,
    with_entry,
    zipped,
)
from zip_writer import Member, written

from spaceport.pipeline.errors import Slug
from spaceport.pipeline.uploads import photo_zip
from spaceport.pipeline.uploads.photo_zip import inspect


@pytest.mark.parametrize("data", [b"", b"P", b"hello, I am no zip" * 100, b"\xff\xd8\xff\xe0" + bytes(70_000)])
def test_not_a_zip(data: bytes) -> None:
    assert slug_of(io.BytesIO(data)) is Slug.NOT_A_ZIP


def test_empty_zip() -> None:
    assert slug_of(zipped({})) is Slug.EMPTY_ZIP
    assert slug_of(zipped({"folder/": b""})) is Slug.EMPTY_ZIP


def test_no_images() -> None:
    assert slug_of(zipped({"a.txt": b"a", "__MACOSX/b.jpg": b"b"})) is Slug.NO_IMAGES


def test_two_photos() -> None:
    assert slug_of(zipped({"a.jpg": b"a", "b.jpg": b"b", "c.txt": b"c"})) is Slug.TOO_FEW_IMAGES


def test_a_colmap_model_without_a_part() -> None:
    parts = {f"colmap/sparse/0/{part}.bin": b"x" for part in ("cameras", "points3D")}
    assert slug_of(zipped(THREE | parts)) is Slug.BAD_PRIOR_MODEL
    assert slug_of(zipped(THREE | parts | {"colmap/sparse/0/images.txt": b"x"})) is Slug.BAD_PRIOR_MODEL


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encrypted(flag: int) -> None:
    assert slug_of(patched(zipped(THREE), b"PK\1\2", 8, "<H", flag, nth=1)) is Slug.ENCRYPTED_ZIP


def test_encrypted_with_aes() -> None:
    assert slug_of(patched(zipped(THREE), b"PK\1\2", 10, "<H", 99)) is Slug.ENCRYPTED_ZIP


HOSTILE = [
    "../d.jpg",
    "f/../../d.jpg",
    "/etc/d.jpg",
    "..\\d.jpg",
    "f\\..\\..\\d.jpg",
    "\\\\host\\d.jpg",
    "C:\\d.jpg",
    "C:/d.jpg",
    "c:d.jpg",
    "d\0.jpg",
    "d\n.jpg",
    "..",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_zip_slip(name: str) -> None:
    assert slug_of(with_entry(name)) is Slug.UNSAFE_PATH


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices(kind: int) -> None:
    assert slug_of(with_entry(mode=kind | 0o777)) is Slug.SYMLINK_ENTRY


def test_ratio_bomb_in_one_entry() -> None:
    assert slug_of(zipped(THREE | {"d.png": bytes(8 << 20)})) is Slug.RATIO_BOMB


def test_ratio_bomb_in_many_entries() -> None:
    assert slug_of(zipped({f"{i}.png": bytes(4 << 20) for i in range(20)})) is Slug.RATIO_BOMB


def test_too_many_entries() -> None:
    assert slug_of(zipped({f"{i}.jpg": b"" for i in range(photo_zip.MAX_ENTRIES + 1)})) is Slug.TOO_MANY_ENTRIES
    assert slug_of(as_zip64(zipped(THREE), count=10**9)) is Slug.TOO_MANY_ENTRIES


def test_twenty_gigabytes_claimed() -> None:
    file = zipped({"big.jpg": b"b"} | THREE)
    assert slug_of(claiming(file, 20 * 10**9)) is Slug.ARCHIVE_TOO_LARGE
    assert slug_of(claiming(file, 2**64 - 1)) is Slug.ARCHIVE_TOO_LARGE


@pytest.mark.parametrize("other", ["a.jpg", "./a.jpg", ".\\a.jpg", "a.jpg/b.jpg"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names(other: str) -> None:
    assert slug_of(with_entry(other)) is Slug.DUPLICATE_NAMES


def test_names_that_differ_only_in_case_or_composition_are_two() -> None:
    names = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    photos = inspect(zipped(THREE | dict.fromkeys([*names, "A.JPG"], b""))).photos
    assert [photo.name for photo in photos] == [*THREE, *names, "A.JPG"]


def test_truncated_upload() -> None:
    data = zipped(THREE).getvalue()
    for length in (10, len(data) // 2, len(data) - 1):
        assert slug_of(io.BytesIO(data[:length])) is Slug.DAMAGED_ZIP


DAMAGE = {
    "entry signature": (CENTRAL, 0, "<L", 0),
    "name too long for the directory": (CENTRAL, 28, "<H", 0xFFF0),
    "empty name": (CENTRAL, 28, "<H", 0),
    "another disk": (CENTRAL, 34, "<H", 1),
    "offset outside the file": (CENTRAL, 42, "<L", 2**31),
    "zip64 size without the extra field": (CENTRAL, 24, "<L", 2**32 - 1),
    "packed size outside the file": (CENTRAL, 20, "<L", 2**31),
    "entries on this disk": (END, 8, "<H", 2),
    "directory length": (END, 12, "<L", 20),
    "directory outside the file": (END, 16, "<L", 2**31),
    "directory elsewhere": (END, 16, "<L", 1),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_directory(case: str) -> None:
    assert slug_of(patched(zipped(THREE), *DAMAGE[case])) is Slug.DAMAGED_ZIP


def test_entries_that_are_not_counted() -> None:
    file = patched(patched(zipped(THREE | {"d.jpg": b""}), END, 8, "<H", 3), END, 10, "<H", 3)
    assert slug_of(file) is Slug.DAMAGED_ZIP


def test_stored_entry_with_two_sizes() -> None:
    assert slug_of(patched(zipped(THREE, zipfile.ZIP_STORED), CENTRAL, 24, "<L", 301)) is Slug.DAMAGED_ZIP


def test_zip64_lies() -> None:
    good = as_zip64(zipped(THREE))
    assert slug_of(patched(good, b"PK\6\7", 8, "<Q", 2**63)) is Slug.DAMAGED_ZIP
    assert slug_of(patched(good, b"PK\6\6", 48, "<Q", 2**63)) is Slug.DAMAGED_ZIP
    assert slug_of(patched(good, END, 10, "<H", 2)) is Slug.DAMAGED_ZIP
    assert slug_of(as_zip64(zipped(THREE), length_more=2**40)) is Slug.DAMAGED_ZIP


def test_a_huge_directory_is_not_even_read() -> None:
    body = zipped(THREE).getvalue()
    start, end = body.index(CENTRAL), body.rindex(END)
    padding = bytes(photo_zip.MAX_DIRECTORY_BYTES)
    tail = bytearray(body[end:])
    struct.pack_into("<L", tail, 12, end - start + len(padding))
    file = Counting(body[:end] + padding + bytes(tail))
    assert slug_of(file) is Slug.DAMAGED_ZIP
    assert file.bytes_read < 100_000


def test_two_entries_on_the_same_bytes() -> None:
    assert slug_of(patched(zipped(THREE), CENTRAL, 42, "<L", 0, nth=1)) is Slug.DAMAGED_ZIP


def test_entries_inside_each_other() -> None:
    """One deflate stream quoted by many headers: the bomb without nesting."""
    inner = zipped({"c.jpg": b"c" * 300}, zipfile.ZIP_STORED).getvalue()
    file = zipped({"b.jpg": inner, "a.jpg": b"a", "d.jpg": b"d", "c.jpg": b"c" * 300}, zipfile.ZIP_STORED)
    where = file.getvalue().index(inner)
    assert slug_of(patched(file, CENTRAL, 42, "<L", where, nth=4)) is Slug.DAMAGED_ZIP


def test_a_name_too_long_or_too_deep() -> None:
    for name in ("x" * 252 + ".jpg", "f/" * 20 + "d.jpg", "ü" * 250 + "/d.jpg"):
        assert slug_of(with_entry(name)) is Slug.DAMAGED_ZIP


OTHERS = {
    "a RAR archive": b"Rar!\x1a\x07\x01\x00",
    "a 7z archive": b"7z\xbc\xaf\x27\x1c\0\4",
    "a tar.gz archive": gzip.compress(b"a.jpg".ljust(257, b"\0") + b"ustar\0" + bytes(249)),
    "a gzip archive": gzip.compress(b"photo"),
    "a tar archive": b"a.jpg".ljust(257, b"\0") + b"ustar\x0000" + bytes(600),
    "a bzip2 archive": bz2.compress(b"photo"),
    "an XZ archive": lzma.compress(b"photo"),
    "a single JPEG photo": b"\xff\xd8\xff\xe0" + bytes(70_000),
    "a single video": b"\0\0\0\x20ftypisom" + bytes(100),
    "a single HEIC photo": b"\0\0\0\x20ftypheic" + bytes(100),
    "a web page": b"\xef\xbb\xbf\n<!DOCTYPE html><title>Sign in</title>",
    "a disk image of macOS": b"\x78\x01" * 300 + b"koly".ljust(512, b"\0"),
    "a file of zeros": bytes(5000),
    "an empty file": b"",
    "of an unknown kind": b"hello, I am no zip" * 100,
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_zip_is_named(kind: str) -> None:
    slug, sentence = refusal_of(io.BytesIO(OTHERS[kind]))
    assert slug is Slug.NOT_A_ZIP
    assert f"but {kind}" in sentence


def test_a_zip_of_archives_is_named() -> None:
    for inner in ("flight 1/flight 1.zip", "photos.RAR", "photos.tar.gz", "a.7z"):
        slug, sentence = refusal_of(zipped({"__MACOSX/._a.zip": b"", inner: b"PK", "read me.txt": b"r", "a.jpg": b"a"}))
        assert slug is Slug.NESTED_ZIP
        assert inner in sentence and "Unpack" in sentence
    assert len(inspect(zipped(THREE | {"raw.zip": b"PK"})).photos) == 3


def test_each_part_of_a_split_zip_is_named() -> None:
    whole = zipped(THREE).getvalue()
    first, last = b"PK\7\x08" + whole[:200], patched(io.BytesIO(whole), END, 4, "<H", 2)
    assert slug_of(io.BytesIO(first)) is Slug.SPLIT_ZIP
    assert slug_of(last) is Slug.SPLIT_ZIP
    assert "its end is missing" in refusal_of(io.BytesIO(whole[: len(whole) // 2]))[1]
    assert "its beginning is missing" in refusal_of(io.BytesIO(whole[len(whole) // 2 :]))[1]
    marked = io.BytesIO(
        written([Member(name.encode(), body) for name, body in THREE.items()], before=b"PK\7\x08", counted=True)
    )
    assert len(inspect(marked).photos) == 3, "WinZip marks a zip that it might have split, and did not"


def test_a_refusal_costs_few_reads() -> None:
    for data in (*OTHERS.values(), b"MZ" + bytes(3 << 20), (b"PK\5\6" + bytes(18)) * 50_000 + b"x"):
        file = Counting(data)
        refusal_of(file)
        assert file.calls <= 12 and file.bytes_read < 2 << 20
