"""glTF is read back: ours to the bit where floats allow, others' with their nodes; hostile ones end in a sentence."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import assert_same, made

from spaceport.splats.formats import gltf, gltf_reader, spz
from spaceport.splats.formats.limits import BrokenFile
from spaceport.splats.frame import Frame
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.rotations import matrices

Document = dict[str, Any]
HALF = 0.5**0.5


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
@pytest.mark.parametrize("degree", range(4))
def test_what_we_write_is_read_back(suffix: str, degree: int, tmp_path: Path) -> None:
    model = made(70, degree, 2)
    gltf.write(tmp_path / f"m{suffix}", model)
    back = gltf_reader.read(tmp_path / f"m{suffix}")
    assert_same(back, model)
    for name in ("means", "sh0", "shN"):
        np.testing.assert_array_equal(getattr(back, name), getattr(model, name))


def changed(path: Path, change: Callable[[Document], None], model: Gaussians) -> Gaussians:
    """A .gltf of the model with its document changed, read."""
    gltf.write(path, model, (0, 1, 0))
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))
    return gltf_reader.read(path)


def test_a_node_may_enlarge_and_move_the_model(tmp_path: Path) -> None:
    model = made(30, 0, 4)

    def place(document: Document) -> None:
        document["nodes"][0] |= {"scale": [2, 2, 2], "rotation": [HALF, 0, 0, HALF]}
        document["nodes"].append({"children": [0], "translation": [1, 2, 3]})
        document["scenes"][0]["nodes"] = [1]

    back = changed(tmp_path / "m.gltf", place, model)
    assert back.frame.up == pytest.approx((0, 0, -1)), "a quarter turn about x takes -z to y"
    turn = matrices(np.array([[HALF, HALF, 0, 0]]))[0]
    np.testing.assert_allclose(back.means @ turn.T, 2 * model.means @ turn.T + (1, 2, 3), atol=1e-5)
    np.testing.assert_allclose(back.scales, model.scales + np.log(2), atol=1e-5)


def test_a_matrix_is_as_good(tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] *= 3
    matrix[:3, 3] = (1, 0, 0)

    def place(document: Document) -> None:
        document["nodes"][0] = {"mesh": 0, "matrix": matrix.T.ravel().tolist()}

    model = made(5, 1, 4)
    back = changed(tmp_path / "m.gltf", place, model)
    np.testing.assert_allclose(back.means, 3 * model.means + (1, 0, 0), atol=1e-5)
    assert back.frame == Frame(up=(0, 1, 0))


def test_numbers_may_be_interleaved_and_integers(tmp_path: Path) -> None:
    model = made(6, 0, 4)
    rotation = np.rint(model.quats / np.linalg.norm(model.quats, axis=1, keepdims=True) * 32767)[:, [1, 2, 3, 0]]
    rows = np.zeros(6, [("position", "<f4", 3), ("rotation", "<i2", 4), ("opacity", "u1"), ("pad", "u1", 3)])
    rows["position"], rows["rotation"], rows["opacity"] = model.means, rotation, 51

    def interleave(document: Document) -> None:
        old = base64.b64decode(document["buffers"][0]["uri"].partition(",")[2])
        document["buffers"][0]["uri"] = "data:;base64," + base64.b64encode(old + rows.tobytes()).decode()
        document["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(old), "byteLength": rows.nbytes, "byteStride": rows.itemsize}
        )
        attributes = document["meshes"][0]["primitives"][0]["attributes"]
        new = {"bufferView": len(document["bufferViews"]) - 1, "count": 6}
        for name, kind, form, at in (
            ("POSITION", 5126, "VEC3", 0),
            ("KHR_gaussian_splatting:ROTATION", 5122, "VEC4", 12),
            ("KHR_gaussian_splatting:OPACITY", 5121, "SCALAR", 20),
        ):
            attributes[name] = len(document["accessors"])
            more = {"componentType": kind, "type": form, "byteOffset": at, "normalized": kind != 5126}
            document["accessors"].append(new | more)

    back = changed(tmp_path / "m.gltf", interleave, model)
    expected = replace(model, opacities=np.full(6, np.log(0.2 / 0.8), np.float32))
    assert_same(back, expected, degrees=0.2)


def test_an_spz_within_is_read(tmp_path: Path) -> None:
    model = made(50, 1, 2)
    spz.write(tmp_path / "m.spz", model)
    data = (tmp_path / "m.spz").read_bytes()

    def pack(document: Document) -> None:
        document["buffers"] = [{"byteLength": len(data), "uri": "data:;base64," + base64.b64encode(data).decode()}]
        document["bufferViews"] = [{"buffer": 0, "byteLength": len(data)}]
        packed = {gltf_reader.SPZ_EXTENSION: {"bufferView": 0}}
        document["meshes"][0]["primitives"][0]["extensions"][gltf_reader.EXTENSION] = {"extensions": packed}

    back = changed(tmp_path / "m.gltf", pack, model)
    np.testing.assert_array_equal(back.means, spz.read(tmp_path / "m.spz").means)


def mirror(document: Document) -> None:
    document["nodes"][0]["scale"] = [-1, 1, 1]


def stretch(document: Document) -> None:
    document["nodes"][0]["scale"] = [1, 2, 1]


def circle(document: Document) -> None:
    document["nodes"] = [{"mesh": 0, "children": [1]}, {"children": [0]}]


def two(document: Document) -> None:
    document["meshes"] *= 2


def none(document: Document) -> None:
    document["meshes"][0]["primitives"][0]["extensions"] = {}


def elsewhere(document: Document) -> None:
    document["buffers"][0]["uri"] = "https://example.com/a.bin"


def too_many(document: Document) -> None:
    for accessor in document["accessors"]:
        accessor["count"] = 2**31


def past_the_end(document: Document) -> None:
    document["bufferViews"][0]["byteOffset"] = 10**9


def negative(document: Document) -> None:
    document["accessors"][0]["byteOffset"] = -4


def draft(document: Document) -> None:
    document["accessors"][3] = document["accessors"][0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (mirror, "stretches or mirrors"),
        (stretch, "stretches or mirrors"),
        (circle, "circle"),
        (two, "2 splats"),
        (none, "no splat"),
        (elsewhere, "another file"),
        (too_many, "memory limit"),
        (past_the_end, "past its end"),
        (negative, "impossible place"),
        (draft, "below 0"),
        (lambda document: document.pop("accessors"), "damaged"),
        (lambda document: document["nodes"][0].update(matrix=[1, 2]), "damaged"),
        (lambda document: document["nodes"][0].update(scale=[1e400, 1, 1]), "stretches"),
    ],
)
def test_a_hostile_document_is_refused(change: Callable[[Document], None], words: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match=words):
        changed(tmp_path / "m.gltf", change, made(9, 0, 4))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"glTF", "cut short"),
        (struct.pack("<4sII", b"glTF", 1, 12) + bytes(8), "version 2"),
        (struct.pack("<4sIII4s", b"glTF", 2, 20, 2**31, b"JSON"), "begin with its JSON"),
        (struct.pack("<4sIII4s", b"glTF", 2, 20, 4, b"JSON") + b"[[[[", "JSON of the glTF"),
        (struct.pack("<4sIII4s", b"glTF", 2, 20, 4, b"JSON") + b"null", "damaged"),
        (struct.pack("<4sIII4s", b"glTF", 2, 20, 4, b"JSON") + b"null" + bytes(8), "numbers are not all there"),
    ],
)
def test_a_cut_file_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.glb").write_bytes(data)
    with pytest.raises(BrokenFile, match=words):
        gltf_reader.read(tmp_path / "m.glb")
