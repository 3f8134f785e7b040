"""The methods by which zips are packed, and decompressors for those that a library unpacks in bounded memory.

Standard library only, zstd excepted, which the stage has and the intake function does without. Source: PKWARE APPNOTE
6.3.10, sections 4.4.5 and 5.8.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from typing import Final, Protocol

STORED: Final = 0
DEFLATED: Final = 8
BZIP2: Final = 12
LZMA: Final = 14
XZ: Final = 95
ZSTD: Final = frozenset({93, 20})  # 20 is what WinZip wrote before PKWARE gave zstd its number
AES: Final = 99  # takes the place of the method; says that the entry is encrypted

SUPPORTED: Final = frozenset({STORED, DEFLATED, BZIP2, LZMA, XZ, *ZSTD})
MANY_STREAMS: Final = frozenset({BZIP2, XZ, *ZSTD})
"""Methods whose streams may follow one another, as parallel packers write them."""
NAMES: Final = {
    1: "Shrink",
    2: "Reduce",
    3: "Reduce",
    4: "Reduce",
    5: "Reduce",
    6: "Implode",
    7: "Tokenize",
    DEFLATED: "Deflate",
    9: "Deflate64, as Windows Explorer does for large files",
    10: "PKWARE Implode",
    BZIP2: "bzip2",
    LZMA: "LZMA",
    16: "IBM CMPSC",
    18: "IBM TERSE",
    19: "IBM LZ77",
    20: "zstd",
    93: "zstd",
    94: "MP3",
    XZ: "XZ",
    96: "WinZip's JPEG compression",
    97: "WavPack",
    98: "PPMd",
}

MAX_WINDOW: Final = 256 << 20  # bytes of look-back that one stream may ask for; 7-Zip's "Ultra" asks for 64 MiB
_MAX_WINDOW_LOG: Final = 28
_XZ_OVERHEAD: Final = 16 << 20  # what liblzma counts beside the window
_LZMA_HEAD: Final = struct.Struct("<2BHBL")  # version of the packer, length of the properties, the properties
_LZMA_MIN_DICTIONARY: Final = 4096


class CorruptError(Exception):
    """The packed bytes are no stream of their method, or ask for too much. `str(error)` says what is wrong."""


class Decompressor(Protocol):
    """What `bz2`, `lzma` and `zstd` have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def is_unpacked_here(method: int) -> bool:
    """Whether the libraries that are installed here unpack the method."""
    if method not in ZSTD:
        return method in SUPPORTED
    try:
        _Zstd()
    except CorruptError:
        return False
    return True


def method_name(method: int) -> str:
    """What the method is called, for people."""
    return NAMES.get(method, f"method {method}")


def decompressor(method: int, size: int) -> Decompressor:
    """A fresh decompressor of a supported method but STORED, for an entry of `size` bytes.

    Its memory is bounded by `MAX_WINDOW` and, where the packer may choose, by `size`.

    Raises:
        CorruptError: the library for zstd is not installed.
    """
    if method == DEFLATED:
        return _Deflate()
    if method == BZIP2:
        return bz2.BZ2Decompressor()
    if method == LZMA:
        return _ZipLzma(size)
    if method == XZ:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_WINDOW + _XZ_OVERHEAD)
    return _Zstd()


def decompress(stream: Decompressor, data: bytes, length: int) -> bytes:
    """At most `length` more bytes of the stream, which is given `data`. Raises `CorruptError`."""
    try:
        return stream.decompress(data, length)
    except lzma.LZMAError as error:
        if "emory" in str(error):
            raise CorruptError("its packed bytes ask for too much memory") from None
        raise CorruptError("its packed bytes are damaged") from None
    except (zlib.error, OSError, EOFError, ValueError):  # bz2 raises OSError, and reads no file here
        raise CorruptError("its packed bytes are damaged") from None


class _Deflate:
    """`zlib` with the manners of the others."""

    unused_data = b""  # what follows the stream is of no use

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not (self._full or self._stream.unconsumed_tail or self._stream.eof)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        chunk = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        self._full = len(chunk) == max_length  # zlib may hold bytes back, even where it has taken all of its input
        return chunk


class _Zstd:
    """`zstd` with the exceptions of the others, where it is installed."""

    def __init__(self) -> None:
        try:
            from backports import zstd  # noqa: PLC0415  the intake function has no such library
        except ImportError:
            raise CorruptError("it is packed as zstd, which cannot be unpacked here") from None
        self._error = zstd.ZstdError
        self._stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG})

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._stream.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return self._stream.decompress(data, max_length)
        except self._error:
            raise CorruptError("its packed bytes are damaged") from None


class _ZipLzma:
    """LZMA behind the header that zips put before it.

    The window is as long as the header says, but never longer than the entry: nothing can be quoted from before its
    first byte, so a header that asks for 4 GiB costs nothing.
    """

    unused_data = b""

    def __init__(self, size: int) -> None:
        self._size = size
        self._head = b""
        self._stream: lzma.LZMADecompressor | None = None

    @property
    def eof(self) -> bool:
        return self._stream is not None and self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._stream is None or self._stream.needs_input

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._stream is None:
            self._head += data
            if len(self._head) < _LZMA_HEAD.size:
                return b""
            self._stream = self._open()
            data = self._head[_LZMA_HEAD.size :]
        return self._stream.decompress(data, max_length)

    def _open(self) -> lzma.LZMADecompressor:
        _, _, length, properties, dictionary = _LZMA_HEAD.unpack_from(self._head)
        window = max(_LZMA_MIN_DICTIONARY, min(dictionary, self._size))
        if length != 5 or properties >= 9 * 5 * 5:
            raise CorruptError("its packed bytes are damaged")
        if window > MAX_WINDOW:
            raise CorruptError("its packed bytes ask for too much memory")
        filters = {
            "id": lzma.FILTER_LZMA1,
            "dict_size": window,
            "lc": properties % 9,
            "lp": properties // 9 % 5,
            "pb": properties // 45,
        }
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters])
