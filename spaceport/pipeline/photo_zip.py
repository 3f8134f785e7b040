"""Reads zips of photos that strangers send: the table of contents first, every limit before any byte is unpacked.

The zip format is parsed here and not by `zipfile`, which loads a directory of any size, takes offsets outside the
file, and lets entries share bytes. Source: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5. Standard library only: the
intake function imports this too, and hands over a file whose reads are ranged S3 requests.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from spaceport.pipeline.errors import Refused, Slug

PHOTO_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
MIN_PHOTOS: Final = 3  # two photos fix no scale-free geometry worth training on
MAX_ENTRIES: Final = 10_000  # ten long flights; matching and training give up far earlier
MAX_DIRECTORY_BYTES: Final = 8 << 20  # 800 bytes for each of MAX_ENTRIES; real ones need 100 to 150
MAX_NAME_BYTES: Final = 512  # an S3 key holds 1,024 with our prefix
MAX_PART_BYTES: Final = 255  # what Linux file systems take
MAX_PARTS: Final = 20  # folders in folders; keeps the work per name small
MAX_TOTAL_BYTES: Final = 16 * 10**9  # 1,600 photos of 10 MB; must lie twice on the machine's disk, zipped and not
MAX_PHOTO_BYTES: Final = 10**9  # 200 megapixels of three bytes, with room; unpacks in seconds
# Photos hardly compress (1:1), raw TIFF scans reach 3:1. Deflate ends at 1032:1, which is what bombs are near.
MAX_ENTRY_RATIO: Final = 100
ENTRY_RATIO_FROM: Final = 4 << 20  # below this, even a plain black image harms no one
MAX_TOTAL_RATIO: Final = 20
TOTAL_RATIO_FROM: Final = 64 << 20
MAX_OPTIONS_BYTES: Final = 64 << 10
OPTIONS_NAME: Final = "spaceport.json"

_END: Final = struct.Struct("<4s4H2LH")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_MAX_COMMENT: Final = 0xFFFF
_STORED, _DEFLATED, _AES = 0, 8, 99
_ENCRYPTION_FLAGS: Final = 1 << 0 | 1 << 6 | 1 << 13  # classic, strong, hidden headers
_CHUNK: Final = 1 << 20
_DRIVE: Final = re.compile(r"^[A-Za-z]:")
_DIRECTORY_NAME: Final = "its table of contents"


@dataclass(frozen=True)
class ZippedPhoto:
    """One photo in the zip. `name` is a safe relative path with `/`; `limit` is where the next entry begins."""

    name: str
    raw_name: bytes
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    limit: int


@dataclass(frozen=True)
class PhotoZip:
    """What the table of contents promises: photos in the zip's order, other files by name, `spaceport.json` if any."""

    photos: tuple[ZippedPhoto, ...]
    ignored: tuple[str, ...]
    options: bytes | None

    @property
    def bytes(self) -> int:
        return sum(photo.size for photo in self.photos)


@dataclass(frozen=True)
class Extracted:
    """The fate of one photo: a file at `path`, or the `reason` why there is none."""

    name: str
    path: Path | None
    reason: str | None = None


class _DamagedError(Exception):
    """This one entry cannot be unpacked; the others may."""


def inspect(file: BinaryIO) -> PhotoZip:
    """Judge a zip by its table of contents: two or three reads near its end, no photo is unpacked.

    Raises:
        Refused: not_a_zip, empty_zip, damaged_zip, too_many_entries, encrypted_zip, unsafe_path, symlink_entry,
            duplicate_names, archive_too_large, ratio_bomb, bad_options, no_images or too_few_images.
    """
    size = file.seek(0, os.SEEK_END)
    start, length, count = _find_directory(file, size)
    if count == 0:
        raise Refused(Slug.EMPTY_ZIP)
    table = _read_at(file, start, length)
    files = [entry for entry in _bounded(list(_entries(table, count)), start) if not entry.name.endswith("/")]
    if not files:
        raise Refused(Slug.EMPTY_ZIP)
    _check_sizes(files)
    _check_duplicates(files)
    wanted = [entry for entry in files if not _is_junk(entry.name)]
    photos = tuple(entry for entry in wanted if PurePosixPath(entry.name).suffix.lower() in PHOTO_SUFFIXES)
    if not photos:
        raise Refused(Slug.NO_IMAGES)
    if len(photos) < MIN_PHOTOS:
        raise Refused(Slug.TOO_FEW_IMAGES, found=len(photos), limit=MIN_PHOTOS)
    options = next((_read_options(file, entry) for entry in wanted if entry.name == OPTIONS_NAME), None)
    chosen = {entry.name for entry in photos} | {OPTIONS_NAME}
    return PhotoZip(photos, tuple(entry.name for entry in wanted if entry.name not in chosen), options)


