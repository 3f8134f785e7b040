"""A splat PLY is read whoever wrote it; what is no splat is called what it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import made
from hypothesis import given
from hypothesis import strategies as st
from ply_dialects import DIALECTS, Dialect

from spaceport.splats.formats.limits import BrokenFile
from spaceport.splats.formats.ply import read_ply, write_ply
from spaceport.splats.formats.table import read_model
from spaceport.splats.frame import FAR_UNITS, Frame
from spaceport.splats.model import Gaussians

UTM = (358_000.0, 5_589_500.0, 104.0)


def read(data: bytes, tmp_path: Path) -> Gaussians:
    path = tmp_path / "m.ply"
    path.write_bytes(data)
    return read_ply(path)


def assert_equal(read: Gaussians, written: Gaussians) -> None:
    for name, array in written.arrays().items():
        np.testing.assert_array_equal(read.arrays()[name], array, err_msg=name)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_the_same_model(name: str, tmp_path: Path) -> None:
    model = made(40, 1, 3)
    back = read(DIALECTS[name].encode(model), tmp_path)
    assert_equal(back, model)
    assert back.antialiased is (name == "postshot") and back.notes == ()
    assert back.frame == Frame(up=(0, 0, 1) if name == "nerfstudio" else None)


@given(
    encoding=st.sampled_from(["ascii", "binary_little_endian", "binary_big_endian"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    backwards=st.booleans(),
    count=st.integers(1, 60),
    degree=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_so_does_any_mixture_of_them(
    tmp_path_factory: pytest.TempPathFactory, count: int, degree: int, seed: int, **of: Any
) -> None:
    model = made(count, degree, seed)
    assert_equal(read(Dialect(**of).encode(model), tmp_path_factory.mktemp("ply")), model)


def test_newer_brush_says_which_way_is_up_by_three_numbers(tmp_path: Path) -> None:
    brush = replace(DIALECTS["brush"], comments=("Exported from Brush", "Vertical axis: 0 -0.6 0.8"))
    assert read(brush.encode(made(3, 0, 1)), tmp_path).frame.up == pytest.approx((0, -0.6, 0.8))


@pytest.mark.parametrize("words", ["", "up", "0 0 0", "nan 0 1", "1 2", "inf 0 0", "1e400 0 0"])
def test_an_axis_that_is_none_counts_as_not_said(words: str, tmp_path: Path) -> None:
    odd = Dialect(comments=(f"Vertical Axis: {words}", f"Origin: {words}"))
    assert read(odd.encode(made(3, 0, 1)), tmp_path).frame == Frame()


def test_2d_gaussians_get_a_third_axis_without_thickness(tmp_path: Path) -> None:
    model = made(5, 0, 2)
    flat = read(Dialect(without=("scale_2",)).encode(model), tmp_path)
    np.testing.assert_array_equal(flat.scales[:, :2], model.scales[:, :2])
    assert np.exp(flat.scales[:, 2]) == pytest.approx(1e-6, rel=0.02)
    assert "2D Gaussians" in flat.notes[0]


def test_sh_band_4_is_left_out_and_said(tmp_path: Path) -> None:
    model = made(5, 3, 2)
    names = [f"f_rest_{i}" for i in range(72)]
    columns = {name: np.full(5, float(i)) for i, name in enumerate(names)}
    data = Dialect(more=dict.fromkeys(names, "f4")).encode(replace(model, shN=model.shN[:, :0]))
    head, _, body = data.partition(b"end_header\n")
    layout = np.dtype([(line.split()[2].decode(), "<f4") for line in head.splitlines() if line.startswith(b"property")])
    table = np.frombuffer(body, layout).copy()
    for name, column in columns.items():
        table[name] = column
    back = read(head + b"end_header\n" + table.tobytes(), tmp_path)
    assert back.sh_degree == 3 and "band 4" in back.notes[0]
    assert back.shN[0, :, 1].tolist() == list(range(24, 39))  # green: the second 24 of the file, 15 of them


def test_an_infinitely_thin_gaussian_is_made_drawable(tmp_path: Path) -> None:
    model = made(4, 0, 2)
    model.scales[2, 1] = -np.inf
    assert read(Dialect().encode(model), tmp_path).scales[2].tolist() == [model.scales[2, 0], -20, model.scales[2, 2]]


def far(model: Gaussians, doubles: bool) -> bytes:
    """The model at `UTM`, in doubles or not."""
    dialect = Dialect(doubles=("x", "y", "z") if doubles else ())
    moved = replace(model, means=np.zeros((len(model), 3), np.float32))
    head, _, body = dialect.encode(moved).partition(b"end_header\n")
    kinds = {b"float": "<f4", b"double": "<f8"}
    lines = [line.split() for line in head.splitlines() if line.startswith(b"property")]
    table = np.frombuffer(body, [(name.decode(), kinds[kind]) for _, kind, name in lines]).copy()
    for axis, name in enumerate("xyz"):
        table[name] = model.means[:, axis].astype(np.float64) + UTM[axis]
    return head + b"end_header\n" + table.tobytes()


def test_positions_far_away_are_moved_said_and_restored(tmp_path: Path) -> None:
    model = made(300, 0, 5)
    back = read(far(model, doubles=True), tmp_path)
    assert back.frame.origin[:2] == pytest.approx(UTM[:2], abs=50) and back.frame.origin[2] == 0
    moved = back.means + np.array(back.frame.origin)
    np.testing.assert_allclose(moved, model.means + np.array(UTM), atol=2e-5)
    assert "were moved by -358,000, -5,589,500, 0" in back.notes[0] and "rounded" in back.notes[1]

    write_ply(tmp_path / "near.ply", back)
    again = read_ply(tmp_path / "near.ply")
    assert again.frame == back.frame and again.notes == ()
    assert_equal(again, back)

    write_ply(tmp_path / "restored.ply", back, at_origin=False)
    layout = (tmp_path / "restored.ply").read_bytes()
    assert b"property double x" in layout and b"Origin" not in layout
    np.testing.assert_array_equal(read_ply(tmp_path / "restored.ply").means, back.means)


def test_what_single_precision_has_lost_already_is_not_lost_again(tmp_path: Path) -> None:
    back = read(far(made(300, 0, 5), doubles=False), tmp_path)
    exact = (made(300, 0, 5).means.astype(np.float64) + UTM).astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(back.means + np.array(back.frame.origin), exact)
    assert len(back.notes) == 1


@given(middle=st.floats(-FAR_UNITS, FAR_UNITS), seed=st.integers(0, 99))
def test_near_positions_stay_to_the_bit(tmp_path_factory: pytest.TempPathFactory, middle: float, seed: int) -> None:
    model = made(9, 0, seed)
    model.means[:] += np.float32(middle / 2)
    back = read(Dialect(doubles=("x", "y", "z")).encode(model), tmp_path_factory.mktemp("ply"))
    assert_equal(back, model)
    assert back.notes == ()


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        (Dialect(without=tuple(f"scale_{i}" for i in range(3))), "lacks properties of a splat: scale_0, scale_1"),
        (Dialect(before=("element face 2", "property list uchar int vertex_indices")), "lists .face. before"),
        (Dialect(after=("property list uchar int x",)), "hold lists"),
    ],
)
def test_what_is_missing_is_named(dialect: Dialect, words: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match=words):
        read(dialect.encode(made(3, 0, 1)), tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("cloud.ply", b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
         b"property uchar red\nend_header\n1 2 3 9\n", "a point cloud, not a splat"),
        ("mesh.ply", b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
         b"element face 1\nproperty list uchar int vertex_indices\nend_header\n1 2 3\n1 0\n", "a mesh, not a splat"),
        ("cloud.las", b"LASF" + bytes(300), "a point cloud .LAS."),
        ("photo.splat", b"\xff\xd8\xff\xe0" + bytes(300), "a photo .JPEG."),
        ("model.ksplat", bytes(4096), "SuperSplat"),
        ("page.html", b"<!doctype html>", "Convert the file that the page was made from"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
)  # fmt: skip
def test_what_is_no_splat_is_called_what_it_is(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BrokenFile, match=words):
        read_model(tmp_path / name)


@pytest.mark.parametrize("numbers", [b"1 2 x", b"1 2", b"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"])
def test_text_that_is_not_as_its_header_says_is_refused(numbers: bytes, tmp_path: Path) -> None:
    data = DIALECTS["ascii"].encode(made(3, 0, 1))
    lines = data.split(b"\n")
    with pytest.raises(BrokenFile, match="does not hold 17 numbers for each Gaussian"):
        read(b"\n".join([*lines[:-2], numbers + b" " * 400, b""]), tmp_path)
