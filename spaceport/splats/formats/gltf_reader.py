"""Reads glTF 2.0 with KHR_gaussian_splatting: .glb, or .gltf that carries its buffer.

A model keeps its own coordinates: a rotation of its node says which way is up, as glTF's +y is, and is not applied;
sizes and offsets of nodes are. An SPZ within it (KHR_gaussian_splatting_compression_spz_2) is read as one.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.extras import frame_of
from spaceport.splats.formats import spz
from spaceport.splats.formats.limits import BrokenFile, as_gaussians, budget_of, check_count
from spaceport.splats.frame import Frame, direction
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.attributes import opacity, rotations

EXTENSION = "KHR_gaussian_splatting"
SPZ_EXTENSION = "KHR_gaussian_splatting_compression_spz_2"
MAX_JSON = 16 << 20
MAX_TEXT = 1 << 30
"""Bytes of a .gltf, whose numbers are in its JSON."""
MAX_NODES = 10_000
CHUNK = struct.Struct("<I4s")
HEAD = struct.Struct("<4sII")
COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
SMALLEST_SCALE = 1e-9
"""Stands for a size of 0, which has no logarithm."""

Array = NDArray[Any]


def read(path: Path) -> Gaussians:
    """Read the one splat of a glTF file.

    Raises:
        BrokenFile: a sentence on the first rule that the file breaks, or why it is no single splat.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    text, buffer = _parts(data)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise BrokenFile("The JSON of the glTF is damaged.") from None
    try:
        with np.errstate(all="ignore"):  # numbers out of all bounds are checked for where they matter
            return _Document(document, buffer, budget_of(path)).model()
    except BrokenFile:
        raise
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise BrokenFile(f"The glTF is damaged: it lacks or misplaces {str(error)[:60]}.") from None


def _parts(data: bytes) -> tuple[bytes, bytes | None]:
    """The JSON, and the binary chunk of a .glb."""
    if data[:4] != b"glTF":
        if len(data) > MAX_TEXT:
            raise BrokenFile("The .gltf is too large to be read as text. Export it as .glb.")
        return data, None
    if len(data) < HEAD.size + CHUNK.size or HEAD.unpack_from(data)[1] != 2:
        raise BrokenFile("The .glb is cut short, or not of version 2.")
    length, kind = CHUNK.unpack_from(data, HEAD.size)
    start = HEAD.size + CHUNK.size
    if kind != b"JSON" or length > min(MAX_JSON, len(data) - start):
        raise BrokenFile("The .glb does not begin with its JSON, or is cut short in it.")
    after = start + length
    if len(data) - after < CHUNK.size:
        return data[start:after], None
    size, kind = CHUNK.unpack_from(data, after)
    if kind != b"BIN\0" or size > len(data) - after - CHUNK.size:
        raise BrokenFile("The .glb is cut short: its numbers are not all there.")
    return data[start:after], data[after + CHUNK.size : after + CHUNK.size + size]


