"""Arrays too large for memory: mapped files without a name, which work as arrays do and go when nobody holds them.

A kernel or numpy reads a mapped array like any other; the system brings its pages in. They count as this process's
memory until `free_pages` lets them go, so whoever passes over many rows does that as it goes: the values stay in the
file, and come back when they are read again.

Arrays made from a mapped one with the functions below are mapped too, beside it, if they are as large.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Index = NDArray[np.bool_] | NDArray[np.integer] | slice

LARGE: Final = 256 << 20
"""Bytes from which on an array is not kept in memory: the higher SH of 1.5 million Gaussians of degree 3."""
BLOCK_BYTES: Final = 32 << 20
"""Of an array that are in memory at a time, about."""
SCATTERED_ROWS: Final = 4096
"""Rows that are read at a time where they lie anywhere: the system brings in 64 KiB around each."""


class _ScratchMap(mmap.mmap):
    """The memory of a mapped array; it knows the folder of its file."""

    folder: Path


def allocate(shape: Sequence[int], folder: Path | None) -> Floats:
    """As `np.empty`; in a file of `folder`, which has no name, if it is large and there is a folder.

    Raises:
        OSError: the disk is full.
    """
    size = 4 * int(np.prod(shape))
    if folder is None or size < LARGE or size == 0:
        return np.empty(shape, np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)  # a disk that is full must not kill us when a page is written
        else:
            file.truncate(size)  # macOS
        memory = _ScratchMap(file.fileno(), size)
    memory.folder = folder
    return np.frombuffer(memory, np.float32).reshape(shape)


def folder_of(array: NDArray[Any]) -> Path | None:
    """The folder whose file an array or a view lies in; None if it lies in memory."""
    memory = _map_of(array)
    return None if memory is None else memory.folder


def _map_of(array: NDArray[Any]) -> _ScratchMap | None:
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    memory = owner.obj if isinstance(owner, memoryview) else None
    return memory if isinstance(memory, _ScratchMap) else None


def free_pages(array: NDArray[Any]) -> None:
    """Let the memory go that a mapped array, or a part of one, takes up now; nothing for one in memory."""
    memory = _map_of(array)
    if memory is None or array.size == 0:
        return
    low, high = np.lib.array_utils.byte_bounds(array)
    begin = low - np.frombuffer(memory, np.uint8).ctypes.data
    first = begin // mmap.PAGESIZE * mmap.PAGESIZE
    memory.madvise(mmap.MADV_DONTNEED, first, begin + high - low - first)


def row_blocks(*arrays: NDArray[Any]) -> Iterator[slice]:
    """Slices of the rows of arrays of equal length, whose memory is let go when the next one is asked for.

    A single one if all of them lie in memory.
    """
    count, mapped = len(arrays[0]), [array for array in arrays if _map_of(array) is not None]
    if not mapped:
        yield slice(0, count)
        return
    step = _rows_of_block(mapped)
    for first in range(0, count, step):
        rows = slice(first, min(count, first + step))
        yield rows
        for array in mapped:
            free_pages(array[rows])


def _rows_of_block(arrays: Sequence[NDArray[Any]]) -> int:
    return max(1, BLOCK_BYTES // max(array.itemsize * int(np.prod(array.shape[1:])) for array in arrays))


def take(array: Floats, index: Index, columns: slice = slice(None)) -> Floats:
    """`array[index][:, columns]`, contiguous: of a mapped array [N,D,...] a mapped one, if it is large.

    Each row is taken once at most where the result is large.
    """
    folder = folder_of(array)
    if folder is None:
        return np.ascontiguousarray(array[index][:, columns])
    rows = _numbers(index, len(array))
    result = allocate((len(rows), *array[:0, columns].shape[1:]), folder)
    if folder_of(result) is not None:
        _distribute(array, rows, columns, result)
        return result
    sequence = np.argsort(rows, kind="stable")  # as they lie in the file
    for first in range(0, len(rows), SCATTERED_ROWS):
        part = sequence[first : first + SCATTERED_ROWS]
        result[part] = array[rows[part]][:, columns]
        free_pages(array)
    return result


def _numbers(index: Index, count: int) -> NDArray[np.integer]:
    """The numbers of the rows, of `count`, that an index selects."""
    if isinstance(index, slice):
        return np.arange(*index.indices(count))
    return np.flatnonzero(index) if index.dtype == bool else index.astype(np.intp, copy=False)


def _distribute(source: Floats, order: NDArray[np.integer], columns: slice, result: Floats) -> None:
    """Write source[order][:, columns] to `result`: both are read and written as they lie on disk.

    Rows go to the block of the result that they belong to first, one after the other, and are put in order within it
    then.
    """
    slot_of = np.full(len(source), -1, np.int32)
    slot_of[order] = np.arange(len(order), dtype=np.int32)
    step = _rows_of_block([result])
    arrived = np.empty(len(order), np.int32)  # the slot of each row, in the order in which rows arrive in a block
    ends = np.arange(-(-len(order) // step)) * step
    for rows in row_blocks(source):
        slots = slot_of[rows]
        kept = np.flatnonzero(slots >= 0)
        kept = kept[np.argsort(slots[kept] // step, kind="stable")]
        blocks, starts = np.unique(slots[kept] // step, return_index=True)
        part = source[rows]
        for block, mine in zip(blocks, np.split(kept, starts)[1:], strict=True):
            at = slice(ends[block], ends[block] + len(mine))
            result[at] = part[mine][:, columns]
            arrived[at] = slots[mine]
            ends[block] += len(mine)
            free_pages(result[at])
    for rows in row_blocks(result):
        in_order = np.empty_like(result[rows])
        in_order[arrived[rows] - rows.start] = result[rows]
        result[rows] = in_order
