"""The reader of COLMAP's binary model: right on honest files, a sentence on all others."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.train.colmap_model import read_sparse_model


def cameras_bin(
    model: int = 1, width: int = 40, height: int = 30, parameters: tuple[float, ...] = (50, 51, 20, 15)
) -> bytes:
    return struct.pack("<QiiQQ", 1, 7, model, width, height) + struct.pack(f"<{len(parameters)}d", *parameters)


def image_record(
    name: bytes = b"a.jpg", camera: int = 7, quat: tuple[float, ...] = (1, 0, 0, 0), points: int = 2
) -> bytes:
    pose = struct.pack("<i7di", 1, *quat, 0.1, 0.2, 0.3, camera)
    return pose + name + b"\0" + struct.pack("<Q", points) + struct.pack("<ddq", 1.0, 2.0, -1) * points


def images_bin(*records: bytes) -> bytes:
    return struct.pack("<Q", len(records)) + b"".join(records)


def points_bin(points: list[tuple[float, float, float]], track: int = 3) -> bytes:
    body = b"".join(
        struct.pack("<Q3d3BdQ", i, *xyz, 10, 20, 30, 0.5, track) + b"\0" * (8 * track) for i, xyz in enumerate(points)
    )
    return struct.pack("<Q", len(points)) + body


def write_model(
    folder: Path, cameras: bytes | None = None, images: bytes | None = None, points: bytes | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.bin").write_bytes(cameras_bin() if cameras is None else cameras)
    (folder / "images.bin").write_bytes(images_bin(image_record()) if images is None else images)
    (folder / "points3D.bin").write_bytes(points_bin([(1, 2, 3), (4, 5, 6)]) if points is None else points)
    return folder


def test_reads_what_was_written(tmp_path: Path) -> None:
    half = np.sqrt(0.5)
    turned = image_record(b"b/z.jpg", quat=(half, 0, 0, half), points=0)
    model = read_sparse_model(write_model(tmp_path, images=images_bin(turned, image_record())))
    assert [image.name for image in model.images] == ["a.jpg", "b/z.jpg"]
    assert model.images[0].camera.fy == 51
    np.testing.assert_allclose(model.images[0].world_to_camera[:3, 3], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(model.images[1].world_to_camera[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(model.xyz, [[1, 2, 3], [4, 5, 6]])
    assert model.rgb.tolist() == [[10, 20, 30]] * 2


def test_simple_pinhole_has_one_focal_length(tmp_path: Path) -> None:
    model = read_sparse_model(write_model(tmp_path, cameras=cameras_bin(model=0, parameters=(50, 20, 15))))
    camera = model.images[0].camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 50, 20, 15)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"cameras": cameras_bin(model=4, parameters=(1,) * 8)}, "only undistorted pinhole"),
        ({"cameras": cameras_bin(parameters=(np.nan, 1, 1, 1))}, "impossible values"),
        ({"cameras": cameras_bin(parameters=(-5, 5, 1, 1))}, "impossible values"),
        ({"cameras": cameras_bin(width=1 << 40)}, "impossible values"),
        ({"cameras": struct.pack("<Q", 1 << 60)}, "claims"),
        ({"images": images_bin(image_record(b"../../etc/passwd"))}, "unsafe photo name"),
        ({"images": images_bin(image_record(b"/etc/passwd"))}, "unsafe photo name"),
        ({"images": images_bin(image_record(b""))}, "unsafe photo name"),
        ({"images": images_bin(image_record(b"\xff\xfe"))}, "not UTF-8"),
        ({"images": images_bin(image_record(b"x" * 5000))}, "name without an end"),
        ({"images": images_bin(image_record(camera=99))}, "unknown camera"),
        ({"images": images_bin(image_record(), image_record())}, "listed twice"),
        ({"images": images_bin(image_record(quat=(0, 0, 0, 0)))}, "not a rigid motion"),
        ({"images": images_bin(image_record(quat=(np.nan, 0, 0, 0)))}, "not a rigid motion"),
        ({"images": images_bin(image_record()) + b"x"}, "longer than its records"),
        ({"images": struct.pack("<Q", 1) + image_record()[:-48] + struct.pack("<Q", 1 << 50)}, "images.bin"),
        ({"points": points_bin([(np.inf, 0, 0)])}, "not finite"),
        ({"points": struct.pack("<Q", 1 << 61)}, "claims"),
        ({"points": b""}, "ends too early"),
    ],
)
def test_lying_files_are_refused(tmp_path: Path, parts: dict[str, bytes], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_sparse_model(write_model(tmp_path, **parts))


def test_missing_file_is_named(tmp_path: Path) -> None:
    (write_model(tmp_path) / "images.bin").unlink()
    with pytest.raises(ValueError, match=r"images\.bin cannot be read"):
        read_sparse_model(tmp_path)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_every_truncation_is_noticed(tmp_path: Path, name: str) -> None:
    whole = (write_model(tmp_path) / name).read_bytes()
    for length in range(len(whole)):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(ValueError, match=name):
            read_sparse_model(tmp_path)


@settings(max_examples=200)
@given(flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=8))
def test_damaged_bytes_never_do_worse_than_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    folder = write_model(tmp_path_factory.mktemp("model", numbered=True))
    for name in ("cameras.bin", "images.bin", "points3D.bin"):
        raw = bytearray((folder / name).read_bytes())
        for at, change in flips:
            raw[at % len(raw)] ^= change
        (folder / name).write_bytes(raw)
    try:
        model = read_sparse_model(folder)
    except ValueError as error:
        assert str(error)
    else:
        assert np.isfinite(model.xyz).all()
