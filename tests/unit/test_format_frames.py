"""Which way is up, the origin and the unit travel with a model through every format that has room for them."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from format_cases import made
from hypothesis import given
from hypothesis import strategies as st

from spaceport.progress import Silent
from spaceport.splats.extras import extras_of, frame_of
from spaceport.splats.formats import gltf, spz
from spaceport.splats.formats.spz_extensions import SYSTEMS, extensions_of
from spaceport.splats.formats.spz_extensions import frame_of as frame_of_spz
from spaceport.splats.formats.table import COMPRESSED_PLY, PLY, SPZ, format_of, read_model
from spaceport.splats.frame import AXES, Frame
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.quality import STANDARD
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.writer import write_bundle

SURVEY = Frame(up=(0.0, 0.0, 1.0), origin=(358000.0, 5589500.5, 0.0), is_metric=True)


def written(model: Gaussians, path: Path) -> Path:
    if path.suffix == ".sog":
        write_bundle(path, encode(model, EncoderSettings(STANDARD), Silent()).files)
    elif path.suffix in (".glb", ".gltf"):
        gltf.write(path, model, model.frame.up or AXES["z"])
    else:
        form = format_of(path)
        assert form.write is not None
        form.write(path, model)
    return path


@pytest.mark.parametrize("name", ["m.ply", "m.compressed.ply", "m.sog", "m.glb", "m.gltf", "m.spz"])
@pytest.mark.parametrize("up", [*AXES.values(), (0.0, 0.6, 0.8)])
def test_the_frame_travels(name: str, up: tuple[float, float, float], tmp_path: Path) -> None:
    model = replace(made(20, 1, 3), frame=replace(SURVEY, up=up))
    back, _ = read_model(written(model, tmp_path / name))
    if name == "m.spz":  # has room for y and z, and for nothing else
        assert back.frame == Frame(up=up if up in (AXES[axis] for axis in ("y", "-y", "z", "-z")) else AXES["y"])
        return
    assert back.frame.up == pytest.approx(up, abs=1e-6)
    assert (back.frame.origin, back.frame.is_metric) == (SURVEY.origin, True)


@pytest.mark.parametrize("form", [PLY, COMPRESSED_PLY])
def test_a_model_of_which_nothing_is_known_says_nothing(form: object, tmp_path: Path) -> None:
    for name in ("m.ply", "m.compressed.ply", "m.sog"):
        assert b"comment" not in written(made(9, 0, 1), tmp_path / name).read_bytes()
        assert read_model(tmp_path / name)[0].frame == Frame()


@pytest.mark.parametrize("version", [2, 3, 4])
def test_spz_carries_its_extension_where_its_readers_seek_it(version: int, tmp_path: Path) -> None:
    model = replace(made(9, 2, 1), frame=SURVEY)
    spz.write(tmp_path / "m.spz", model, version)
    back = spz.read(tmp_path / "m.spz")
    assert back.frame.up == (0, 0, 1)
    spz.write(tmp_path / "plain.spz", replace(model, frame=Frame()), version)
    plain = spz.read(tmp_path / "plain.spz")
    for name, array in plain.arrays().items():
        np.testing.assert_array_equal(array, back.arrays()[name])
    assert plain.frame.up == (0, 1, 0), "what the format takes for granted"


def test_every_coordinate_system_of_spz_has_one_up() -> None:
    for number, name in enumerate(SYSTEMS):
        record = b"\x03\x00\xbe\xad\x04\x00\x00\x00" + bytes([number, 0, 0, 0])
        up = frame_of_spz(record).up
        assert up is not None
        letter = "UD"[up[0] + up[1] + up[2] < 0] if name else "U"
        assert (name or "RUB")[int(np.abs(up).argmax())] == letter


@given(st.binary(max_size=40))
def test_any_bytes_are_extensions_that_harm_nobody(data: bytes) -> None:
    assert frame_of_spz(data).up in AXES.values()


def test_unknown_records_are_skipped() -> None:
    other = b"\x01\x00\xef\xbe\x03\x00\x00\x00abc"
    assert frame_of_spz(other + extensions_of(SURVEY)).up == (0, 0, 1)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["up", "origin", "unit", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_extras_are_read_without_harm(extras: object) -> None:
    frame = frame_of(extras)
    assert frame_of(extras_of(frame)) == frame


def test_spz_of_any_version_reads_positions_as_half_floats_in_the_first(tmp_path: Path) -> None:
    positions = np.array([[1.5, -2.25, 0.125]], "<f2")
    body = struct.pack("<4sIIBBBB", b"NGSP", 1, 1, 0, 12, 0, 0) + positions.tobytes() + bytes([200, 128, 128, 128])
    (tmp_path / "m.spz").write_bytes(gzip.compress(body + bytes([160, 160, 160]) + bytes([128, 128, 128])))
    model, form = read_model(tmp_path / "m.spz")
    assert form is SPZ and model.means.tolist() == positions.astype(float).tolist() and model.scales[0, 0] == 0
