"""The container of SPZ: a header, then one packed stream for each attribute."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np
from backports import zstd
from numpy.typing import NDArray

from spaceport.splats.formats.limits import BrokenFile, check_count
from spaceport.splats.sh import SHN_SIZES

MAGIC = b"NGSP"
GZIP = b"\x1f\x8b"
NEWEST = 4
ANTIALIASED, HAS_EXTENSIONS = 1, 2  # bits of the header's flags
COEFFICIENTS = (*SHN_SIZES, 24)  # per channel, by degree
ZSTD_LEVEL = 12
LARGEST_WINDOW = 27  # log2 of the memory that one zstd stream may ask for
_HEADER = struct.Struct("<4sIIBBBB")
_TOC_OFFSET = struct.Struct("<I12x")  # of version 4: where the table of streams begins
_TOC_ENTRY = struct.Struct("<QQ")  # packed and unpacked size of a stream

MAX_EXTENSIONS = 65_536  # bytes
UNREAD = b"\0"  # stands for extensions that the header announces

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Header:
    version: int
    num_points: int
    sh_degree: int
    fractional_bits: int
    antialiased: bool = False
    extensions: bytes = b""
    """Records of type, length and value, as `spz_extensions` reads them."""

    @property
    def coefficients(self) -> int:
        return COEFFICIENTS[self.sh_degree]

    @property
    def sizes(self) -> list[int]:
        """Bytes of each stream, in the file's order."""
        position, rotation = 6 if self.version == 1 else 9, 3 if self.version < 3 else 4
        per_gaussian = [position, 1, 3, 3, rotation, 3 * self.coefficients]
        return [self.num_points * size for size in per_gaussian]


@dataclass(frozen=True)
class PackedGaussians:
    """The attributes as bytes, any shape, in the file's order."""

    positions: Bytes
    alphas: Bytes
    colors: Bytes
    scales: Bytes
    rotations: Bytes
    sh: Bytes

    def as_bytes(self) -> list[bytes]:
        parts = (self.positions, self.alphas, self.colors, self.scales, self.rotations, self.sh)
        return [part.tobytes() for part in parts]


def unpack(data: bytes, budget: int) -> tuple[Header, PackedGaussians]:
    """Take a file apart. Nothing is unpacked before its size is known and allowed.

    Raises:
        BrokenFile: a sentence on what is wrong.
    """
    if data[:4] == MAGIC:
        header = _parse(data, budget)
        if header.version < NEWEST:
            raise BrokenFile(f"An SPZ of version {header.version} must be packed with gzip, and this one is not.")
        return _with_extensions(header, data), _packed_gaussians(_unpack_zstd(header, data))
    if data[:2] != GZIP:
        raise BrokenFile("The file is no SPZ: it begins neither with NGSP nor as gzip does.")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        head = unpacker.decompress(data, _HEADER.size)
        header = _parse(head, budget)
        if header.version >= NEWEST:
            raise BrokenFile(f"An SPZ of version {header.version} must not be packed with gzip, and this one is.")
        body = unpacker.decompress(unpacker.unconsumed_tail, sum(header.sizes))
        after = unpacker.decompress(unpacker.unconsumed_tail, MAX_EXTENSIONS) if header.extensions else b""
    except zlib.error:
        raise BrokenFile("The gzip stream of the SPZ is damaged.") from None
    ends = np.cumsum(header.sizes)
    if len(body) < ends[-1]:
        raise BrokenFile(f"The SPZ is cut short: {len(body)} of {ends[-1]} bytes are there.")
    streams = [body[end - size : end] for end, size in zip(ends, header.sizes, strict=True)]
    return replace(header, extensions=after), _packed_gaussians(streams)


