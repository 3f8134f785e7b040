"""Arrays on disk: they work as arrays in memory do, leave no file behind, and never kill us when the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceport.splats import scratch
from spaceport.splats.scratch import allocate, folder_of, free_pages, row_blocks, take


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "LARGE", 4096)


def resident(array: np.ndarray) -> int:
    """Bytes of the mapping of an array that are in memory."""
    address, begins = f"{array.ctypes.data:x}-", False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        begins |= line.startswith(address)
        if begins and line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no such mapping")


def test_only_large_arrays_with_a_folder_lie_on_disk_and_no_name_shows(tmp_path: Path) -> None:
    large = allocate((1024, 3), tmp_path / "new")
    assert folder_of(large) == folder_of(large[5:7].reshape(-1)) == tmp_path / "new"
    assert folder_of(allocate((1024, 3), None)) is None and folder_of(allocate((10, 3), tmp_path)) is None
    assert folder_of(allocate((0, 3), tmp_path)) is None
    assert list((tmp_path / "new").iterdir()) == []
    large[:] = 1.5
    assert large.sum() == 1.5 * large.size


def test_pages_are_let_go_and_values_stay(tmp_path: Path) -> None:
    array = allocate((1 << 20, 1), tmp_path)
    array[:, 0] = np.arange(len(array))
    assert resident(array) == array.nbytes
    free_pages(array[: 1 << 19])
    assert resident(array) == array.nbytes // 2
    assert np.array_equal(array[:, 0], np.arange(len(array), dtype=np.float32))
    free_pages(array[7:7])
    for rows in row_blocks(array, np.zeros(len(array))):
        array[rows] += 1
    assert resident(array) == 0 and array[-1, 0] == 1 << 20
    free_pages(np.zeros(9))  # one in memory is left alone


def test_a_full_disk_is_an_error_and_not_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="no space"):
        allocate((1024, 3), tmp_path)


@given(st.data())
def test_rows_are_taken_as_numpy_takes_them(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("scratch")
    count = data.draw(st.integers(400, 2000))
    array = allocate((count, 4, 3), folder)
    array[:] = np.random.default_rng(count).normal(size=array.shape)
    kept = data.draw(st.integers(0, count))
    order = np.random.default_rng(data.draw(st.integers(0, 9))).permutation(count)[:kept]
    mask = np.isin(np.arange(count), order)
    indices: list[scratch.Index] = [order, mask, slice(kept), slice(None)]
    index = data.draw(st.sampled_from(indices))
    columns = data.draw(st.sampled_from([slice(None), slice(1), slice(3)]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch, "BLOCK_BYTES", data.draw(st.integers(1, 50_000)))
        patch.setattr(scratch, "SCATTERED_ROWS", data.draw(st.integers(1, 300)))
        result = take(array, index, columns)
    expected = np.asarray(array)[index][:, columns]
    assert np.array_equal(result, expected) and result.flags.c_contiguous
    assert (folder_of(result) is not None) == (result.nbytes >= 4096)
