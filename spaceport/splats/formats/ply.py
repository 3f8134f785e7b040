"""Gaussians as a PLY file: written in the layout that every splat viewer reads, read in all dialects that we know of.

Written: binary little endian, one `vertex` element: x y z, nx ny nz (zeros), f_dc_0..2, f_rest_0..3K-1 (all of red,
then green, then blue), opacity, scale_0..2, rot_0..3. With degree 3 these are 62 properties.

Read: text or binary of either byte order, elements and properties in any order and of any scalar type, models of 2D
Gaussian splatting, SH bands above 3 (left out, and said so), positions far from 0 (moved to an origin of their own).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from spaceport.files import replacing
from spaceport.splats.formats.limits import BrokenFile
from spaceport.splats.formats.ply_frame import comments_of, frame_of, is_antialiased
from spaceport.splats.formats.ply_header import MAX_HEADER, Element, PlyHeader, parse_header
from spaceport.splats.frame import UNKNOWN, far_origin
from spaceport.splats.model import Gaussians
from spaceport.splats.scratch import allocate, free_pages
from spaceport.splats.sh import SHN_SIZES, degree_of_size
from spaceport.splats.sog.codec.sanitise import SMALLEST_LOG_SCALE

ROWS = 2_048  # read at once: they fit into the cache
READ_SIZES = (*SHN_SIZES, 24)
"""Coefficients per channel that a file may have: those of degree 4 are read, and the last nine left out."""
BAND_4 = "SH band 4 was left out: bands up to 3 are used."
FLAT = -13.8
"""The log-scale of the third axis of a 2D Gaussian, which has none: a millionth of a unit."""

NEEDED = (
    "x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "rot_0", "rot_1", "rot_2", "rot_3",
)  # fmt: skip

Rows = NDArray[np.void]


def _names(rest: int) -> list[str]:
    return [
        *("x", "y", "z", "nx", "ny", "nz"),
        *(f"f_dc_{i}" for i in range(3)),
        *(f"f_rest_{i}" for i in range(3 * rest)),
        "opacity",
        *(f"scale_{i}" for i in range(3)),
        *(f"rot_{i}" for i in range(4)),
    ]


def write_ply(path: Path, gaussians: Gaussians, *, sh_degree: int | None = None, at_origin: bool = True) -> None:
    """Write `path` at once or not at all.

    Args:
        path: of the file.
        gaussians: the model.
        sh_degree: pads the SH with zeros up to that degree.
        at_origin: positions as they are; False adds the frame's origin to them, and writes them as doubles.

    Raises:
        ValueError: when `sh_degree` is less than the model's, which would drop colour.
    """
    degree = gaussians.sh_degree if sh_degree is None else sh_degree
    if not gaussians.sh_degree <= degree <= 3:
        raise ValueError(f"a model of SH degree {gaussians.sh_degree} cannot be written with degree {degree}")
    n, rest = len(gaussians), SHN_SIZES[degree]
    names = _names(rest)
    kinds = {name: "<f8" if not at_origin and name in ("x", "y", "z") else "<f4" for name in names}
    frame = gaussians.frame if at_origin else replace(gaussians.frame, origin=UNKNOWN.origin)
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {text}" for text in comments_of(frame, antialiased=gaussians.antialiased)]
    lines += [f"element vertex {n}"]
    lines += [f"property {'double' if kinds[name] == '<f8' else 'float'} {name}" for name in names]
    with replacing(path) as part, part.open("wb") as file:
        file.write("\n".join([*lines, "end_header", ""]).encode("ascii"))
        for start in range(0, n, ROWS):
            rows = gaussians.subset(np.arange(start, min(start + ROWS, n)))
            table = np.zeros(len(rows), list(kinds.items()))
            for name, column in _columns(rows, rest).items():
                table[name] = column
            if not at_origin:
                for axis, name in enumerate("xyz"):
                    table[name] += gaussians.frame.origin[axis]
            file.write(table.tobytes())


def read_ply(path: Path, scratch: Path | None = None) -> Gaussians:
    """Read a splat PLY; the module says what may come. `notes` of the model say what was left out or made up.

    Values are returned as they are: real models hold infinite opacities and worse, and the caller decides about those.
    Only infinitely thin Gaussians are made thick enough to be drawn.

    Args:
        path: of the file.
        scratch: the folder in whose files the higher SH of a large model are kept; without it, they are in memory.

    Raises:
        BrokenFile: a sentence that says why the file is not a usable model, and what to do.
        OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        header = parse_header(file.read(MAX_HEADER))
        file.seek(header.size)
        vertex = _vertex(header)
        blocks_of = _text_blocks if header.encoding == "ascii" else _binary_blocks
        blocks = blocks_of(file, header, vertex, path.stat().st_size - header.size)
        return _assemble(header, vertex, blocks, scratch)


