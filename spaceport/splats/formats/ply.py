"""Gaussians as a PLY file, in the property layout that every splat viewer reads.

Binary little endian, one `vertex` element: x y z, nx ny nz (zeros), f_dc_0..2, f_rest_0..3K-1 (all of red, then green,
then blue), opacity, scale_0..2, rot_0..3. With degree 3 these are 62 properties. That a model is antialiased says a
comment, in the words of Brush, which splat-transform understands too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from spaceport.files import replacing
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import SHN_SIZES

_MAX_HEADER = 65_536
_ANTIALIASED = "SplatRenderMode: mip"
_POSTSHOT = "antialiased 1"  # how Postshot says it
_MAX_PROPERTIES = 1_000
_ROWS = 2_048  # read at once: they fit into the cache
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
    "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4", "float32": "<f4",
    "double": "<f8", "float64": "<f8",
}  # fmt: skip


def _names(rest: int) -> list[str]:
    return [
        *("x", "y", "z", "nx", "ny", "nz"),
        *(f"f_dc_{i}" for i in range(3)),
        *(f"f_rest_{i}" for i in range(3 * rest)),
        "opacity",
        *(f"scale_{i}" for i in range(3)),
        *(f"rot_{i}" for i in range(4)),
    ]


def write_ply(path: Path, gaussians: Gaussians, *, sh_degree: int | None = None) -> None:
    """Write `path` at once or not at all. `sh_degree` pads the SH with zeros up to that degree.

    Raises:
        ValueError: when `sh_degree` is less than the model's, which would drop colour.
    """
    degree = gaussians.sh_degree if sh_degree is None else sh_degree
    if not gaussians.sh_degree <= degree <= 3:
        raise ValueError(f"a model of SH degree {gaussians.sh_degree} cannot be written with degree {degree}")
    n, rest = len(gaussians), SHN_SIZES[degree]
    names = _names(rest)
    table = np.zeros((n, len(names)), dtype="<f4")
    table[:, 0:3] = gaussians.means
    table[:, 6:9] = gaussians.sh0[:, 0]
    padded = np.zeros((n, 3, rest), dtype=np.float32)
    padded[:, :, : gaussians.shN.shape[1]] = gaussians.shN.transpose(0, 2, 1)
    table[:, 9 : 9 + 3 * rest] = padded.reshape(n, 3 * rest)
    table[:, -8] = gaussians.opacities
    table[:, -7:-4] = gaussians.scales
    table[:, -4:] = gaussians.quats
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {_ANTIALIASED}"] * gaussians.antialiased + [f"element vertex {n}"]
    lines += [f"property float {name}" for name in names] + ["end_header", ""]
    with replacing(path) as part, part.open("wb") as file:
        file.write("\n".join(lines).encode("ascii"))
        file.write(table.tobytes())


def read_ply(path: Path) -> Gaussians:
    """Read a splat PLY. Properties may come in any order and any scalar type; extra ones are ignored.

    Values are returned as they are: real models hold infinite opacities and worse, and the caller decides about those.

    Raises:
        ValueError: a sentence that says why the file is not a usable model.
        OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        count, layout, more, antialiased = _read_header(file)
        left = path.stat().st_size - file.tell()
        need = count * layout.itemsize
        if left < need:
            raise ValueError(f"the PLY is cut short: its header promises {need} bytes of Gaussians, {left} are there")
        if left > need and not more:
            raise ValueError(f"the PLY holds {left - need} bytes more than its header says")
        return replace(_gaussians(file, count, layout), antialiased=antialiased)


