from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spaceport.splats.formats.ply import read_ply, write_ply
from spaceport.splats.model import Gaussians


def some_gaussians(n: int = 7, rest: int = 15) -> Gaussians:
    rng = np.random.default_rng(3)
    shapes = {"means": (n, 3), "quats": (n, 4), "scales": (n, 3), "opacities": (n,), "sh0": (n, 1, 3)}
    arrays: dict[str, Any] = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return Gaussians(**arrays, shN=rng.normal(size=(n, rest, 3)).astype(np.float32))


def assert_same(a: Gaussians, b: Gaussians) -> None:
    for name, array in a.arrays().items():
        np.testing.assert_array_equal(array, b.arrays()[name], err_msg=name)


@pytest.mark.parametrize("rest", [0, 3, 8, 15])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_round_trip_is_exact(tmp_path: Path, rest: int, n: int) -> None:
    gaussians = some_gaussians(n, rest)
    write_ply(tmp_path / "model.ply", gaussians)
    assert_same(gaussians, read_ply(tmp_path / "model.ply"))
    assert [path.name for path in tmp_path.iterdir()] == ["model.ply"]


@pytest.mark.parametrize("comment", [b"comment SplatRenderMode: mip\n", b"comment  antialiased 1\n"])
def test_that_it_is_antialiased_survives_and_is_read_from_other_tools(tmp_path: Path, comment: bytes) -> None:
    path = tmp_path / "model.ply"
    write_ply(path, replace(some_gaussians(), antialiased=True))
    raw = path.read_bytes()
    assert raw.count(b"comment SplatRenderMode: mip\n") == 1
    path.write_bytes(raw.replace(b"comment SplatRenderMode: mip\n", comment))
    assert read_ply(path).antialiased
    assert_same(some_gaussians(), read_ply(path))
    write_ply(path, some_gaussians())
    assert b"comment" not in path.read_bytes()
    assert not read_ply(path).antialiased


def test_the_viewers_layout(tmp_path: Path) -> None:
    path = tmp_path / "model.ply"
    gaussians = some_gaussians(2, 3)
    write_ply(path, gaussians, sh_degree=3)
    raw = path.read_bytes()
    header, _, body = raw.partition(b"end_header\n")
    names = [line.split()[-1].decode() for line in header.splitlines() if line.startswith(b"property")]
    assert len(names) == 62
    table = np.frombuffer(body, "<f4").reshape(2, 62)
    row = dict(zip(names, table[1], strict=True))
    assert row["f_rest_1"] == gaussians.shN[1, 1, 0]  # red's second coefficient
    assert row["f_rest_15"] == gaussians.shN[1, 0, 1]  # green's first
    assert row["f_rest_3"] == 0
    assert row["rot_0"] == gaussians.quats[1, 0]
    assert row["opacity"] == gaussians.opacities[1]


def test_padding_never_drops_colour(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="degree 3 cannot be written with degree 1"):
        write_ply(tmp_path / "model.ply", some_gaussians(), sh_degree=1)


def test_any_order_and_types_and_extra_properties(tmp_path: Path) -> None:
    gaussians = some_gaussians(3, 0)
    path = tmp_path / "model.ply"
    write_ply(path, gaussians)
    header, _, body = path.read_bytes().partition(b"end_header\n")
    names = [line.split()[-1].decode() for line in header.splitlines() if line.startswith(b"property")]
    table = dict(zip(names, np.frombuffer(body, "<f4").reshape(3, -1).T, strict=True))
    turned = [*reversed(names), "label"]
    layout = np.dtype([(name, "u1" if name == "label" else "<f8") for name in turned])
    rows = np.zeros(3, layout)
    for name in names:
        rows[name] = table[name]
    types = "".join(f"property {'uchar' if name == 'label' else 'double'} {name}\n" for name in turned)
    head = f"ply\nformat binary_little_endian 1.0\ncomment hello\nelement vertex 3\n{types}end_header\n"
    path.write_bytes(head.encode() + rows.tobytes())
    assert_same(gaussians, read_ply(path))


def valid(tmp_path: Path) -> bytes:
    write_ply(tmp_path / "valid.ply", some_gaussians(4, 0))
    return (tmp_path / "valid.ply").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"ply\n", b"plx\n", "not a PLY"),
        (b"ply\nformat", b"ply\r\nformat", "does not end"),
        (b"binary_little_endian", b"ascii", "cut short|damaged"),
        (b"binary_little_endian", b"binary_middle_endian", "does not say that its format"),
        (b"vertex 4", b"vertex 4000000000", "cut short"),
        (b"vertex 4", b"vertex 3", "more than"),
        (b"vertex 4", b"vertex -4", "that no PLY has"),
        (b"vertex 4", b"vertex 99999999999999999999", "that no PLY has"),
        (b"vertex 4", b"vertex 4.0", "that no PLY has"),
        (b"element vertex 4", b"element face 4", "no vertices"),
        (b"float opacity", b"float opaqueness", "lacks properties of a splat: opacity"),
        (b"float opacity", b"list uchar int opacity", "hold lists"),
        (b"float opacity", b"float128 opacity", "that no PLY has"),
        (b"float opacity", b"float x", "twice"),
        (b"float nx", b"float f_rest_0", "f_rest"),
        (b"end_header\n", b"end_of_it\n", "damaged"),
        (b"float nx", "float ñx".encode(), "plain text"),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, old: bytes, new: bytes, said: str) -> None:
    path = tmp_path / "bad.ply"
    path.write_bytes(valid(tmp_path).replace(old, new, 1))
    with pytest.raises(ValueError, match=said):
        read_ply(path)


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_truncated_files_are_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.ply"
    path.write_bytes(valid(tmp_path)[:keep])
    with pytest.raises(ValueError, match="PLY"):
        read_ply(path)


def test_a_header_without_end_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "long.ply"
    path.write_bytes(b"ply\nformat binary_little_endian 1.0\n" + b"comment x\n" * 50_000 + b"end_header\n")
    with pytest.raises(ValueError, match="damaged"):
        read_ply(path)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 0.0])
def test_odd_values_are_taken_as_they_are(tmp_path: Path, odd: float) -> None:
    model = some_gaussians()
    model.opacities[1] = odd
    model.quats[2] = odd
    path = tmp_path / "a.ply"
    write_ply(path, model)
    back = read_ply(path)
    np.testing.assert_array_equal(back.opacities, model.opacities)
    np.testing.assert_array_equal(back.quats, model.quats)
