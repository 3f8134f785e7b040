"""PlayCanvas' compressed PLY: chunks of 256 Gaussians with bounds of their own; 16 bytes each, and one per SH value.

Positions and sizes take 11, 10 and 11 bits within the chunk's bounds, rotations 2 + 3 x 10, colour and opacity 8 each.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spaceport.files import replacing
from spaceport.splats.formats.limits import BrokenFile, as_gaussians, budget_of, check_count
from spaceport.splats.formats.ply_frame import comments_of, frame_of, is_antialiased
from spaceport.splats.formats.ply_header import MAX_HEADER, Element, PlyHeader, is_ply, parse_header
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import C0
from spaceport.splats.sog.attributes import opacity, positions, rotations
from spaceport.splats.sog.codec.order import morton_order
from spaceport.splats.sog.codec.sanitise import SMALLEST_LOG_SCALE

CHUNK = 256
SH_SPAN = 8.0  # coefficients from -4 to 4
COUNTS_OF_SH = {0: 0, 9: 3, 24: 8, 45: 15}
AXES = ("x", "y", "z")
BOUNDS = [f"{end}_{axis}" for end in ("min", "max") for axis in AXES]
BOUNDS += [f"{end}_scale_{axis}" for end in ("min", "max") for axis in AXES]
COLOUR_BOUNDS = [f"{end}_{channel}" for end in ("min", "max") for channel in "rgb"]  # absent in the oldest files
PACKED = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]

Doubles = NDArray[np.float64]
Words = NDArray[np.uint32]


def is_compressed(head: bytes) -> bool:
    """Whether `head` is the beginning of a compressed PLY."""
    return is_ply(head) and b"element chunk " in head.partition(b"end_header")[0]


def read(path: Path) -> Gaussians:
    """Read a compressed PLY.

    Raises:
        BrokenFile: a sentence on the first rule that the file breaks.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        header = parse_header(file.read(MAX_HEADER))
        file.seek(header.size)
        count, bounds, sh = _layout(header)
        check_count(count, sh // 3, budget_of(path))
        chunks = -(-count // CHUNK)
        need = 4 * (chunks * bounds + count * len(PACKED)) + count * sh
        left = path.stat().st_size - file.tell()
        if left != need:
            raise BrokenFile(f"The compressed PLY's header promises {need} bytes of Gaussians; {left} are there.")
        edges = np.frombuffer(file.read(4 * chunks * bounds), "<f4").reshape(chunks, bounds).astype(np.float64)
        words = np.frombuffer(file.read(16 * count), "<u4").reshape(count, 4)
        codes = np.frombuffer(file.read(count * sh), np.uint8).reshape(count, 3, sh // 3)
    if not np.isfinite(edges).all():
        raise BrokenFile("The compressed PLY has a chunk whose bounds are not finite.")
    model = _decode(words, edges[np.arange(count) // CHUNK].reshape(count, -1, 2, 3), codes)
    return replace(model, antialiased=is_antialiased(header), frame=frame_of(header))


def write(path: Path, gaussians: Gaussians) -> None:
    """Write a compressed PLY at once or not at all, Gaussians in Morton order. SH values are clipped to -4..4."""
    low, high = positions.bounds(gaussians.means)
    stored = gaussians.subset(morton_order(positions.encode(gaussians.means, low, high)))
    values = np.stack(
        [stored.means, np.maximum(stored.scales, SMALLEST_LOG_SCALE), 0.5 + C0 * stored.sh0[:, 0]], axis=1
    ).astype(np.float64)
    starts = np.arange(0, len(stored), CHUNK)
    lows, highs = (edge.reduceat(values, starts).astype("<f4") for edge in (np.minimum, np.maximum))
    chunk = np.arange(len(stored)) // CHUNK
    span = np.where(highs > lows, highs.astype(np.float64) - lows, 1)[chunk]
    shares = np.clip((values - lows[chunk]) / span, 0, 1)
    words = np.empty((len(stored), 4), "<u4")
    words[:, 0] = _pack_111011(shares[:, 0])
    words[:, 1] = _pack_rotations(stored.quats)
    words[:, 2] = _pack_111011(shares[:, 1])
    rgb = np.floor(shares[:, 2] * 255 + 0.5).astype(np.uint32)
    alpha = opacity.encode(stored.opacities).astype(np.uint32)
    words[:, 3] = rgb[:, 0] << 24 | rgb[:, 1] << 16 | rgb[:, 2] << 8 | alpha
    edges = np.stack([lows, highs], axis=2)
    codes = np.clip(np.trunc((stored.shN / SH_SPAN + 0.5) * 256), 0, 255).astype(np.uint8)
    with replacing(path) as part, part.open("wb") as file:
        file.write(_header(stored, len(starts)))
        for block in (edges, words, codes.transpose(0, 2, 1)):
            file.write(block.tobytes())


def _header(model: Gaussians, chunks: int) -> bytes:
    count, sh = len(model), 3 * model.shN.shape[1]
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {text}" for text in comments_of(model.frame, antialiased=model.antialiased)]
    lines += [f"element chunk {chunks}"]
    lines += [f"property float {name}" for name in BOUNDS + COLOUR_BOUNDS]
    lines += [f"element vertex {count}"] + [f"property uint {name}" for name in PACKED]
    if sh:
        lines += [f"element sh {count}"] + [f"property uchar f_rest_{i}" for i in range(sh)]
    return "\n".join([*lines, "end_header", ""]).encode("ascii")


def _layout(header: PlyHeader) -> tuple[int, int, int]:
    """Number of Gaussians, bounds per chunk and SH bytes per Gaussian. Only what all writers write is read."""
    if header.encoding != "binary_little_endian":
        raise BrokenFile("A compressed PLY must be binary_little_endian 1.0.")
    elements = {element.name: element for element in header.elements}
    if list(elements) not in (["chunk", "vertex"], ["chunk", "vertex", "sh"]):
        raise BrokenFile(f"The compressed PLY holds {', '.join(elements)[:60]!r} instead of chunk, vertex and sh.")
    chunk, vertex = elements["chunk"], elements["vertex"]
    sh = elements.get("sh", Element("sh", vertex.count, {}))
    if vertex.properties != dict.fromkeys(PACKED, "u4"):
        raise BrokenFile("The compressed PLY's vertices are not packed as its format says.")
    if chunk.properties not in (dict.fromkeys(BOUNDS, "f4"), dict.fromkeys(BOUNDS + COLOUR_BOUNDS, "f4")):
        raise BrokenFile("The compressed PLY's chunks do not hold the bounds that its format has.")
    size = len(sh.properties)
    if size not in COUNTS_OF_SH or sh.properties != {f"f_rest_{i}": "u1" for i in range(size)}:
        raise BrokenFile("The compressed PLY's SH values are not those of 1, 2 or 3 bands.")
    if chunk.count != -(-vertex.count // CHUNK) or sh.count != vertex.count:
        raise BrokenFile(
            f"The compressed PLY has {chunk.count} chunks and {sh.count} SH rows for {vertex.count} Gaussians."
        )
    return vertex.count, len(chunk.properties), size


def _decode(words: Words, edges: Doubles, codes: NDArray[np.uint8]) -> Gaussians:
    """`edges` [N, 2 or 3, 2, 3]: bounds of position, log-scale and colour."""
    rgb = np.stack([words[:, 3] >> 24, words[:, 3] >> 16, words[:, 3] >> 8], axis=1) & 255
    colours = rgb / 255.0
    if edges.shape[1] == 3:
        colours = _interpolate(edges[:, 2], colours)
    # The ends of the range stand for themselves, everything else for the middle of its step.
    share = np.where(codes == 0, 0, np.where(codes == 255, 1, (codes + 0.5) / 256))
    with np.errstate(over="ignore"):
        means, scales = (_interpolate(edges[:, i], _unpack_111011(words[:, 2 * i])) for i in (0, 1))
    return as_gaussians(
        means=means,
        quats=_unpack_rotations(words[:, 1]),
        scales=scales,
        opacities=opacity.decode((words[:, 3] & 255).astype(np.uint8)),
        sh0=((colours - 0.5) / C0)[:, None],
        shN=((share - 0.5) * SH_SPAN).transpose(0, 2, 1),
    )


def _interpolate(edges: Doubles, share: Doubles) -> Doubles:
    return edges[:, 0] * (1 - share) + edges[:, 1] * share


def _pack_111011(shares: Doubles) -> Words:
    x, y, z = np.floor(shares * (2047, 1023, 2047) + 0.5).astype(np.uint32).T
    return np.asarray(x << 21 | y << 11 | z)


def _unpack_111011(words: Words) -> Doubles:
    return np.stack([(words >> 21) / 2047, (words >> 11 & 1023) / 1023, (words & 2047) / 2047], axis=1)


def _pack_rotations(quats: NDArray[np.float32]) -> Words:
    units = rotations.normalise(quats)
    rows = np.arange(len(units))
    largest = np.abs(units).argmax(axis=1)
    units *= np.where(units[rows, largest] < 0, -1, 1)[:, None]
    rest = units[rows[:, None], rotations.OTHERS[largest]]
    a, b, c = np.floor((rest * np.sqrt(0.5) + 0.5) * 1023 + 0.5).astype(np.uint32).T
    return np.asarray(largest.astype(np.uint32) << 30 | a << 20 | b << 10 | c)


def _unpack_rotations(words: Words) -> Doubles:
    rest = (np.stack([words >> 20, words >> 10, words], axis=1) & 1023) / 1023
    rest = (rest - 0.5) * np.sqrt(2)
    largest = (words >> 30).astype(np.intp)
    quats = np.empty((len(words), 4))
    rows = np.arange(len(words))
    quats[rows[:, None], rotations.OTHERS[largest]] = rest
    quats[rows, largest] = np.sqrt(np.maximum(0, 1 - np.square(rest).sum(axis=1)))
    return rotations.normalise(quats)