@dataclass
class _Document:
    json: dict[str, Any]
    buffer: bytes | None
    budget: int

    def model(self) -> Gaussians:
        mesh, primitive = self._primitive()
        extension = primitive["extensions"][EXTENSION]
        packed = extension.get("extensions", {}).get(SPZ_EXTENSION)
        if packed is not None:
            # such a model lies in its node as glTF's text says, whatever the SPZ thinks of up
            model = replace(spz.decode(self._view(packed["bufferView"]), self.budget), frame=Frame())
        else:
            model = self._gaussians(primitive["attributes"])
        return self._in_node(model, self._matrix(mesh))

    def _primitive(self) -> tuple[int, dict[str, Any]]:
        splats = [
            (number, primitive)
            for number, mesh in enumerate(self.json.get("meshes", []))
            for primitive in mesh["primitives"]
            if EXTENSION in primitive.get("extensions", {})
        ]
        if not splats:
            raise BrokenFile("The glTF holds no splat: nothing in it has KHR_gaussian_splatting.")
        if len(splats) > 1:
            raise BrokenFile(f"The glTF holds {len(splats)} splats. Export one at a time.")
        return splats[0]

    def _gaussians(self, attributes: dict[str, int]) -> Gaussians:
        count = self.json["accessors"][attributes["POSITION"]]["count"]
        degree = max((d for d in range(4) if f"{EXTENSION}:SH_DEGREE_{d}_COEF_0" in attributes), default=0)
        if type(count) is not int:
            raise BrokenFile("The glTF does not say how many Gaussians it holds.")
        check_count(count, SHN_SIZES[degree], self.budget)
        means = self._values(attributes["POSITION"], 3, count)
        quats = self._values(attributes[f"{EXTENSION}:ROTATION"], 4, count)[:, [3, 0, 1, 2]]
        scales = self._values(attributes[f"{EXTENSION}:SCALE"], 3, count)
        alpha = self._values(attributes[f"{EXTENSION}:OPACITY"], 1, count)[:, 0]
        if (scales < 0).any() or (alpha < 0).any() or (alpha > 1).any():
            raise BrokenFile("The glTF has sizes below 0 or opacities beyond 0 to 1, as an early draft had it.")
        sh = [
            self._values(attributes[f"{EXTENSION}:SH_DEGREE_{d}_COEF_{k}"], 3, count)
            for d in range(degree + 1)
            for k in range(2 * d + 1)
        ]
        return as_gaussians(
            means=means,
            quats=quats,
            scales=np.log(np.maximum(scales, SMALLEST_SCALE)),
            opacities=opacity.logit(alpha),
            sh0=sh[0][:, None],
            shN=np.stack(sh[1:], axis=1) if degree else np.zeros((count, 0, 3)),
        )

    def _values(self, accessor_number: int, width: int, count: int) -> Array:
        """The numbers of an accessor, [count, width]; integers that stand for 0..1 or -1..1 as these."""
        accessor = self.json["accessors"][accessor_number]
        if accessor.get("sparse") or WIDTHS.get(accessor["type"]) != width or accessor["count"] != count:
            raise BrokenFile("An attribute of the glTF is sparse, or has another number of values than it should.")
        kind = np.dtype(COMPONENTS[accessor["componentType"]])
        view = self.json["bufferViews"][accessor["bufferView"]]
        stride = view.get("byteStride", kind.itemsize * width)
        data = self._view(accessor["bufferView"])
        start = accessor.get("byteOffset", 0)
        need = start + (count - 1) * stride + kind.itemsize * width
        if type(start) is not int or type(stride) is not int or start < 0 or stride < kind.itemsize * width:
            raise BrokenFile("An attribute of the glTF has an impossible place.")
        if need > len(data):
            raise BrokenFile("The glTF is cut short: an attribute lies past its end.")
        values = np.ndarray((count, width), kind, data, start, (stride, kind.itemsize))
        if kind.kind == "f":
            return values.astype(np.float32)
        if not accessor.get("normalized"):
            raise BrokenFile("The glTF stores an attribute as integers that are not normalized.")
        return np.maximum(values / float(np.iinfo(kind).max), -1.0)

    def _view(self, number: int) -> bytes:
        view = self.json["bufferViews"][number]
        start, length = view.get("byteOffset", 0), view["byteLength"]
        data = self._buffer(view["buffer"])
        if type(start) is not int or type(length) is not int or start < 0 or length < 0 or start + length > len(data):
            raise BrokenFile("The glTF is cut short: a buffer view lies past its end.")
        return data[start : start + length]

    def _buffer(self, number: int) -> bytes:
        uri = self.json["buffers"][number].get("uri")
        if uri is None and number == 0 and self.buffer is not None:
            return self.buffer
        kind, _, text = str(uri).partition(";base64,")
        if not kind.startswith("data:"):
            raise BrokenFile("The .gltf keeps its numbers in another file. Export it as .glb, which holds them itself.")
        if self.buffer is None:
            try:
                self.buffer = base64.b64decode(text, validate=True)
            except binascii.Error:
                raise BrokenFile("The buffer within the .gltf is damaged.") from None
        return self.buffer

    def _matrix(self, mesh: int) -> Array:
        """From the mesh's coordinates to the scene's, [4,4]."""
        nodes = self.json.get("nodes", [])
        if len(nodes) > MAX_NODES:
            raise BrokenFile(f"The glTF has {len(nodes)} nodes; at most {MAX_NODES} are read.")
        parents = {child: number for number, node in enumerate(nodes) for child in node.get("children", [])}
        node = next((number for number, node in enumerate(nodes) if node.get("mesh") == mesh), None)
        matrix = np.eye(4)
        for _ in range(len(nodes)):
            if node is None:
                return matrix
            matrix = _matrix_of(nodes[node]) @ matrix
            node = parents.get(node)
        if node is not None:
            raise BrokenFile("The nodes of the glTF go round in a circle.")
        return matrix

    def _in_node(self, model: Gaussians, matrix: Array) -> Gaussians:
        """The model in its own coordinates, with the node's size and offset, and up as the node's rotation says."""
        size = _size_of(matrix[:3, :3])
        rotation = matrix[:3, :3] / size
        up = direction(np.round(rotation.T @ (0.0, 1.0, 0.0), 7) + 0.0)
        frame = replace(frame_of(self.json.get("extras")), up=up)
        if np.allclose(size, 1, rtol=0, atol=1e-9) and not matrix[:3, 3].any():
            return replace(model, frame=frame)
        means = model.means * size + rotation.T @ matrix[:3, 3]
        return replace(
            model, means=means.astype(np.float32), scales=model.scales + np.float32(np.log(size)), frame=frame
        )


def _size_of(matrix: Array) -> float:
    """How many times a matrix [3,3] enlarges. Raises BrokenFile where it does more than that and a rotation."""
    size = float(np.cbrt(np.linalg.det(matrix))) if np.isfinite(matrix).all() else 0.0
    even = np.allclose(matrix @ matrix.T, np.eye(3) * size**2, rtol=1e-4, atol=1e-4 * size**2)
    if not (1e-6 < size < 1e6 and even):
        raise BrokenFile("The glTF stretches or mirrors its splat, which Gaussians cannot follow. Apply the transform.")
    return size


def _matrix_of(node: dict[str, Any]) -> Array:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = (float(part) for part in node.get("rotation", (0, 0, 0, 1)))
    scale = np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, :3] = rotations.matrices(np.array([[w, x, y, z]]))[0] * scale
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix
