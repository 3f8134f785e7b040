import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spaceport.splats.cameras import Camera, read_cameras, write_cameras


def a_camera(**changed: Any) -> Camera:
    c, s = np.cos(0.3), np.sin(0.3)
    pose = np.array([[c, 0, s, 1], [0, 1, 0, 2], [-s, 0, c, 3], [0, 0, 0, 1]])
    fields: dict[str, Any] = {
        "name": "a.jpg",
        "width": 640,
        "height": 481,
        "fx": 500.5,
        "fy": 501.0,
        "cx": 320.0,
        "cy": 240.5,
    }
    return Camera(**(fields | {"world_to_camera": pose} | changed))


def test_round_trip(tmp_path: Path) -> None:
    cameras = [a_camera(), a_camera(name="ü.jpg", held_out=True)]
    write_cameras(tmp_path / "cameras.json", cameras)
    again = read_cameras(tmp_path / "cameras.json")
    assert [(c.name, c.width, c.height, c.fx, c.fy, c.cx, c.cy, c.held_out) for c in again] == [
        (c.name, c.width, c.height, c.fx, c.fy, c.cx, c.cy, c.held_out) for c in cameras
    ]
    np.testing.assert_array_equal(again[0].world_to_camera, cameras[0].world_to_camera)
    assert [path.name for path in tmp_path.iterdir()] == ["cameras.json"]


def test_position_maps_to_the_origin() -> None:
    camera = a_camera()
    np.testing.assert_allclose(camera.world_to_camera @ [*camera.position, 1], [0, 0, 0, 1], atol=1e-12)


def test_points_project_along_their_rays() -> None:
    camera = a_camera()
    u, v, depth = np.array([0.5, 320.0, 700.0]), np.array([0.5, 240.5, -20.0]), np.array([1.0, 7.0, 0.2])
    local = np.stack([(u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth, depth], axis=1)
    world = (local - camera.world_to_camera[:3, 3]) @ camera.world_to_camera[:3, :3]
    np.testing.assert_allclose(camera.project(world), [u, v, depth], atol=1e-9)
    assert camera.project(camera.position[None])[2] == pytest.approx(0, abs=1e-12)


def test_scaled_keeps_the_view() -> None:
    camera = a_camera()
    half = camera.rescale(0.5)
    assert (half.width, half.height) == (320, 240)
    assert half.fx / half.width == pytest.approx(camera.fx / camera.width)
    assert half.cy / half.height == pytest.approx(camera.cy / camera.height)
    assert camera.rescale(1e-9).width == 1


def test_a_pose_cannot_be_changed_from_outside() -> None:
    pose = np.eye(4)
    camera = a_camera(world_to_camera=pose)
    pose[0, 3] = 7
    assert camera.world_to_camera[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        camera.world_to_camera[0, 3] = 7


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 0},
        {"height": 10**9},
        {"fx": 0.0},
        {"fy": float("nan")},
        {"cx": float("inf")},
        {"world_to_camera": np.eye(3)},
        {"world_to_camera": np.diag([2.0, 2, 2, 1])},
        {"world_to_camera": np.full((4, 4), np.nan)},
    ],
)
def test_impossible_cameras_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a\.jpg"):
        a_camera(**changed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "[]",
        '{"version": 2, "cameras": []}',
        '{"version": 1, "cameras": {}}',
        '{"version": 1, "cameras": [1]}',
        '{"version": 1, "cameras": [{}]}',
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cameras.json").write_text(text)
    with pytest.raises(ValueError, match=r"cameras\.json"):
        read_cameras(tmp_path / "cameras.json")


@pytest.mark.parametrize(
    ("field", "value"), [("width", 1.5), ("width", True), ("name", 3), ("fx", []), ("held_out", 1)]
)
def test_wrong_fields_are_refused(tmp_path: Path, field: str, value: Any) -> None:
    path = tmp_path / "cameras.json"
    write_cameras(path, [a_camera()])
    tree = json.loads(path.read_text())
    tree["cameras"][0][field] = value
    path.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match="wrong fields"):
        read_cameras(path)
