"""Files of 48 Gaussians, by us and by splat-transform 3.7.0, that must mean tomorrow what they mean today."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from format_cases import angles, assert_same

from spaceport.progress import Silent
from spaceport.splats.formats import compressed_ply, gltf, spz
from spaceport.splats.formats.ply import read_ply
from spaceport.splats.formats.spz_container import unpack
from spaceport.splats.formats.table import format_of, read_model
from spaceport.splats.sog.attributes.quality import FINEST
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.writer import write_bundle

FOLDER = Path(__file__).parents[1] / "data" / "formats"
DECODED = sorted(FOLDER.glob("*.decoded.ply"))


@pytest.mark.parametrize("decoded", DECODED, ids=lambda path: path.name)
def test_a_file_means_what_splat_transform_says(decoded: Path, tmp_path: Path) -> None:
    path = FOLDER / decoded.name.removesuffix(".decoded.ply")
    if path.suffix == ".zip":  # a streamed SOG, packed so that it is one file
        with zipfile.ZipFile(path) as packed:
            packed.extractall(tmp_path)
        path = tmp_path
    model, _ = read_model(path)
    if decoded.name.endswith(
        ".splat.decoded.ply"
    ):  # its rotations pass through bytes, and are normalised there and not here
        assert np.allclose(model.means, read_ply(decoded).means)
        assert angles(model, read_ply(decoded)).max() < 2
        return
    assert_same(model, read_ply(decoded))


def test_all_of_them_are_looked_at() -> None:
    assert len(DECODED) == 7 and len(list(FOLDER.iterdir())) == 21


@pytest.mark.parametrize("name", ["spaceport.splat", "spaceport.compressed.ply"])
def test_we_still_write_the_same_bytes(name: str, tmp_path: Path) -> None:
    write = format_of(FOLDER / name).write
    assert write is not None
    write(tmp_path / name, read_ply(FOLDER / "source.ply"))
    assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_we_still_write_the_same_sog(tmp_path: Path) -> None:
    """Compared unpacked: another libwebp may pack the same pixels into other bytes."""
    write_bundle(tmp_path / "m.sog", encode(read_ply(FOLDER / "source.ply"), EncoderSettings(FINEST), Silent()).files)
    before, after = (read_model(path)[0].arrays() for path in (FOLDER / "spaceport.sog", tmp_path / "m.sog"))
    assert all(np.array_equal(array, after[name]) for name, array in before.items())


def test_we_still_write_the_same_gltf(tmp_path: Path) -> None:
    gltf.write(tmp_path / "m.glb", read_ply(FOLDER / "source.ply"))
    assert (tmp_path / "m.glb").read_bytes() == (FOLDER / "spaceport.glb").read_bytes()


@pytest.mark.parametrize("version", [2, 3, 4])
def test_we_still_write_the_same_spz(version: int, tmp_path: Path) -> None:
    """Compared unpacked: other releases of zlib and zstd may pack the same content into other bytes."""
    spz.write(tmp_path / "m.spz", read_ply(FOLDER / "source.ply"), version)
    before, after = (
        (path / name).read_bytes() for path, name in ((FOLDER, f"spaceport_v{version}.spz"), (tmp_path, "m.spz"))
    )
    if version < 4:
        assert gzip.decompress(before) == gzip.decompress(after)
    else:
        assert before[:32] == after[:32]
    (head, streams), (other_head, others) = (unpack(data, 1 << 30) for data in (before, after))
    assert head == other_head and streams.as_bytes() == others.as_bytes()


def test_our_chunk_bounds_match_splat_transforms() -> None:
    """The same Gaussians, whatever their order in the file."""
    ours, theirs = (
        compressed_ply.read(FOLDER / f"{name}.compressed.ply") for name in ("spaceport", "splat_transform_3.7.0")
    )
    a, b = (model.subset(np.lexsort(model.means.T)) for model in (ours, theirs))
    assert_same(a, b)