def extract(
    file: BinaryIO, photos: Iterable[ZippedPhoto], folder: Path, on_file: Callable[[Extracted], None]
) -> list[Extracted]:
    """Unpack `photos` below `folder`, in a stream; tell `on_file` about each one, damaged ones with their reason.

    No file is written outside `folder`, none is longer than the table of contents said, and none stays unless its
    checksum holds. What `on_file` raises passes. `OSError` of the disk passes too (`ENOSPC`: it is full).
    """
    results = []
    for photo in photos:
        try:
            result = Extracted(photo.name, _extract_one(file, photo, folder))
        except _DamagedError as damage:
            result = Extracted(photo.name, None, str(damage))
        results.append(result)
        on_file(result)
    return results


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Offset, length and number of entries of the central directory."""
    tail_at = max(0, size - _END.size - _MAX_COMMENT - _END64_LOCATOR.size)
    tail = _read_at(file, tail_at, size - tail_at)
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        if at + _END.size <= len(tail):
            fields = _END.unpack_from(tail, at)
            if at + _END.size + fields[7] == len(tail):
                break
        at = tail.rfind(b"PK\5\6", 0, at)
    else:
        begins_as_zip = _read_at(file, 0, min(4, size)) == b"PK\3\4"
        raise _damaged("its end is missing") if begins_as_zip else Refused(Slug.NOT_A_ZIP)
    _, disk, first_disk, here, count, length, start, _ = fields
    end = tail_at + at
    if at >= _END64_LOCATOR.size and tail[at - _END64_LOCATOR.size : at].startswith(b"PK\6\7"):
        end, length64, start64, count64 = _read_end64(file, tail, at, end)
        for short, full, saturated in (
            (count, count64, 0xFFFF),
            (length, length64, 2**32 - 1),
            (start, start64, 2**32 - 1),
        ):
            if short not in (full, saturated):
                raise _damaged(_DIRECTORY_NAME)
        here, count, length, start = min(count64, 0xFFFF), count64, length64, start64
    if disk or first_disk or here != min(count, 0xFFFF) or start + length > end:
        raise _damaged(_DIRECTORY_NAME)
    if count > MAX_ENTRIES:
        raise Refused(Slug.TOO_MANY_ENTRIES, found=count, limit=MAX_ENTRIES)
    if length > MAX_DIRECTORY_BYTES or length < count * _ENTRY.size:
        raise _damaged(_DIRECTORY_NAME)
    return start, length, count


def _read_end64(file: BinaryIO, tail: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Where the zip64 end record lies, and the directory's length, offset and number of entries from it."""
    _, disk, where, disks = _END64_LOCATOR.unpack_from(tail, at - _END64_LOCATOR.size)
    if disk or disks > 1 or where + _END64.size > end - _END64_LOCATOR.size:
        raise _damaged(_DIRECTORY_NAME)
    signature, _, _, _, disk, first_disk, here, count, length, start = _END64.unpack(_read_at(file, where, _END64.size))
    if signature != b"PK\6\6" or disk or first_disk or here != count:
        raise _damaged(_DIRECTORY_NAME)
    return where, length, start, count


def _entries(table: bytes, count: int) -> Iterator[ZippedPhoto]:
    """Each entry of the central directory, its name and kind checked; directories keep their final `/`."""
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(table) or table[at : at + 4] != b"PK\1\2":
            raise _damaged(_DIRECTORY_NAME)
        head = _ENTRY.unpack_from(table, at)
        flags, method, crc, packed, size = head[3], head[4], head[7], head[8], head[9]
        name_at, extra_at = at + _ENTRY.size, at + _ENTRY.size + head[10]
        at = extra_at + head[11] + head[12]
        if at > len(table):
            raise _damaged(_DIRECTORY_NAME)
        raw_name = table[name_at:extra_at]
        name = _safe_name(raw_name)
        mode = head[15] >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Refused(Slug.SYMLINK_ENTRY, name=_shown(name))
        if flags & _ENCRYPTION_FLAGS or method == _AES:
            raise Refused(Slug.ENCRYPTED_ZIP)
        if stat.S_ISDIR(mode) and not name.endswith("/"):
            name += "/"
        extra = table[extra_at : extra_at + head[11]]
        size, packed, offset, disk = _zip64_fields(extra, name, size, packed, head[16], head[13])
        if disk or (method == _STORED and packed != size):
            raise _damaged(name)
        yield ZippedPhoto(name, raw_name, method, crc, packed, size, offset, limit=0)
    if at != len(table):
        raise _damaged(_DIRECTORY_NAME)  # more entries than counted: readers would disagree on what is inside