def _read_header(file: BinaryIO) -> tuple[int, np.dtype[np.void], bool, bool]:
    """Count of vertices, their layout, whether other elements follow, and whether a comment calls it antialiased."""
    head = file.read(_MAX_HEADER)
    mark = head.find(b"\nend_header\n")
    if not head.startswith(b"ply\n") or mark < 0:
        if head.startswith(b"ply\r"):
            raise ValueError("the PLY header ends its lines with carriage returns, which is not supported")
        raise ValueError("the file is not a PLY, or its header is damaged")
    file.seek(mark + len(b"\nend_header\n"))
    try:
        lines = [line.split() for line in head[4:mark].decode("ascii").split("\n")]
    except UnicodeDecodeError:
        raise ValueError("the PLY header is not plain text") from None
    comments = [" ".join(words[1:]).lower() for words in lines if words and words[0] == "comment"]
    antialiased = any(words in comments for words in (_ANTIALIASED.lower(), _POSTSHOT))
    lines = [words for words in lines if words and words[0] not in ("comment", "obj_info")]
    if not lines or lines[0] != ["format", "binary_little_endian", "1.0"]:
        format_name = " ".join(lines[0][1:2]) if lines else "none"
        raise ValueError(f"the PLY must be binary_little_endian 1.0; its format is {format_name[:40]!r}")
    if len(lines) < 2 or lines[1][:2] != ["element", "vertex"] or len(lines[1]) != 3 or not _is_count(lines[1][2]):
        raise ValueError("the PLY must begin with `element vertex COUNT`")
    body = lines[2:]
    ends = next((i for i, words in enumerate(body) if words[0] == "element"), len(body))
    return int(lines[1][2]), _layout(body[:ends]), ends < len(body), antialiased


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 10


def _layout(lines: list[list[str]]) -> np.dtype[np.void]:
    if len(lines) > _MAX_PROPERTIES:
        raise ValueError(f"the PLY names {len(lines)} properties; at most {_MAX_PROPERTIES} are taken")
    fields: dict[str, str] = {}
    for words in lines:
        if len(words) != 3 or words[0] != "property" or words[1] not in _TYPES:
            raise ValueError(f"the PLY header has a line that a splat model never has: {' '.join(words)[:60]!r}")
        if words[2] in fields:
            raise ValueError(f"the PLY names property {words[2][:40]!r} twice")
        fields[words[2]] = _TYPES[words[1]]
    return np.dtype(list(fields.items()))


def _gaussians(file: BinaryIO, count: int, layout: np.dtype[np.void]) -> Gaussians:
    """Read the rows a few at a time, so that they stay in the cache."""
    fields = layout.names or ()
    rest = sum(name.startswith("f_rest_") for name in fields)
    if rest not in {3 * k for k in SHN_SIZES}:
        raise ValueError(f"the PLY has {rest} f_rest properties; a splat model has 0, 9, 24 or 45")
    shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, 1, 3), (count, rest // 3, 3))
    means, quats, scales, opacities, sh0, shN = (np.empty(shape, np.float32) for shape in shapes)
    gaussians = Gaussians(means, quats, scales, opacities, sh0, shN)
    columns = _columns(gaussians)
    if missing := [name for name in columns if name not in fields]:
        raise ValueError(f"the PLY lacks properties of a splat model: {', '.join(missing[:5])}")
    for start in range(0, count, _ROWS):
        rows = min(_ROWS, count - start)
        table = np.frombuffer(file.read(rows * layout.itemsize), dtype=layout, count=rows)
        with np.errstate(over="ignore"):
            for name, column in columns.items():
                column[start : start + rows] = table[name]
    return gaussians


def _columns(of: Gaussians) -> dict[str, npt.NDArray[np.float32]]:
    """Every column [N] of the model's arrays by the name of its property; to write into one is to write into them."""
    names = (name for name in _names(of.shN.shape[1]) if name not in ("nx", "ny", "nz"))
    further = [of.shN[:, k, channel] for channel in range(3) for k in range(of.shN.shape[1])]
    return dict(
        zip(names, [*of.means.T, *of.sh0[:, 0].T, *further, of.opacities, *of.scales.T, *of.quats.T], strict=True)
    )
