"""glTF: the numbers lie where the document says, ready as the extension wants them, and the node turns up to +y."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import alphas, angles, made
from random_models import gaussians

from spaceport.splats.formats import gltf
from spaceport.splats.model import Gaussians

NAMES = {5126: "<f4", 5121: "u1"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    if path.suffix == ".gltf":
        document = json.loads(data)
        return document, base64.b64decode(document["buffers"][0]["uri"].partition(",")[2])
    magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    rest, kind = struct.unpack_from("<I4s", data, 20 + size)
    assert kind == b"BIN\0" and 28 + size + rest == len(data) and size % 4 == rest % 4 == 0
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def attributes(document: dict[str, Any], buffer: bytes) -> dict[str, np.ndarray]:
    arrays = {}
    for name, index in document["meshes"][0]["primitives"][0]["attributes"].items():
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        data = buffer[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        rows = np.frombuffer(data, NAMES[accessor["componentType"]]).reshape(accessor["count"], -1)
        assert rows.shape[1] == WIDTHS[accessor["type"]]
        arrays[name.removeprefix("KHR_gaussian_splatting:")] = rows
    return arrays


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
@pytest.mark.parametrize("degree", range(4))
def test_every_number_is_kept(suffix: str, degree: int, tmp_path: Path) -> None:
    model = made(70, degree, 2)
    gltf.write(tmp_path / f"m{suffix}", model)
    document, buffer = parts(tmp_path / f"m{suffix}")
    arrays = attributes(document, buffer)
    assert np.array_equal(arrays["POSITION"], model.means)
    assert document["accessors"][0]["min"] == model.means.min(axis=0).tolist()
    assert np.allclose(np.log(arrays["SCALE"]), model.scales, atol=1e-5)
    assert np.allclose(arrays["OPACITY"][:, 0], alphas(model), atol=1e-6)
    turned = Gaussians(**model.arrays() | {"quats": arrays["ROTATION"][:, [3, 0, 1, 2]]})
    assert angles(turned, model).max() < 0.1
    assert np.allclose(np.linalg.norm(arrays["ROTATION"], axis=1), 1, atol=1e-6)
    names = [f"SH_DEGREE_{d}_COEF_{k}" for d in range(degree + 1) for k in range(2 * d + 1)]
    assert [name for name in arrays if name.startswith("SH")] == names
    bands = np.concatenate([model.sh0, model.shN], axis=1)
    assert all(np.array_equal(arrays[name], bands[:, i]) for i, name in enumerate(names))


@pytest.mark.parametrize("up", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_the_node_turns_up_to_y(up: tuple[float, float, float], tmp_path: Path) -> None:
    gltf.write(tmp_path / "m.glb", made(3, 0, 1), up)
    x, y, z, w = parts(tmp_path / "m.glb")[0]["nodes"][0]["rotation"]
    axis, vector = np.array([x, y, z]), np.array(up)
    turned = vector + 2 * np.cross(axis, np.cross(axis, vector) + w * vector)
    assert np.allclose(turned, (0, 1, 0), atol=1e-12)


def test_the_fallback_colour_is_linear(tmp_path: Path) -> None:
    model = made(4, 0, 1)
    half = gaussians(**model.arrays() | {"sh0": np.zeros((4, 1, 3)), "opacities": np.zeros(4)})
    gltf.write(tmp_path / "m.glb", half)
    assert attributes(*parts(tmp_path / "m.glb"))["COLOR_0"].tolist() == [[55, 55, 55, 128]] * 4
