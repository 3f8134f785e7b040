"""`photo_zip` against the zips people send and the zips attackers send: each case its own."""

from __future__ import annotations

import io
import stat
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spaceport.pipeline import photo_zip
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.photo_zip import Extracted, PhotoZip, extract, inspect

THREE = {f"{letter}.jpg": letter.encode() * 300 for letter in "abc"}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.comment = comment
        for name, body in files.items():
            archive.writestr(name, body)
    return out


def with_entry(name: str = "d.jpg", mode: int = 0, **fields: Any) -> io.BytesIO:
    """Three good photos and one entry with the given name, Unix mode and ZipInfo fields."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for good, body in THREE.items():
            archive.writestr(good, body)
        info = zipfile.ZipInfo("placeholder")
        info.filename = name  # the constructor cuts at NUL
        info.external_attr = mode << 16
        archive.writestr(info, b"content")
        for field, value in fields.items():
            setattr(info, field, value)
    return out


def patched(file: io.BytesIO, signature: bytes, at: int, layout: str, value: int, nth: int = 0) -> io.BytesIO:
    """The same bytes, one field of the n-th record with this signature replaced."""
    data, position = bytearray(file.getvalue()), -1
    for _ in range(nth + 1):
        position = data.index(signature, position + 1)
    struct.pack_into(layout, data, position + at, value)
    return io.BytesIO(bytes(data))


def slug_of(file: io.BytesIO) -> Slug:
    with pytest.raises(Refused) as caught:
        inspect(file)
    assert "{" not in str(caught.value)
    return caught.value.slug


def unpacked(file: io.BytesIO, folder: Path) -> dict[str, Extracted]:
    seen: list[Extracted] = []
    results = extract(file, inspect(file).photos, folder, seen.append)
    assert seen == results
    return {result.name: result for result in results}


# what people send


def test_photos_come_out_as_they_went_in(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        results = unpacked(zipped(THREE, method), tmp_path / str(method))
        assert {name: result.path.read_bytes() for name, result in results.items() if result.path} == THREE
        assert not list(tmp_path.rglob(".*partial"))


def test_folders_upper_case_and_other_alphabets_are_taken(tmp_path: Path) -> None:
    files = {"flight 1/DJI_1.JPG": b"1", "flight 1/b/Übersicht.JPEG": b"2", "写真/三.tiff": b"3", "x.WebP": b"4"}
    results = unpacked(zipped(files), tmp_path)
    assert {str(path.relative_to(tmp_path)) for r in results.values() if (path := r.path)} == set(files)


def test_a_name_in_the_old_dos_alphabet_is_taken() -> None:
    file = io.BytesIO(
        zipped({"x\x7f.jpg".replace("\x7f", "#"): b"1"} | THREE).getvalue().replace(b"x#.jpg", b"x\x81.jpg")
    )
    assert inspect(file).photos[0].name == "xü.jpg"


def test_junk_is_skipped_and_other_files_are_listed() -> None:
    junk = {"__MACOSX/._a.jpg": b"", "f/.DS_Store": b"", ".hidden/a.jpg": b"", "._b.jpg": b""}
    extras = {"f/flight.MP4": b"v", "a_mask.png": b"m", "geo.txt": b"g"}
    found = inspect(zipped(THREE | junk | extras | {"notes.txt": b"n", "a.dng": b"r", "images.bin": b"i"}))
    assert [photo.name for photo in found.photos] == list(THREE)
    assert [extra.name for extra in found.extras] == list(extras)
    assert found.ignored == ("notes.txt", "a.dng", "images.bin")
    assert found.bytes == 903


def test_a_video_alone_is_enough() -> None:
    found = inspect(zipped({"flight.mov": b"v" * 9}))
    assert (found.photos, found.bytes) == ((), 9)


def test_directories_are_no_files() -> None:
    assert len(inspect(zipped({"f/": b"", "f/g/": b""} | THREE)).photos) == 3
    assert len(inspect(with_entry("g", stat.S_IFDIR | 0o755)).photos) == 3


def test_spaceport_json_is_read_from_the_root_only() -> None:
    assert inspect(zipped(THREE)).options is None
    assert inspect(zipped(THREE | {"f/spaceport.json": b"{}"})).options is None
    found = inspect(zipped(THREE | {"spaceport.json": b'{"preset": "draft"}'}))
    assert (found.options, found.ignored) == (b'{"preset": "draft"}', ())


def test_a_huge_spaceport_json_is_refused() -> None:
    assert slug_of(zipped(THREE | {"spaceport.json": bytes(photo_zip.MAX_OPTIONS_BYTES + 1)})) is Slug.BAD_OPTIONS


def test_a_damaged_spaceport_json_is_refused() -> None:
    file = zipped({"spaceport.json": b'{"preset": 1}'} | THREE, zipfile.ZIP_STORED)
    assert slug_of(io.BytesIO(file.getvalue().replace(b'{"preset"', b'{"qreset"'))) is Slug.DAMAGED_ZIP


def test_a_comment_and_a_zip_written_as_a_stream_are_taken(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:  # sizes follow the data
        for name, body in THREE.items():
            archive.writestr(name, body)
    assert all(result.path for result in unpacked(io.BytesIO(out.getvalue()), tmp_path).values())
    assert len(inspect(zipped(THREE, comment=b"PK\5\6 from me" * 100)).photos) == 3


def test_zip64_is_taken(tmp_path: Path) -> None:
    assert all(result.path for result in unpacked(as_zip64(zipped(THREE)), tmp_path).values())


def as_zip64(file: io.BytesIO, *, count: int = 3, length_more: int = 0) -> io.BytesIO:
    """Rewrite the end of the zip in its 64-bit form, with saturated 32-bit fields."""
    data = file.getvalue()
    end = data.rindex(b"PK\5\6")
    _, _, _, _, _, length, start, _ = struct.unpack("<4s4H2LH", data[end:])
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length + length_more, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    short = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return io.BytesIO(data[:end] + end64 + locator + short)


@pytest.mark.parametrize("length", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_any_length_round_trips(tmp_path: Path, length: int) -> None:
    results = unpacked(zipped(THREE | {"big.png": bytes(length)}), tmp_path)
    assert (path := results["big.png"].path) and path.stat().st_size == length


class Counting(io.BytesIO):
    """Counts like a file whose every read is a request to S3."""

    calls, taken = 0, 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.calls += 1
        data = super().read(size)
        self.taken += len(data)
        return data


def test_inspection_reads_little() -> None:
    file = Counting(zipped({f"{i}.jpg": bytes(200_000) for i in range(50)}, zipfile.ZIP_STORED).getvalue())
    assert len(inspect(file).photos) == 50
    assert file.calls <= 3
    assert file.taken < 100_000


# what is refused


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
    "f\\d.jpg",
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


def claiming(file: io.BytesIO, size: int) -> io.BytesIO:
    """The first entry's size, moved into a zip64 extra field that says `size`."""
    data = file.getvalue()
    entry, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    fields = list(struct.unpack_from("<4s6H3L5H2L", data, entry))
    extra = struct.pack("<2HQ", 1, 8, size)
    fields[9], fields[11] = 2**32 - 1, len(extra)
    name_end = entry + 46 + fields[10]
    head = struct.pack("<4s6H3L5H2L", *fields) + data[entry + 46 : name_end] + extra
    tail = list(struct.unpack("<4s4H2LH", data[end:]))
    tail[5] += len(extra)
    return io.BytesIO(data[:entry] + head + data[name_end:end] + struct.pack("<4s4H2LH", *tail))