def read_size(path: Path) -> tuple[int, int]:
    """How many Gaussians a PLY claims to hold, at most as many as it has bytes for, and of which SH degree.

    Raises:
        BrokenFile: as `read_ply`, where the header alone shows what is wrong.
        OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        vertex = _vertex(parse_header(file.read(MAX_HEADER)))
    count = min(vertex.count, path.stat().st_size // len(NEEDED))
    return count, degree_of_size(min(_coefficients(vertex), SHN_SIZES[-1]))


def _vertex(header: PlyHeader) -> Element:
    vertex = next((element for element in header.elements if element.name == "vertex"), None)
    if vertex is None:
        raise BrokenFile("The PLY holds no vertices, and so no Gaussians. Export the splat again as PLY.")
    if vertex.has_lists:
        raise BrokenFile("The vertices of the PLY hold lists, which no splat has. Export it again as a splat.")
    missing = [name for name in NEEDED if name not in vertex.properties]
    if not missing:
        return vertex
    if vertex.properties.keys() >= {"packed_position", "packed_rotation"}:
        raise BrokenFile("The PLY is a compressed one, and its chunks are missing. Export it again.")
    if any(element.name == "face" and element.count for element in header.elements):
        raise BrokenFile("The PLY is a mesh, not a splat: it has faces, and its vertices no opacity, size or rotation.")
    if vertex.properties.keys() >= {"x", "y", "z"} and not vertex.properties.keys() & {"opacity", "scale_0", "rot_0"}:
        raise BrokenFile(
            "The PLY is a point cloud, not a splat: its points have no opacity, size or rotation. Train a splat from "
            "the photos; a point cloud can be the sparse model that training begins with, not the result."
        )
    names = ", ".join(missing[:5])
    raise BrokenFile(f"The PLY lacks properties of a splat: {names}. Export it again as a splat with all attributes.")


def _binary_blocks(file: BinaryIO, header: PlyHeader, vertex: Element, size: int) -> Iterator[Rows]:
    """The vertices, `ROWS` at a time, once it is sure that all are there. `size`: bytes after the header."""
    before, after = _around(header, vertex)
    if listed := [element.name for element in before if element.has_lists]:
        raise BrokenFile(f"The PLY has lists ({listed[0][:40]}) before its vertices. Export the vertices alone.")
    layout = _layout(vertex, header.byte_order)
    skipped = sum(element.count * _layout(element, header.byte_order).itemsize for element in before)
    need, left = vertex.count * layout.itemsize, max(size - skipped, 0)
    if left < need:
        raise BrokenFile(f"The PLY is cut short: its header promises {need} bytes of Gaussians, {left} are there.")
    if left > need and not after:
        raise BrokenFile(f"The PLY holds {left - need} bytes more than its header says.")
    file.seek(skipped, 1)
    return (np.frombuffer(file.read(rows * layout.itemsize), layout, rows) for rows in _row_counts(vertex.count))


def _text_blocks(file: BinaryIO, header: PlyHeader, vertex: Element, size: int) -> Iterator[Rows]:
    """The same of a PLY in text, a record a line."""
    before, _ = _around(header, vertex)
    width = len(vertex.properties)
    if vertex.count * 2 * width > size + 1:  # a digit and a space for each number
        raise BrokenFile(f"The PLY is cut short: its header promises {vertex.count} Gaussians in {size} bytes of text.")
    lines: Iterator[bytes] = (line for line in file if line.strip())
    for _ in itertools.islice(lines, sum(element.count for element in before)):
        pass
    return (_numbers(itertools.islice(lines, rows), rows, vertex) for rows in _row_counts(vertex.count))


def _numbers(lines: Iterator[bytes], rows: int, vertex: Element) -> Rows:
    try:
        numbers = np.fromstring(b" ".join(lines), np.float64, sep=" ")
    except ValueError:  # text that is no number
        numbers = np.empty(0)
    if len(numbers) != rows * len(vertex.properties):
        raise BrokenFile(f"The PLY is damaged: it does not hold {len(vertex.properties)} numbers for each Gaussian.")
    return numbers.view(np.dtype([(name, "<f8") for name in vertex.properties]))


def _row_counts(count: int) -> Iterator[int]:
    return (min(ROWS, count - start) for start in range(0, count, ROWS))


def _around(header: PlyHeader, vertex: Element) -> tuple[list[Element], list[Element]]:
    """The elements before and after the vertices."""
    at = header.elements.index(vertex)
    return list(header.elements[:at]), list(header.elements[at + 1 :])


def _layout(element: Element, byte_order: str) -> np.dtype[np.void]:
    return np.dtype([(name, byte_order + kind) for name, kind in element.properties.items()])


def _assemble(header: PlyHeader, vertex: Element, blocks: Iterator[Rows], scratch: Path | None) -> Gaussians:
    count, per_channel = vertex.count, _coefficients(vertex)
    rest = min(per_channel, SHN_SIZES[-1])
    shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, 1, 3))
    means, quats, scales, opacities, sh0 = (np.empty(shape, np.float32) for shape in shapes)
    shN = allocate((count, rest, 3), scratch)
    model = Gaussians(means, quats, scales, opacities, sh0, shN, is_antialiased(header), frame_of(header))
    notes = [BAND_4] if per_channel > rest else []
    columns = _columns(model, per_channel)
    if "scale_2" not in vertex.properties:
        model.scales[:, 2] = FLAT
        del columns["scale_2"]
        notes.append("These are 2D Gaussians: a third axis of a millionth of a unit was added.")
    is_double = vertex.properties["x"] == "f8" or header.encoding == "ascii"
    positions = np.empty((count, 3)) if is_double else model.means
    for axis, name in enumerate("xyz"):
        columns[name] = positions[:, axis]
    start = 0
    for block in blocks:
        with np.errstate(over="ignore"):
            for name, column in columns.items():
                column[start : start + len(block)] = block[name]
        free_pages(shN[start : start + len(block)])
        start += len(block)
    np.copyto(model.scales, SMALLEST_LOG_SCALE, where=np.isneginf(model.scales))
    return _near_origin(replace(model, notes=tuple(notes)), positions)


def _coefficients(vertex: Element) -> int:
    """Higher SH coefficients of each channel."""
    in_file = sum(name.startswith("f_rest_") for name in vertex.properties)
    if in_file % 3 or in_file // 3 not in READ_SIZES:
        raise BrokenFile(f"The PLY has {in_file} f_rest properties; a splat has 0, 9, 24, 45 or 72.")
    if missing := [i for i in range(in_file) if f"f_rest_{i}" not in vertex.properties]:
        raise BrokenFile(f"The PLY lacks f_rest_{missing[0]}, though it has {in_file} such properties.")
    return in_file // 3


def _near_origin(model: Gaussians, positions: NDArray[np.floating]) -> Gaussians:
    """The model at `positions` [N,3], moved near 0 where float32 would lose their last digits; notes say so."""
    shift, notes = far_origin(positions), list(model.notes)
    if positions is model.means and not any(shift):
        return model
    exact = positions.astype(np.float64) - shift
    with np.errstate(over="ignore"):
        np.copyto(model.means, exact, casting="same_kind")
    if any(shift):
        notes.append(f"Positions lie far from 0: they were moved by {', '.join(f'{0 - part:,.0f}' for part in shift)}.")
    if not np.array_equal(model.means, exact, equal_nan=True):
        notes.append("Positions have more digits than single precision keeps, and were rounded to it.")
    x, y, z = (float(a + b) for a, b in zip(model.frame.origin, shift, strict=True))
    return replace(model, frame=replace(model.frame, origin=(x, y, z)), notes=tuple(notes))


def _columns(of: Gaussians, per_channel: int | None = None) -> dict[str, NDArray[np.floating]]:
    """Every column [N] of the model's arrays by the name of its property; to write into one is to write into them.

    `per_channel`: coefficients of a channel in the file, where it has more of them than the model.
    """
    stride = of.shN.shape[1] if per_channel is None else per_channel
    columns: dict[str, NDArray[np.floating]] = dict(zip("xyz", of.means.T, strict=True))
    columns |= {f"f_dc_{i}": column for i, column in enumerate(of.sh0[:, 0].T)}
    columns |= {
        f"f_rest_{channel * stride + k}": of.shN[:, k, channel] for channel in range(3) for k in range(of.shN.shape[1])
    }
    columns["opacity"] = of.opacities
    columns |= {f"scale_{i}": column for i, column in enumerate(of.scales.T)}
    return columns | {f"rot_{i}": column for i, column in enumerate(of.quats.T)}
