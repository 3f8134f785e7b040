"""Lying, cut and swollen files of the other formats: one plain sentence, and no memory before it."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from format_cases import made

from spaceport.splats.formats import compressed_ply, splat, spz
from spaceport.splats.formats.limits import BrokenFile
from spaceport.splats.formats.table import read_model

Files = dict[str, bytes]
COUNT = 300


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder, model = tmp_path_factory.mktemp("formats"), made(COUNT, 1, 4)
    for version in (2, 3, 4):
        spz.write(folder / f"{version}.spz", model, version)
    splat.write(folder / "m.splat", model)
    compressed_ply.write(folder / "m.compressed.ply", model)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def patched(data: bytes, at: int, form: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def regzipped(data: bytes, at: int, form: str, value: int) -> bytes:
    return gzip.compress(patched(gzip.decompress(data), at, form, value))


CASES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "SPZ 3 of too many": ("3.spz", lambda data: regzipped(data, 8, "<I", 2**32 - 1), "memory limit"),
    "SPZ 3 of more than there are": ("3.spz", lambda data: regzipped(data, 8, "<I", COUNT + 1), "cut short"),
    "SPZ 3 of none": ("3.spz", lambda data: regzipped(data, 8, "<I", 0), "no Gaussian"),
    "SPZ 3 without a body": ("3.spz", lambda data: gzip.compress(gzip.decompress(data)[:16]), "cut short"),
    "SPZ 3 without a header": ("3.spz", lambda data: gzip.compress(b"NGSP"), "in its header"),
    "SPZ of another magic": ("3.spz", lambda data: regzipped(data, 0, "<I", 7), "does not begin with NGSP"),
    "SPZ 0": ("3.spz", lambda data: regzipped(data, 4, "<I", 0), "version 0"),
    "SPZ 5": ("4.spz", lambda data: patched(data, 4, "<I", 5), "version 5"),
    "SPZ 4 within gzip": ("4.spz", gzip.compress, "must not be packed"),
    "SPZ 3 without gzip": ("3.spz", gzip.decompress, "must be packed"),
    "SPZ of degree 5": ("4.spz", lambda data: patched(data, 12, "<B", 5), "degree 5"),
    "SPZ of another degree": ("4.spz", lambda data: patched(data, 12, "<B", 4), "does not fit"),
    "SPZ of 200 fraction bits": ("4.spz", lambda data: patched(data, 13, "<B", 200), "200 fraction bits"),
    "SPZ 4 of too many": ("4.spz", lambda data: patched(data, 8, "<I", 2**32 - 1), "memory limit"),
    "SPZ 4 of more than there are": ("4.spz", lambda data: patched(data, 8, "<I", COUNT + 1), "does not fit"),
    "SPZ 4 of few streams": ("4.spz", lambda data: patched(data, 15, "<B", 2), "table"),
    "SPZ 4 with its table outside": ("4.spz", lambda data: patched(data, 16, "<I", 2**31), "table"),
    "SPZ 4 with its table in the header": ("4.spz", lambda data: patched(data, 16, "<I", 8), "table"),
    "SPZ 4 with a huge stream": ("4.spz", lambda data: patched(data, 32, "<Q", 2**63), "does not fit"),
    "SPZ 4 with a broken stream": ("4.spz", lambda data: patched(data, 128, "<I", 0), "damaged"),
    "a splat of odd length": ("m.splat", lambda data: data[:-1], "whole number"),
    "an empty splat": ("m.splat", lambda data: b"", "no Gaussian"),
    "compressed PLY, cut": ("m.compressed.ply", lambda data: data[:-1], "promises"),
    "compressed PLY, too long": ("m.compressed.ply", lambda data: data + b"x", "promises"),
    "compressed PLY of many": (
        "m.compressed.ply",
        lambda data: data.replace(b"300", b"9000000000").replace(b"chunk 2", b"chunk 35156250"),
        "memory limit",
    ),
    "compressed PLY of few chunks": ("m.compressed.ply", lambda data: data.replace(b"chunk 2", b"chunk 1"), "1 chunks"),
    "compressed PLY of other SH": (
        "m.compressed.ply",
        lambda data: data.replace(b"f_rest_8", b"f_rest_9"),
        "SH values",
    ),
    "compressed PLY of doubles": (
        "m.compressed.ply",
        lambda data: data.replace(b"float min_x", b"double min_x"),
        "bounds that its format has",
    ),
    "compressed PLY, not packed": (
        "m.compressed.ply",
        lambda data: data.replace(b"uint packed_r", b"int packed_r"),
        "not packed",
    ),
    "compressed PLY with a list": (
        "m.compressed.ply",
        lambda data: data.replace(b"property uint packed_color", b"property list uint8 int packed_color"),
        "not packed",
    ),
    "compressed PLY with NaN": (
        "m.compressed.ply",
        lambda data: data.replace(b"end_header\n", b"end_header\n" + struct.pack("<f", float("nan")))[: len(data)],
        "not finite",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_file_is_named(files: Files, case: str, tmp_path: Path) -> None:
    name, change, words = CASES[case]
    path = tmp_path / name
    path.write_bytes(change(files[name]))
    with pytest.raises(BrokenFile, match=words) as caught:
        read_model(path)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_bombs_are_not_unpacked(files: Files, tmp_path: Path) -> None:
    """Half a gigabyte behind a header of 300 Gaussians costs no more than the 300 do."""
    zeros = bytes(1 << 29)
    (tmp_path / "3.spz").write_bytes(gzip.compress(gzip.decompress(files["3.spz"]) + zeros, 1))
    stream = zstd.compress(zeros)
    head = bytearray(files["4.spz"][:128])
    struct.pack_into("<Q", head, 32, len(stream))
    (tmp_path / "4.spz").write_bytes(bytes(head) + stream + bytes(10_000))
    del zeros
    tracemalloc.start()
    assert len(read_model(tmp_path / "3.spz")[0]) == COUNT
    with pytest.raises(BrokenFile):
        read_model(tmp_path / "4.spz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
