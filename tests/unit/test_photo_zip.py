"""`photo_zip` takes what people send; what is damaged inside loses one photo, and nothing leaves the folder."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zip_cases import (
    CENTRAL,
    THREE,
    Counting,
    as_zip64,
    check_harmless,
    claiming,
    patched,
    slug_of,
    unpacked,
    with_entry,
    zipped,
)

from spaceport.pipeline.errors import Slug
from spaceport.pipeline.uploads import photo_zip
from spaceport.pipeline.uploads.photo_zip import ExtractResult, extract, inspect

# what people send


def test_photos_come_out_as_they_went_in(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
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
    photo_zip = inspect(zipped(THREE | junk | extras | {"notes.txt": b"n", "a.dng": b"r", "images.bin": b"i"}))
    assert [photo.name for photo in photo_zip.photos] == list(THREE)
    assert [extra.name for extra in photo_zip.extras] == list(extras)
    assert photo_zip.ignored == ("notes.txt", "a.dng", "images.bin")
    assert photo_zip.bytes == 903


def test_a_colmap_model_is_taken_along() -> None:
    model = {f"sparse/{number}/{part}.bin": b"x" for number in (0, 1) for part in ("cameras", "images", "points3D")}
    photo_zip = inspect(zipped(THREE | model | {"sparse/0/rigs.bin": b"r", "sparse/2/cameras.bin": b"c"}))
    assert [extra.name for extra in photo_zip.extras] == [*model, "sparse/2/cameras.bin"]
    assert photo_zip.ignored == ("sparse/0/rigs.bin",)


def test_a_video_alone_is_enough() -> None:
    photo_zip = inspect(zipped({"flight.mov": b"v" * 9}))
    assert (photo_zip.photos, photo_zip.bytes) == ((), 9)


def test_directories_are_no_files() -> None:
    assert len(inspect(zipped({"f/": b"", "f/g/": b""} | THREE)).photos) == 3
    assert len(inspect(with_entry("g", stat.S_IFDIR | 0o755)).photos) == 3
    named_as_a_file = patched(zipped({"f": b"", "f/d.jpg": b"d"} | THREE), CENTRAL, 38, "<L", 0x10)
    assert len(inspect(named_as_a_file).photos) == 4


def test_spaceport_json_is_read_from_the_root_only() -> None:
    assert inspect(zipped(THREE)).options is None
    assert inspect(zipped(THREE | {"f/spaceport.json": b"{}"})).options is None
    photo_zip = inspect(zipped(THREE | {"spaceport.json": b'{"preset": "draft"}'}))
    assert (photo_zip.options, photo_zip.ignored) == (b'{"preset": "draft"}', ())


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


@pytest.mark.parametrize("length", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_any_length_round_trips(tmp_path: Path, length: int) -> None:
    results = unpacked(zipped(THREE | {"big.png": bytes(length)}), tmp_path)
    assert (path := results["big.png"].path) and path.stat().st_size == length


def test_inspection_reads_little() -> None:
    file = Counting(zipped({f"{i}.jpg": bytes(200_000) for i in range(50)}, zipfile.ZIP_STORED).getvalue())
    assert len(inspect(file).photos) == 50
    assert file.calls <= 3
    assert file.bytes_read < 100_000


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


def test_a_link_in_place_is_not_followed(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    folder.mkdir()
    (folder / "f").symlink_to(outside)
    results = unpacked(zipped({"f/d.jpg": b"d"} | THREE), folder)
    assert results["f/d.jpg"].reason == "its path leaves the folder"
    assert not list(outside.iterdir())


def test_what_the_listener_raises_passes_and_leaves_no_half_file(tmp_path: Path) -> None:
    def stop(_: ExtractResult) -> None:
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


@settings(max_examples=300)
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


@settings(max_examples=200)
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
