"""Reads a binary file of records that somebody else wrote, within its bounds."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any, Final

MAX_NAME_BYTES: Final = 1024
COUNT: Final = struct.Struct("<Q")


class Cursor:
    """Reads a file front to back, and never past its end. Counts and texts are as COLMAP writes them, little endian.

    Args:
        path: of the file, which is mapped and not read at once.
        most: bytes that it may have.

    Raises:
        ValueError: it cannot be read or is too large; so does every method at what the file does not hold.
    """

    def __init__(self, path: Path, most: int) -> None:
        self.name = path.name
        self.at = 0
        try:
            self.length = path.stat().st_size
            if self.length > most:
                raise ValueError(f"{self.name} is larger than {most >> 30} GiB")
            with path.open("rb") as file:
                self.data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.length else b""
        except OSError as error:
            raise ValueError(f"{self.name} cannot be read ({error.strerror})") from None

    def skip(self, count: int) -> None:
        """Skip so many bytes."""
        if count > self.length - self.at:
            raise ValueError(f"{self.name} ends too early")
        self.at += count

    def take(self, record: struct.Struct) -> tuple[Any, ...]:
        """The fields of one record."""
        start = self.at
        self.skip(record.size)
        return record.unpack_from(self.data, start)

    def count(self, smallest_record: int) -> int:
        """A number of records of at least so many bytes, for which the rest of the file is long enough."""
        number = int(self.take(COUNT)[0])
        if number * smallest_record > self.length - self.at:
            raise ValueError(f"{self.name} claims {number} records and is too short for them")
        return number

    def text(self) -> str:
        """A name that ends with a zero byte."""
        end = self.data.find(b"\0", self.at, self.at + MAX_NAME_BYTES)
        if end < 0:
            raise ValueError(f"{self.name} holds a name without an end")
        raw = self.data[self.at : end]
        self.at = end + 1
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{self.name} holds a name that is not UTF-8") from None

    def finish(self) -> None:
        """Check that all was read."""
        if self.at != self.length:
            raise ValueError(f"{self.name} is longer than its records")