@pytest.mark.parametrize("other", ["a.jpg", "A.JPG", "./a.jpg", "a.jpg/b.jpg"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names(other: str) -> None:
    assert slug_of(with_entry(other)) is Slug.DUPLICATE_NAMES


def test_names_that_differ_only_in_composition() -> None:
    names = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    assert slug_of(zipped(THREE | dict.fromkeys(names, b""))) is Slug.DUPLICATE_NAMES


def test_truncated_upload() -> None:
    data = zipped(THREE).getvalue()
    for length in (10, len(data) // 2, len(data) - 1):
        assert slug_of(io.BytesIO(data[:length])) is Slug.DAMAGED_ZIP


CENTRAL, END = b"PK\1\2", b"PK\5\6"
DAMAGE = {
    "entry signature": (CENTRAL, 0, "<L", 0),
    "name too long for the directory": (CENTRAL, 28, "<H", 0xFFF0),
    "empty name": (CENTRAL, 28, "<H", 0),
    "another disk": (CENTRAL, 34, "<H", 1),
    "offset outside the file": (CENTRAL, 42, "<L", 2**31),
    "zip64 size without the extra field": (CENTRAL, 24, "<L", 2**32 - 1),
    "packed size outside the file": (CENTRAL, 20, "<L", 2**31),
    "split archive": (END, 4, "<H", 1),
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
    assert file.taken < 100_000


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


# damage that shows only while unpacking: one photo is lost, the others stay


def broken(tmp_path: Path, file: io.BytesIO) -> dict[str, str]:
    results = unpacked(file, tmp_path)
    for result in results.values():
        assert (result.path is None) == (result.reason is not None)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {n for n, r in results.items() if r.path}
    return {name: result.reason for name, result in results.items() if result.reason}


def test_wrong_checksum(tmp_path: Path) -> None:
    file = io.BytesIO(zipped(THREE, zipfile.ZIP_STORED).getvalue().replace(b"b" * 300, b"b" * 299 + b"x"))
    assert broken(tmp_path, file) == {"b.jpg": "its checksum is wrong"}


def test_more_bytes_than_claimed(tmp_path: Path) -> None:
    file = patched(zipped(THREE), CENTRAL, 24, "<L", 10, nth=1)
    assert broken(tmp_path, file) == {"b.jpg": "it is longer than the zip says"}


def test_fewer_bytes_than_claimed(tmp_path: Path) -> None:
    file = patched(zipped(THREE), CENTRAL, 24, "<L", 301, nth=1)
    assert broken(tmp_path, file) == {"b.jpg": "it is shorter than the zip says"}


def test_bytes_that_are_no_deflate_stream(tmp_path: Path) -> None:
    good = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = good.compress(b"b" * 300) + good.flush()
    file = zipped(THREE).getvalue().replace(packed, b"\xff" * len(packed))
    assert broken(tmp_path, io.BytesIO(file)) == {"b.jpg": "its packed bytes are damaged"}


def test_a_stream_without_its_end(tmp_path: Path) -> None:
    unfinished = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = unfinished.compress(b"b" * 300) + unfinished.flush(zlib.Z_SYNC_FLUSH)
    file = io.BytesIO(zipped({"b.jpg": packed} | THREE | {"d.jpg": b""}, zipfile.ZIP_STORED).getvalue())
    file = patched(patched(file, CENTRAL, 10, "<H", 8), b"PK\3\4", 8, "<H", 8)
    file = patched(file, CENTRAL, 24, "<L", 300)
    assert inspect(file).photos[0].size == 300
    assert broken(tmp_path, file)["b.jpg"] == "its packed bytes end too soon"


def test_a_local_header_with_another_name(tmp_path: Path) -> None:
    file = io.BytesIO(zipped(THREE).getvalue().replace(b"b.jpg", b"z.jpg", 1))
    assert "contradicts" in broken(tmp_path, file)["b.jpg"]


def test_a_local_header_that_reaches_too_far(tmp_path: Path) -> None:
    file = patched(zipped(THREE), b"PK\3\4", 28, "<H", 5000, nth=1)
    assert "next file" in broken(tmp_path, file)["b.jpg"]


def test_a_method_that_is_not_supported(tmp_path: Path) -> None:
    assert set(broken(tmp_path, zipped(THREE, zipfile.ZIP_BZIP2))) == set(THREE)


def test_a_link_in_place_is_not_followed(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    folder.mkdir()
    (folder / "f").symlink_to(outside)
    results = unpacked(zipped({"f/d.jpg": b"d"} | THREE), folder)
    assert results["f/d.jpg"].reason == "its path leaves the folder"
    assert not list(outside.iterdir())


def test_what_the_listener_raises_passes_and_leaves_no_half_file(tmp_path: Path) -> None:
    def stop(_: Extracted) -> None:
        raise KeyboardInterrupt

    file = zipped(THREE)
    with pytest.raises(KeyboardInterrupt):
        extract(file, inspect(file).photos, tmp_path, stop)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


# anything at all

SEEDS = [
    zipped(THREE | {"f/x.tif": b"t" * 50, "spaceport.json": b"{}"}).getvalue(),
    zipped(THREE, zipfile.ZIP_STORED, comment=b"note").getvalue(),
    as_zip64(zipped(THREE)).getvalue(),
    claiming(zipped(THREE), 300).getvalue(),
]
Mutation = tuple[int, int, bytes]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(SEEDS),
    mutations=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 8), st.binary(max_size=8)), max_size=6),
)
def test_mutated_zips_are_refused_or_stay_in_their_folder(
    tmp_path: Path, seed: bytes, mutations: list[Mutation]
) -> None:
    data = bytearray(seed)
    for at, cut, insert in mutations:
        at = len(data) - 1 - at % len(data)  # noqa: PLW2901 - counted from the end, where the directory is
        data[at : at + cut] = insert
    check_harmless(io.BytesIO(bytes(data)), tmp_path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(max_size=20).map(lambda name: name + ".jpg"), min_size=3, max_size=6))
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_any_names_are_refused_or_stay_in_their_folder(tmp_path: Path, names: list[str]) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name.encode("utf-8", "replace").decode()
            archive.writestr(info, b"x")
    check_harmless(out, tmp_path)


def check_harmless(file: io.BytesIO, tmp_path: Path) -> None:
    jail = tmp_path / "jail"
    jail.mkdir(exist_ok=True)
    before = {path for path in tmp_path.rglob("*") if jail not in path.parents}
    try:
        found: PhotoZip = inspect(file)
        results = extract(file, found.photos, jail, lambda _: None)
    except Refused:
        return
    for photo, result in zip(found.photos, results, strict=True):
        if result.path is not None:
            assert result.path.resolve().is_relative_to(jail.resolve())
            assert zlib.crc32(result.path.read_bytes()) == photo.crc
    assert {path for path in tmp_path.rglob("*") if jail not in path.parents} == before