def _zip64_fields(extra: bytes, name: str, size: int, packed: int, offset: int, disk: int) -> tuple[int, int, int, int]:
    """Replace the saturated ones of the four fields by those of the zip64 extra field, in the order it has them."""
    fields, saturated = [size, packed, offset, disk], [2**32 - 1] * 3 + [0xFFFF]
    missing = [i for i in range(4) if fields[i] == saturated[i]]
    at = 0
    while missing and at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        body = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == 1:
            layout = struct.Struct("<" + "".join("L" if i == 3 else "Q" for i in missing))
            if len(body) < layout.size:
                break
            for i, value in zip(missing, layout.unpack_from(body), strict=True):
                fields[i] = value
            missing = []
    if missing:
        raise _damaged(name)
    return fields[0], fields[1], fields[2], fields[3]


def _safe_name(raw: bytes) -> str:
    """The entry's path with `/`, without empty and `.` parts. Raises `Refused` if it could leave a folder."""
    try:
        name = raw.decode("utf-8")  # also without the flag that says so: macOS sets none
    except UnicodeDecodeError:
        name = raw.decode("cp437")
    parts = name.split("/")
    unsafe = name.startswith("/") or "\\" in name or ".." in parts or _DRIVE.match(name)
    if unsafe or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise Refused(Slug.UNSAFE_PATH, name=_shown(name))
    kept = [part for part in parts if part not in ("", ".")]
    if not 0 < len(kept) <= MAX_PARTS or len(name.encode()) > MAX_NAME_BYTES:
        raise _damaged(name)
    if any(len(part.encode()) > MAX_PART_BYTES for part in kept):
        raise _damaged(name)
    return "/".join(kept) + ("/" if name.endswith("/") else "")


def _bounded(entries: list[ZippedPhoto], directory_at: int) -> Iterator[ZippedPhoto]:
    """The same entries with their `limit`. Raises `Refused` where one lies outside the file or in another's bytes."""
    order = sorted(entries, key=lambda entry: entry.offset)
    limits = {}
    for entry, after in zip(order, [*(entry.offset for entry in order[1:]), directory_at], strict=True):
        if entry.offset + _LOCAL.size + len(entry.raw_name) + entry.packed > after:
            raise _damaged(entry.name)
        limits[entry.offset] = after
    for entry in entries:
        yield ZippedPhoto(**{**vars(entry), "limit": limits[entry.offset]})


def _check_sizes(files: list[ZippedPhoto]) -> None:
    total, packed = sum(entry.size for entry in files), sum(entry.packed for entry in files)
    if total > MAX_TOTAL_BYTES:
        gigabytes = f"{min(total, 10**15) / 10**9:.1f}"
        raise Refused(Slug.ARCHIVE_TOO_LARGE, found_gb=gigabytes, limit_gb=MAX_TOTAL_BYTES // 10**9)
    for entry in files:
        if entry.size > max(ENTRY_RATIO_FROM, MAX_ENTRY_RATIO * entry.packed):
            raise Refused(Slug.RATIO_BOMB, name=_shown(entry.name))
    if total > max(TOTAL_RATIO_FROM, MAX_TOTAL_RATIO * packed):
        raise Refused(Slug.RATIO_BOMB, name=f"{total // 10**6} MB out of {packed // 10**6}")


def _check_duplicates(files: list[ZippedPhoto]) -> None:
    """No two files may land on one path, on a file system that ignores case and composition; nor a file on a folder."""
    keys = [unicodedata.normalize("NFC", unicodedata.normalize("NFC", entry.name).casefold()) for entry in files]
    folders = {str(parent) for key in keys for parent in PurePosixPath(key).parents}
    seen: set[str] = set()
    for key, entry in zip(keys, files, strict=True):
        if key in seen or key in folders:
            raise Refused(Slug.DUPLICATE_NAMES, name=_shown(entry.name))
        seen.add(key)


def _is_junk(name: str) -> bool:
    """What operating systems add unasked: resource forks and dot files."""
    return any(part == "__MACOSX" or part.startswith(".") for part in name.split("/"))


def _read_options(file: BinaryIO, entry: ZippedPhoto) -> bytes:
    if entry.size > MAX_OPTIONS_BYTES:
        raise Refused(Slug.BAD_OPTIONS, detail=f"{OPTIONS_NAME} is larger than {MAX_OPTIONS_BYTES // 1024} KiB")
    try:
        return b"".join(_unpack(file, entry))
    except _DamagedError:
        raise _damaged(entry.name) from None


def _extract_one(file: BinaryIO, photo: ZippedPhoto, folder: Path) -> Path:
    target = folder / photo.name
    if not target.resolve().is_relative_to(folder.resolve()):  # names are checked; this guards against a link in place
        raise _DamagedError("its path leaves the folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{zlib.crc32(photo.raw_name):08x}.partial"
    try:
        with partial.open("wb") as out:
            for chunk in _unpack(file, photo):
                out.write(chunk)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _unpack(file: BinaryIO, entry: ZippedPhoto) -> Iterator[bytes]:
    """The entry's bytes in chunks, never more than its size; raises `_Damaged` at the first contradiction."""
    if entry.size > MAX_PHOTO_BYTES:
        raise _DamagedError(f"it is larger than {MAX_PHOTO_BYTES // 10**6} MB")
    if entry.packed > 2 * entry.size + _CHUNK:  # padding that unpacks to nothing would only cost time
        raise _DamagedError("it is packed into more bytes than it has")
    at, crc, written = _data_start(file, entry), 0, 0
    for chunk in _inflate(file, at, entry):
        written += len(chunk)
        if written > entry.size:
            raise _DamagedError("it is longer than the zip says")
        crc = zlib.crc32(chunk, crc)
        yield chunk
    if written != entry.size:
        raise _DamagedError("it is shorter than the zip says")
    if crc != entry.crc:
        raise _DamagedError("its checksum is wrong")


def _data_start(file: BinaryIO, entry: ZippedPhoto) -> int:
    head = _LOCAL.unpack(_read_at(file, entry.offset, _LOCAL.size))
    name = _read_at(file, entry.offset + _LOCAL.size, head[9]) if head[9] == len(entry.raw_name) else b""
    if head[0] != b"PK\3\4" or name != entry.raw_name or head[3] != entry.method or head[2] & _ENCRYPTION_FLAGS:
        raise _DamagedError("its header contradicts the zip's table of contents")
    start: int = entry.offset + _LOCAL.size + head[9] + head[10]
    if start + entry.packed > entry.limit:
        raise _DamagedError("it reaches into the next file of the zip")
    return start


def _inflate(file: BinaryIO, at: int, entry: ZippedPhoto) -> Iterator[bytes]:
    """What the packed bytes unpack to, in chunks of about `_CHUNK` bytes."""
    if entry.method not in (_STORED, _DEFLATED):
        raise _DamagedError(f"it is packed by a method that is not supported ({entry.method})")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for begin in range(at, at + entry.packed, _CHUNK):
        data = _read_at(file, begin, min(_CHUNK, at + entry.packed - begin))
        if entry.method == _STORED:
            yield data
            continue
        last = begin + len(data) == at + entry.packed
        try:
            while not inflater.eof and (data or last):
                chunk = inflater.decompress(data, _CHUNK)
                yield chunk
                if last and not data and not chunk:
                    raise _DamagedError("its packed bytes end too soon")
                data = inflater.unconsumed_tail  # empty while zlib may still hold a few bytes back
        except zlib.error:
            raise _DamagedError("its packed bytes are damaged") from None
        if inflater.eof:
            return


def _read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    chunks, missing = [], length
    while missing > 0 and (chunk := file.read(missing)):
        chunks.append(chunk)
        missing -= len(chunk)
    if missing > 0:
        raise _damaged("its end is missing")
    return b"".join(chunks)


def _damaged(name: str) -> Refused:
    return Refused(Slug.DAMAGED_ZIP, name=_shown(name))


def _shown(name: str) -> str:
    """A hostile name, fit for a sentence: printable and short."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:100]
