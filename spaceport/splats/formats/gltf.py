"""glTF 2.0 with KHR_gaussian_splatting, as one binary file (.glb) or as JSON that carries its buffer (.gltf).

Written from the extension's text (github.com/KhronosGroup/glTF, release candidate of 2026-07). Every number is kept as
a float. glTF's up is +y: a node turns the model upright, so that the Gaussians stay as they were trained.
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceport.files import write_atomic
from spaceport.splats.extras import extras_of
from spaceport.splats.frame import rotation_to_y_up
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import C0, SHN_SIZES
from spaceport.splats.sog.attributes import opacity, rotations
from spaceport.splats.sog.codec.meta import GENERATOR

EXTENSION = "KHR_gaussian_splatting"
FLOAT, BYTE, ARRAY_BUFFER, POINTS = 5126, 5121, 34962, 0
TYPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
MAX_BYTES = (1 << 32) - 1

Array = NDArray[Any]


def write(path: Path, gaussians: Gaussians, up: tuple[float, float, float] = (0, 0, 1)) -> None:
    """Write .glb, or .gltf if the name says so, at once or not at all. `up` is the model's upward axis.

    Raises:
        ValueError: the model needs more than the 4 GiB that a .glb can have.
    """
    document, buffer = _document(gaussians, up)
    if path.suffix.lower() == ".gltf":
        document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(buffer).decode()
        write_atomic(path, json.dumps(document, separators=(",", ":"), allow_nan=False).encode())
        return
    write_atomic(path, _binary(json.dumps(document, separators=(",", ":"), allow_nan=False).encode(), buffer))


def _binary(text: bytes, buffer: bytes) -> bytes:
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(buffer)
    if length > MAX_BYTES:
        raise ValueError(f"The model needs {length} bytes as .glb, more than the 4 GiB that its header can hold.")
    head = struct.pack("<4sII", b"glTF", 2, length)
    return b"".join(
        [head, struct.pack("<I4s", len(text), b"JSON"), text, struct.pack("<I4s", len(buffer), b"BIN\0"), buffer]
    )


def _document(gaussians: Gaussians, up: tuple[float, float, float]) -> tuple[dict[str, Any], bytes]:
    attributes = _attributes(gaussians)
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    offset = 0
    for name, values in attributes.items():
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": values.nbytes, "target": ARRAY_BUFFER})
        accessors.append(_accessor(name, values, len(accessors)))
        offset += values.nbytes
    primitive = {
        "attributes": {name: i for i, name in enumerate(attributes)},
        "mode": POINTS,
        "extensions": {EXTENSION: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}},
    }
    document = {
        "asset": {"version": "2.0", "generator": GENERATOR},
        **({"extras": extras} if (extras := extras_of(gaussians.frame)) else {}),
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "rotation": rotation_to_y_up(up)}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": offset}],
        "bufferViews": views,
        "accessors": accessors,
    }
    return document, b"".join(values.tobytes() for values in attributes.values())


def _accessor(name: str, values: Array, view: int) -> dict[str, Any]:
    floats = values.dtype == np.float32
    accessor: dict[str, Any] = {
        "bufferView": view,
        "componentType": FLOAT if floats else BYTE,
        "count": len(values),
        "type": TYPES[values.size // len(values)],
    }
    if name == "POSITION":
        accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
    return accessor if floats else accessor | {"normalized": True}


def _attributes(gaussians: Gaussians) -> dict[str, Array]:
    """By semantic; each a multiple of four bytes long, as alignment wants."""
    alpha = opacity.alpha(gaussians.opacities)
    shown = np.clip(0.5 + C0 * gaussians.sh0[:, 0].astype(np.float64), 0, 1)
    fallback = np.concatenate([_srgb_to_linear(shown), alpha[:, None]], axis=1)
    attributes: dict[str, Array] = {
        "POSITION": gaussians.means,
        "COLOR_0": np.floor(fallback * 255 + 0.5).astype(np.uint8),
        f"{EXTENSION}:ROTATION": rotations.normalise(gaussians.quats)[:, [1, 2, 3, 0]].astype(np.float32),
        f"{EXTENSION}:SCALE": np.exp(gaussians.scales),
        f"{EXTENSION}:OPACITY": alpha.astype(np.float32),
        f"{EXTENSION}:SH_DEGREE_0_COEF_0": gaussians.sh0[:, 0],
    }
    for degree in range(1, gaussians.sh_degree + 1):
        for k in range(2 * degree + 1):
            values = np.ascontiguousarray(gaussians.shN[:, SHN_SIZES[degree - 1] + k])
            attributes[f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{k}"] = values
    return attributes


def _srgb_to_linear(srgb: Array) -> Array:
    """Decode sRGB: COLOR_0 is linear, splat colours are as shown."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
