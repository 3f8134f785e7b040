"""Zips of over 4 GiB as macOS writes them, numbers modulo 2^32: recovered by consistency, refused where they lie."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from zip_cases import refusal_of
from zip_writer import Member, SparseFile, central, end_record, local, mac_zip, pack

from spaceport.pipeline.contract import Upload
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.uploads.photo_zip import ExtractResult, extract, inspect
from spaceport.pipeline.uploads.ranged_reader import open_object
from spaceport.pipeline.uploads.zip_directory import read_directory

GIB = 1 << 30
FEW_READS = 6
BISECTED_READS = FEW_READS + 16


def photos(first: int, count: int = 3) -> list[tuple[Member, int]]:
    return [(Member(b"DCIM/DJI_%04d.JPG" % i, b"%d" % i * 5000), 0) for i in range(first, first + count)]


def film(number: int, gigabytes: float) -> tuple[Member, int]:
    """A stored film of so many GiB of zeros; nobody unpacks it here."""
    return Member(b"DCIM/DJI_%04d.MP4" % number, b"", 0), int(gigabytes * GIB)


def read(file: SparseFile, folder: Path) -> dict[str, ExtractResult]:
    """What becomes of the photos in the zip, and of films that are too long to be unpacked at all."""
    contents = inspect(file)
    small = [entry for entry in (*contents.photos, *contents.extras) if not 10**6 < entry.size <= 4 * GIB]
    return {result.name: result for result in extract(file, small, folder, lambda _: None)}


def test_photos_before_and_behind_4_gib_are_read(tmp_path: Path) -> None:
    films = [film(10, 1.5), film(30, 1.5), film(40, 1.5), film(60, 3)]
    members = [*photos(0), films[0], *photos(20), *films[1:3], *photos(50), films[3], *photos(70)]
    file = mac_zip(members)
    assert len(inspect(file).photos) == 12
    assert file.reads <= FEW_READS
    results = read(file, tmp_path)
    bodies = {member.name.decode(): member.body for member, zeros in members if not zeros}
    assert {name: result.path.read_bytes() for name, result in results.items() if result.path} == bodies


@pytest.mark.parametrize("at", [0, 3, 5, 6])
def test_a_film_of_over_4_gib_among_them_is_found_and_left_out_alone(at: int, tmp_path: Path) -> None:
    members = [*photos(0), *photos(20)]
    members.insert(at, film(10, 5.25))
    file = mac_zip(members)
    sizes = {entry.name: entry.size for entry in read_directory(file)}
    assert sizes["DCIM/DJI_0010.MP4"] == int(5.25 * GIB)
    assert file.reads <= BISECTED_READS
    results = read(file, tmp_path)
    assert results["DCIM/DJI_0010.MP4"].reason == "it is larger than 4294 MB"
    assert sum(result.path is not None for result in results.values()) == 6


def test_two_films_of_over_4_gib(tmp_path: Path) -> None:
    file = mac_zip([*photos(0), film(10, 4.5), *photos(20), film(30, 9), *photos(40)])
    assert sorted(entry.size for entry in read_directory(file))[-2:] == [int(4.5 * GIB), 9 * GIB]
    assert sum(result.path is not None for result in read(file, tmp_path).values()) == 9


def test_a_film_that_hardly_packs_to_less_than_4_gib_keeps_its_size() -> None:
    packed_film = Member(b"a.mp4", b"", 8, packed=b"", size=(4 * GIB + GIB // 8) % (1 << 32))
    file = mac_zip([*photos(0), (packed_film, int(3.99 * GIB)), *photos(20), film(30, 1)])
    assert {entry.name: entry.size for entry in read_directory(file)}["a.mp4"] == 4 * GIB + GIB // 8


class Requests:
    """S3 with one object, and the number of requests that it got."""

    def __init__(self, file: SparseFile) -> None:
        self.file = file
        self.count = 0

    def get_object(self, Range: str, **_: str) -> dict[str, Any]:
        self.count += 1
        first, last = (int(number) for number in Range.removeprefix("bytes=").split("-"))
        self.file.seek(first)
        return {"Body": io.BytesIO(self.file.read(last - first + 1)), "ContentRange": Range}


@pytest.mark.parametrize(("films", "most"), [([], 2), ([1.5, 1.5, 1.5], 5), ([4.5, 5], 5 + 2 * 12)])
def test_intake_needs_few_requests(films: list[float], most: int) -> None:
    members = photos(0, 1000)
    for number, gigabytes in enumerate(films):
        members.insert(300 * number + 100, film(5000 + number, gigabytes))
    file = mac_zip(members)
    requests = Requests(file)
    upload = Upload(bucket="uploads", key="a.zip", etag="etag", bytes=file.size)
    with open_object(requests, upload) as opened:  # type: ignore[arg-type]
        assert len(inspect(opened).photos) == 1000
    assert requests.count <= most


class Replaced(Requests):
    """A key that has another object by now; of a version it sends the whole, as the embedded S3 does."""

    def get_object(self, Range: str, **wanted: str) -> dict[str, Any]:
        if "VersionId" not in wanted:
            raise ClientError({"ResponseMetadata": {"HTTPStatusCode": 412}}, "GetObject")  # type: ignore[typeddict-item]
        self.file.seek(0)
        return {"Body": io.BytesIO(self.file.read())}


def test_intake_reads_the_version_that_was_accepted() -> None:
    file = mac_zip(photos(0, 10))
    upload = Upload(bucket="uploads", key="a.zip", etag="etag", bytes=file.size, version_id="first")
    with open_object(Replaced(file), upload) as opened:  # type: ignore[arg-type]
        assert len(inspect(opened).photos) == 10


def hostile(offsets: list[int], size: int = 5 * GIB) -> SparseFile:
    """Three photos whose headers are not where the table says, in a file of 5 GiB of zeros."""
    file = SparseFile()
    file.size = size
    entries = [central(member, offset) for (member, _), offset in zip(photos(0), offsets, strict=True)]
    file.append(b"".join(entries))
    file.append(end_record(3, sum(map(len, entries)), size))
    return file


@pytest.mark.parametrize("offsets", [[0, 0, 0], [0, 100, 200], [2000, 1000, 0], [0, 10, 2**32 - 1], [2**32 - 2] * 3])
def test_a_zip_that_merely_lies_is_refused(offsets: list[int]) -> None:
    assert refusal_of(hostile(offsets))[0] is Slug.DAMAGED_ZIP


def test_entries_that_share_bytes_behind_4_gib_are_refused() -> None:
    """Each would be the bomb's one kernel; in order, the second cannot lie where the first does."""
    file = SparseFile()
    file.size = 5 * GIB
    member, at = photos(0)[0][0], file.size
    file.append(local(member) + pack(member.body, 8))
    start = file.size
    entries = [central(member, at)] * 3
    file.append(b"".join(entries))
    file.append(end_record(3, sum(map(len, entries)), start))
    assert refusal_of(file)[0] is Slug.DAMAGED_ZIP
    assert file.reads <= BISECTED_READS


def test_more_files_than_two_bytes_count() -> None:
    """The number of entries wrapped at 65,536; the sentence says how many there are."""
    entry = central(Member(b"DCIM/DJI_0001.JPG", b"", 0), 0)
    for count in (65_536 + 4, 140_000):
        file = SparseFile()
        file.append(entry * count)
        file.append(end_record(count, len(entry) * count, 0))
        slug, sentence = refusal_of(file)
        assert slug is Slug.TOO_MANY_ENTRIES
        assert f"holds {count} files" in sentence


def test_a_count_that_is_wrong_by_something_else_is_damage() -> None:
    entry = central(Member(b"DCIM/DJI_0001.JPG", b"", 0), 0)
    file = SparseFile()
    file.append(entry * 20_000)
    file.append(end_record(4, len(entry) * 20_000, 0))
    assert refusal_of(file)[0] is Slug.DAMAGED_ZIP
