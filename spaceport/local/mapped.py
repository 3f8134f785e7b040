"""Files in the place of `bytes`: one that is written piece by piece, and one that is read through a mapping."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from weakref import finalize

from spaceport.local.disk import free_bytes, refuse

PIECE: Final = 1 << 20


class Spool:
    """A file of the scratch folder, which goes with this object unless it was moved."""

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="object-")  # mode 0600
        self.path = Path(name)
        self.file = os.fdopen(handle, "wb", buffering=0)
        finalize(self, self.path.unlink, missing_ok=True)

    def write(self, piece: bytes, size: int) -> int:
        """Append a piece of `size` bytes in all. Returns the piece's length. Raises `DiskFull`."""
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[self.file.write(rest) :]
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise refuse(size, free_bytes(self.path.parent)) from error
        return len(piece)

    def move(self, path: str) -> None:
        """Give the file away: it is at `path` whole or not at all, on another disk too."""
        shutil.move(self.path, f"{path}.tmp")
        Path(f"{path}.tmp").replace(path)

    def map(self) -> MappedFile:
        """Its content. Nothing more may be written."""
        self.file.close()
        mapped = MappedFile.of(self.path)
        mapped.spool = self
        return mapped


class MappedFile(mmap.mmap):
    """A file as a buffer of which only what is being read is in memory. Slices are views, not copies."""

    spool: Spool | None = None
    """The file, if nobody else has it."""

    @classmethod
    def of(cls, path: str | Path) -> MappedFile:
        """Map a file that is not empty. Raises `OSError`, `ValueError`."""
        with Path(path).open("rb") as file:
            return cls(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __getitem__(self, index: Any) -> Any:
        return memoryview(self)[index] if isinstance(index, slice) else super().__getitem__(index)


def pieces(body: MappedFile | memoryview) -> Iterator[bytes]:
    """A mapped body piece by piece; what was read leaves memory again."""
    view = memoryview(body)
    for start in range(0, len(view), PIECE):
        yield bytes(view[start : start + PIECE])
        view.obj.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]  # the mapping, also of a view of a part


def is_mapped(body: object) -> bool:
    return isinstance(body, MappedFile) or (isinstance(body, memoryview) and isinstance(body.obj, MappedFile))