def pack(header: Header, gaussians: PackedGaussians) -> bytes:
    """Put a file together: gzip for versions 2 and 3, zstd for 4. The same arguments give the same bytes."""
    parts = gaussians.as_bytes()
    if header.version < NEWEST:
        return gzip.compress(_head(header, 0) + b"".join(parts) + header.extensions, compresslevel=9, mtime=0)
    if header.coefficients == 0:
        parts.pop()
    packed = [zstd.compress(part, ZSTD_LEVEL) for part in parts]
    table = b"".join(_TOC_ENTRY.pack(len(after), len(before)) for after, before in zip(packed, parts, strict=True))
    start = _HEADER.size + _TOC_OFFSET.size + len(header.extensions)
    return b"".join([_head(header, len(parts)), _TOC_OFFSET.pack(start), header.extensions, table, *packed])


def _head(header: Header, streams: int) -> bytes:
    return _HEADER.pack(
        MAGIC,
        header.version,
        header.num_points,
        header.sh_degree,
        header.fractional_bits,
        ANTIALIASED * header.antialiased | HAS_EXTENSIONS * bool(header.extensions),
        streams,
    )


def _parse(head: bytes, budget: int) -> Header:
    if len(head) < _HEADER.size:
        raise BrokenFile("The SPZ is cut short in its header.")
    magic, version, num_points, sh_degree, bits, flags, _ = _HEADER.unpack_from(head)
    if magic != MAGIC:
        raise BrokenFile("The file is no SPZ: its header does not begin with NGSP.")
    if not 1 <= version <= NEWEST:
        raise BrokenFile(f"The SPZ has version {version}; versions 1 to {NEWEST} are read.")
    if sh_degree >= len(COEFFICIENTS):
        raise BrokenFile(f"The SPZ has SH degree {sh_degree}; degrees 0 to 4 are read.")
    if bits > 24:
        raise BrokenFile(f"The SPZ claims {bits} fraction bits in positions of 24 bits.")
    check_count(num_points, COEFFICIENTS[sh_degree], budget)
    extensions = UNREAD if flags & HAS_EXTENSIONS else b""
    return Header(version, num_points, sh_degree, bits, bool(flags & ANTIALIASED), extensions)


def _with_extensions(header: Header, data: bytes) -> Header:
    """The header of version 4 with its extensions, which stand between it and the table of streams."""
    first = _HEADER.size + _TOC_OFFSET.size
    if not header.extensions or len(data) < first:
        return header
    return replace(header, extensions=data[first : min(_TOC_OFFSET.unpack_from(data, _HEADER.size)[0], MAX_EXTENSIONS)])


def _unpack_zstd(header: Header, data: bytes) -> list[bytes]:
    sizes = [size for size in header.sizes if size]
    if len(data) < _HEADER.size + _TOC_OFFSET.size:
        raise BrokenFile("The SPZ is cut short in its header.")
    start, streams = _TOC_OFFSET.unpack_from(data, _HEADER.size)[0], data[_HEADER.size - 1]
    at = start + len(sizes) * _TOC_ENTRY.size
    if streams != len(sizes) or start < _HEADER.size + _TOC_OFFSET.size or at > len(data):
        raise BrokenFile(f"The table of the SPZ's {streams} streams is damaged.")
    parts = []
    for number, size in enumerate(sizes):
        packed, claimed = _TOC_ENTRY.unpack_from(data, start + number * _TOC_ENTRY.size)
        if claimed != size or packed > len(data) - at:
            raise BrokenFile(f"Stream {number} of the SPZ claims a size that does not fit.")
        parts.append(_unpack_stream(data[at : at + packed], size, number))
        at += packed
    return parts + [b""] * (len(header.sizes) - len(sizes))


def _unpack_stream(packed: bytes, size: int, number: int) -> bytes:
    unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: LARGEST_WINDOW})
    try:
        part = unpacker.decompress(packed, size)
    except (zstd.ZstdError, EOFError):
        raise BrokenFile(f"Stream {number} of the SPZ is damaged.") from None
    if len(part) != size:
        raise BrokenFile(f"Stream {number} of the SPZ is cut short: {len(part)} of {size} bytes are there.")
    return part


def _packed_gaussians(parts: list[bytes]) -> PackedGaussians:
    return PackedGaussians(*(np.frombuffer(part, np.uint8) for part in parts))
