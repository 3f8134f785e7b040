"""Makes uploads of every kind out of the photos of a small demo survey."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def survey_photos(zip_path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and JPEG of each photo, in the order of flight."""
    with zipfile.ZipFile(zip_path) as archive:
        for name in sorted(archive.namelist()):
            yield Path(name).stem, archive.read(name)


def pixels_of(jpeg: bytes) -> Pixels:
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.asarray(image.convert("RGB"))


def dng(pixels: Pixels, focal_mm: float = 14.0) -> bytes:
    """An uncompressed 16-bit DNG (Adobe DNG 1.4) of linear, demosaiced RGB [H,W,3], little endian, in one strip."""
    height, width, _ = pixels.shape
    linear = np.where(pixels <= 10, pixels / 255 / 4.5, ((pixels / 255 + 0.099) / 1.099) ** (1 / 0.45))
    data = (linear * 65535).astype("<u2").tobytes()
    xyz_to_srgb = [3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570]
    entries: dict[int, tuple[str, list[Any]]] = {
        254: ("L", [0]),
        256: ("L", [width]),
        257: ("L", [height]),
        258: ("H", [16, 16, 16]),
        259: ("H", [1]),
        262: ("H", [34892]),  # LinearRaw
        271: ("s", ["Spaceport"]),
        272: ("s", ["Demo Raw"]),
        273: ("L", [0]),  # the strip's place, filled in below
        277: ("H", [3]),
        278: ("L", [height]),
        279: ("L", [len(data)]),
        34665: ("L", [0]),  # EXIF's place
        50706: ("B", [1, 4, 0, 0]),
        50708: ("s", ["Spaceport Demo Raw"]),
        50717: ("L", [65535] * 3),
        50721: ("r", [round(value * 10000) for value in xyz_to_srgb]),
        50728: ("R", [1, 1, 1]),
        50778: ("H", [21]),
    }
    exif: dict[int, tuple[str, list[Any]]] = {37386: ("F", [round(focal_mm * 100)])}
    size = 8 + len(_folder(entries, 8)) + len(_folder(exif, 0))
    entries[34665] = ("L", [8 + len(_folder(entries, 8))])
    entries[273] = ("L", [size])
    head = _folder(entries, 8)
    return b"II*\0" + struct.pack("<L", 8) + head + _folder(exif, 8 + len(head)) + data


def _folder(entries: dict[int, tuple[str, list[Any]]], at: int) -> bytes:
    """One TIFF directory at this offset, with its values behind it."""
    values = at + 2 + 12 * len(entries) + 4
    head, tail = struct.pack("<H", len(entries)), b""
    for tag, (kind, items) in sorted(entries.items()):
        code, count, body = _packed(kind, items)
        if len(body) > 4:
            offset = values + len(tail)
            tail += body + b"\0" * (len(body) % 2)
            body = struct.pack("<L", offset)
        head += struct.pack("<HHL", tag, code, count) + body.ljust(4, b"\0")
    return head + b"\0\0\0\0" + tail


def _packed(kind: str, items: list[Any]) -> tuple[int, int, bytes]:
    if kind == "s":
        text = items[0].encode() + b"\0"
        return 2, len(text), text
    if kind in "BHL":
        return {"B": 1, "H": 3, "L": 4}[kind], len(items), struct.pack(f"<{len(items)}{kind}", *items)
    code, denominator, layout = {"R": (5, 1, "LL"), "F": (5, 100, "LL"), "r": (10, 10000, "ll")}[kind]
    return code, len(items), b"".join(struct.pack(f"<{layout}", item, denominator) for item in items)


def video(path: Path, frames: list[Pixels], repeats: int = 6, rate: int = 12) -> None:
    """An H.264 video in which each picture stands still for `repeats` frames."""
    import av  # noqa: PLC0415

    height, width, _ = frames[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "16"}
        for picture in frames:
            for _ in range(repeats):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
