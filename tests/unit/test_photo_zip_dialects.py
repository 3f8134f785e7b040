"""Zips as other programs write them are read to the same bytes: methods, separators, bytes before and behind, 4 GiB."""

from __future__ import annotations

import io
import random
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zip_cases import Counting, as_zip64, check_harmless, refusal_of, unpacked
from zip_writer import FAT, NTFS, UNIX, UTF8, Member, pack, pack_lzma, unicode_path, written

from spaceport.pipeline.errors import Slug
from spaceport.pipeline.uploads.photo_zip import inspect
from spaceport.pipeline.uploads.zip_directory import read_directory
from spaceport.pipeline.uploads.zip_methods import SUPPORTED
from spaceport.pipeline.uploads.zip_unpack import DamagedError, unpack

BODIES = {f"{letter}.jpg": letter.encode() * 3000 + bytes(range(256)) for letter in "abc"}
METHODS = sorted(SUPPORTED)
GIB = 1 << 30


def members(method: int = 8, **fields: object) -> list[Member]:
    return [Member(name.encode(), body, method, **fields) for name, body in BODIES.items()]  # type: ignore[arg-type]


def contents(data: bytes | io.BytesIO, folder: Path) -> dict[str, bytes]:
    """What comes out of the zip, by name."""
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    return {name: result.path.read_bytes() for name, result in unpacked(file, folder).items() if result.path}


def reasons(data: bytes, folder: Path) -> dict[str, str | None]:
    return {name: result.reason for name, result in unpacked(io.BytesIO(data), folder).items() if result.reason}


# methods


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [0, 1, 1 << 20, (1 << 20) + 1])
def test_each_method_round_trips(method: int, length: int, tmp_path: Path) -> None:
    body = random.Random(length).randbytes(length)
    assert contents(written([*members(), Member(b"d.tif", body, method)]), tmp_path) == BODIES | {"d.tif": body}


def test_an_empty_file_without_packed_bytes(tmp_path: Path) -> None:
    for method in METHODS:
        data = written([*members(), Member(b"d.jpg", b"", method, packed=b"")])
        assert contents(data, tmp_path) == BODIES | {"d.jpg": b""}


def test_streams_that_follow_each_other(tmp_path: Path) -> None:
    """As parallel packers write them."""
    halves = b"x" * 700_000, b"y" * 700_000
    for method in (12, 93, 95):
        member = Member(b"d.jpg", b"".join(halves), method, packed=b"".join(pack(half, method) for half in halves))
        assert contents(written([*members(), member]), tmp_path)["d.jpg"] == member.body


def test_more_streams_than_any_packer_writes(tmp_path: Path) -> None:
    for method in (12, 93, 95):
        member = Member(b"d.jpg", b"x", method, packed=pack(b"", method) * 1000 + pack(b"x", method))
        assert reasons(written([*members(), member]), tmp_path) == {"d.jpg": "it is packed in too many streams"}


@pytest.mark.parametrize("marked", [True, False])
def test_lzma_with_and_without_a_mark_at_its_end(marked: bool, tmp_path: Path) -> None:
    body = b"lzma" * 500
    member = Member(b"d.jpg", body, 14, packed=pack_lzma(body, 1 << 16, marked=marked))
    assert contents(written([*members(), member]), tmp_path)["d.jpg"] == body


def greedy(method: int) -> bytes:
    """A stream of few bytes that asks for 2 GiB or more to look back in."""
    if method == 14:
        return pack_lzma(b"x" * 500, 1 << 16, 2**32 - 1)
    if method == 93:
        return b"\x28\xb5\x2f\xfd" + bytes([0, (31 - 10) << 3]) + (500 << 3 | 1).to_bytes(3, "little") + b"x" * 500
    stream = bytearray(pack(b"x" * 500, 95))
    length = (stream[12] + 1) * 4
    assert stream[14:16] == b"\x21\x01"
    stream[16] = 40
    stream[12 + length - 4 : 12 + length] = zlib.crc32(stream[12 : 12 + length - 4]).to_bytes(4, "little")
    return bytes(stream)


@pytest.mark.parametrize("method", [14, 93, 95])
def test_a_stream_cannot_ask_for_more_memory_than_a_photo_needs(method: int) -> None:
    file = io.BytesIO(written([Member(b"d.jpg", b"x" * 500, method, packed=greedy(method), size=GIB)]))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedError):
            list(unpack(file, read_directory(file)[0]))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_an_lzma_header_that_asks_for_4_gib_gets_what_the_file_needs(tmp_path: Path) -> None:
    member = Member(b"d.jpg", b"x" * 500, 14, packed=greedy(14))
    assert contents(written([*members(), member]), tmp_path)["d.jpg"] == member.body


@pytest.mark.parametrize("method", [8, 12, 14, 95, 93])
def test_streams_that_are_damaged_or_too_long(method: int, tmp_path: Path) -> None:
    whole = pack(b"d" * 3000, method)
    damage = {
        "cut": whole[: len(whole) // 2],
        "other bytes": b"\xff" * len(whole),
        "longer": pack(b"d" * 3001, method),
        "other text": pack(b"e" * 3000, method),
    }
    bad = [Member(f"{name}.jpg".encode(), b"d" * 3000, method, packed=packed) for name, packed in damage.items()]
    found = reasons(written([*members(), *bad]), tmp_path)
    assert set(found) == {f"{name}.jpg" for name in damage}
    assert found["longer.jpg"] == "it is longer than the zip says"
    assert found["other text.jpg"] == "its checksum is wrong"


@pytest.mark.parametrize(("method", "word"), [(9, "Deflate64"), (98, "PPMd"), (6, "Implode"), (96, "JPEG"), (77, "77")])
def test_other_methods_are_refused_by_name_before_a_job_begins(method: int, word: str) -> None:
    file = io.BytesIO(written([*members(), Member(b"f/d.mp4", b"d" * 99, method)]))
    slug, sentence = refusal_of(file)
    assert slug is Slug.UNSUPPORTED_METHOD
    assert word in sentence and "f/d.mp4" in sentence and "method Deflate" in sentence


def test_a_file_of_no_use_may_be_packed_as_it_likes(tmp_path: Path) -> None:
    assert contents(written([*members(), Member(b"read me.txt", b"d" * 99, 9)]), tmp_path) == BODIES


def test_options_may_be_packed_by_any_method_that_is_taken() -> None:
    for method in METHODS:
        data = written([*members(), Member(b"spaceport.json", b"{}", method)])
        assert inspect(io.BytesIO(data)).options == b"{}"


def test_without_a_library_for_zstd_photos_are_taken_and_options_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the intake function; the stage, which unpacks the photos, has one."""
    monkeypatch.setitem(sys.modules, "backports", None)
    assert len(inspect(io.BytesIO(written(members(93)))).photos) == 3
    file = io.BytesIO(written([*members(93), Member(b"spaceport.json", b"{}", 93)]))
    slug, sentence = refusal_of(file)
    assert slug is Slug.UNSUPPORTED_METHOD and "zstd" in sentence
    with pytest.raises(DamagedError, match="cannot be unpacked here"):
        list(unpack(file, read_directory(file)[0]))


# separators


@pytest.mark.parametrize("system", [FAT, NTFS, UNIX])
@pytest.mark.parametrize("name", [b"f\\g\\d.jpg", b"f/g\\d.jpg", b"\\f\\g\\d.jpg", b".\\f\\g\\d.jpg"])
def test_backslashes_separate(name: bytes, system: int, tmp_path: Path) -> None:
    data = written([*members(), Member(b"f\\g\\", b"", 0, system=system), Member(name, b"d", system=system)])
    assert contents(data, tmp_path) == BODIES | {"f/g/d.jpg": b"d"}


@pytest.mark.parametrize(
    "name", [b"..\\d.jpg", b"f\\..\\..\\d.jpg", b"C:\\f\\d.jpg", b"\\\\host\\d.jpg", b"f\\../d.jpg"]
)
def test_backslashes_do_not_lead_out(name: bytes) -> None:
    assert refusal_of(io.BytesIO(written([*members(), Member(name, b"d", system=FAT)])))[0] is Slug.UNSAFE_PATH


def test_a_path_written_with_either_separator_is_one_path() -> None:
    twice = [Member(b"f/d.jpg", b"1", system=FAT), Member(b"f\\d.jpg", b"2", system=FAT)]
    assert refusal_of(io.BytesIO(written([*members(), *twice])))[0] is Slug.DUPLICATE_NAMES


# bytes before and behind

JUNK = b"--form-boundary\r\nContent-Disposition: form-data\r\n\r\n"


@pytest.mark.parametrize("before", [b"", b"x", JUNK, b"MZ" + bytes(100_000)])
@pytest.mark.parametrize("behind", [b"", b"\n", JUNK, bytes(70_000), b"PK\5\6" * 50, b"s" * 900_000])
@pytest.mark.parametrize("counted", [True, False])
def test_bytes_before_and_behind_are_passed_over(before: bytes, behind: bytes, counted: bool, tmp_path: Path) -> None:
    data = written(members(), before=before, behind=behind, counted=counted)
    assert contents(data, tmp_path) == BODIES
    file = Counting(data)
    inspect(file)
    assert file.calls <= 7


def test_a_zip64_behind_a_program(tmp_path: Path) -> None:
    assert contents(b"MZ" + bytes(5000) + as_zip64(io.BytesIO(written(members()))).getvalue(), tmp_path) == BODIES


def test_a_signed_table_of_contents(tmp_path: Path) -> None:
    assert contents(written(members(), signature=b"PK\5\5" + struct.pack("<H", 9) + b"signature"), tmp_path) == BODIES


def test_too_much_behind() -> None:
    sentence = refusal_of(io.BytesIO(written(members(), behind=bytes(2 << 20))))[1]
    assert "its end is missing" in sentence


def test_two_zips_in_one_file_are_refused() -> None:
    """Unpackers take the last one; its sender may have meant both."""
    slug, sentence = refusal_of(io.BytesIO(written(members()) + written(members(12))))
    assert slug is Slug.DAMAGED_ZIP and "two zips in one file" in sentence


def test_two_tables_of_contents_are_refused() -> None:
    """One where the end says that it is, one where it must be for its length: unpackers take either."""
    whole = written(members())
    start, end = whole.index(b"PK\1\2"), whole.rindex(b"PK\5\6")
    data = whole[:end] + whole[start:end] + whole[end:]
    slug, sentence = refusal_of(io.BytesIO(data))
    assert slug is Slug.DAMAGED_ZIP and "two tables" in sentence


def test_bytes_between_the_files_and_their_table() -> None:
    """As before a whole zip, but the files are not where they should be then."""
    whole = written(members())
    start = whole.index(b"PK\1\2")
    assert refusal_of(io.BytesIO(b"" + whole[:start] + b"x" * 50 + whole[start:]))[0] is Slug.DAMAGED_ZIP


def test_a_zip_whose_beginning_is_missing() -> None:
    slug, sentence = refusal_of(io.BytesIO(written(members())[200:]))
    assert slug is Slug.DAMAGED_ZIP and "its beginning is missing" in sentence


# any of it together


@st.composite
def dialects(draw: st.DrawFn) -> tuple[dict[str, bytes], bytes]:
    """Files, and a zip of them that some program might have written."""
    letters = st.text("abcxyzäöü写真ソ表 _-", min_size=1, max_size=8).map(lambda text: text.strip() or "x")
    stems = draw(st.lists(letters, min_size=3, max_size=6, unique_by=str.casefold))
    separator = draw(st.sampled_from(["/", "\\"]))
    bodies = {f"{'f' * (i % 2)}/{stem}{i}.jpg".lstrip("/"): stem.encode() * 50 * i for i, stem in enumerate(stems)}
    flags, extra = draw(st.sampled_from([(UTF8, False), (0, True), (0, False)]))
    files = []
    for name, body in bodies.items():
        path = name.replace("/", separator)
        raw = path.encode("cp932", "replace") if extra else path.encode()
        field = unicode_path(raw, path) if extra else b""
        method, system = draw(st.sampled_from(METHODS)), draw(st.sampled_from([FAT, NTFS, UNIX]))
        files.append(Member(raw, body, method, flags, system, field))
    before = draw(st.sampled_from([b"", b"MZ" + bytes(99), JUNK]))
    behind = draw(st.sampled_from([b"", bytes(99), JUNK]))
    comment = b"" if behind else draw(st.binary(max_size=30))
    signature = draw(st.sampled_from([b"", b"PK\5\5\3\0abc"]))
    whole = written(
        files, before=before, behind=behind, comment=comment, signature=signature, counted=draw(st.booleans())
    )
    return bodies, whole


@settings(max_examples=100)
@given(dialect=dialects())
def test_each_dialect_is_read_to_the_same_bytes(dialect: tuple[dict[str, bytes], bytes], tmp_path: Path) -> None:
    bodies, whole = dialect
    assert contents(whole, tmp_path) == bodies


@settings(max_examples=200)
@given(
    dialect=dialects(),
    mutations=st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=5
    ),
)
def test_mutated_dialects_are_refused_or_stay_in_their_folder(
    dialect: tuple[dict[str, bytes], bytes], mutations: list[tuple[int, int, bytes]], tmp_path: Path
) -> None:
    data = bytearray(dialect[1])
    for at, cut, insert in mutations:
        at = len(data) - 1 - at % len(data)  # noqa: PLW2901 - counted from the end, where the directory is
        data[at : at + cut] = insert
    check_harmless(io.BytesIO(bytes(data)), tmp_path)
