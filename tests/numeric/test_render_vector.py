"""The vector type against numpy, lane by lane."""

import numpy as np
import pytest

from spaceport.simd import memory as mem
from spaceport.simd import ops as vm
from spaceport.simd.jit import kernel
from spaceport.simd.lanes import LANES

exp2, exp2_fast, log2, root, quotient, sqrt = vm.exp2, vm.exp2_fast, vm.log2, vm.root, vm.quotient, vm.sqrt
smaller, larger, where, sums9, largest = vm.smaller, vm.larger, vm.where, vm.sums9, vm.largest
bits, lowest, lane_numbers, to_ints, to_floats = vm.bits, vm.lowest, vm.lane_numbers, vm.to_ints, vm.to_floats
load, store, gather, scatter = mem.load, mem.store, mem.gather, mem.scatter
load_columns, store_rows, store_kept = mem.load_columns, mem.store_rows, mem.store_kept


def floats(low: float, high: float) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, 64 * LANES).astype(np.float32)


@kernel
def _unary(which: int, x: np.ndarray, out: np.ndarray) -> None:
    for at in range(0, len(x), LANES):
        v = load(x, at)
        if which == 0:
            store(out, at, exp2(v))
        elif which == 1:
            store(out, at, exp2_fast(v))
        elif which == 2:
            store(out, at, log2(v))
        elif which == 3:
            store(out, at, root(v))
        elif which == 4:
            store(out, at, quotient(v + 1.0, v))
        else:
            store(out, at, sqrt(v))


@pytest.mark.parametrize(
    ("which", "x", "truth", "tolerance"),
    [
        (0, floats(-100, 100), np.exp2, 2e-7),
        (1, floats(-100, 100), np.exp2, 5e-6),
        (2, np.exp2(floats(-100, 100)), np.log2, 2e-7),
        (3, floats(0, 9), np.sqrt, 4e-7),
        (3, np.zeros(LANES, np.float32), np.sqrt, 0),
        (4, floats(0.01, 9), lambda x: (x + 1) / x, 6e-7),
        (5, floats(0, 9), np.sqrt, 4e-7),
    ],
)
def test_functions(which: int, x: np.ndarray, truth, tolerance: float) -> None:
    out = np.empty_like(x)
    _unary(which, x, out)
    np.testing.assert_allclose(out, truth(x.astype(np.float64)), rtol=tolerance, atol=1e-7 if which == 2 else 0)


@kernel
def _arithmetic(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> tuple[int, int, float]:
    a, b = load(x, 0), load(y, 0)
    store(out, 0, -(a * 2.0 + b / a - 1.0))
    store(out, LANES, where(((a < b) & (a > 0.25)) | (b <= 0.1), a, b))
    store(out, 2 * LANES, smaller(a, b))
    store(out, 3 * LANES, larger(a, b))
    store(out, 4 * LANES, to_floats(to_ints(10.0 * a) + lane_numbers() * 3))
    mask = bits(a < b)
    return mask, lowest(mask), largest(a)


def test_operators() -> None:
    x, y = floats(0, 1)[:LANES], floats(0, 1)[LANES : 2 * LANES]
    out = np.empty((5, LANES), np.float32)
    mask, first, most = _arithmetic(x, y, out)
    np.testing.assert_allclose(out[0], -(x * 2 + y / x - 1), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(out[1], np.where(((x < y) & (x > 0.25)) | (y <= 0.1), x, y))
    np.testing.assert_array_equal(out[2:4], [np.minimum(x, y), np.maximum(x, y)])
    np.testing.assert_array_equal(out[4], (10 * x).astype(int) + 3 * np.arange(LANES))
    below = np.flatnonzero(x < y)
    assert mask == sum(1 << int(k) for k in below)
    assert (first, most) == (below[0], x.max())


def test_comparisons_with_nan_are_false() -> None:
    x, y = np.full(LANES, np.nan, np.float32), np.ones(LANES, np.float32)
    assert _arithmetic(x, y, np.empty((5, LANES), np.float32))[0] == 0


@kernel
def _sums(x: np.ndarray, out: np.ndarray) -> None:
    v = load(x, 0)
    store(out, 0, sums9((v, v * 2.0, v * 3.0, v * 4.0, v * 5.0, v * 6.0, v * 7.0, v * 8.0, v * 9.0)))


def test_nine_sums_at_once() -> None:
    x, out = floats(0, 1)[:LANES], np.empty(LANES, np.float32)
    _sums(x, out)
    np.testing.assert_allclose(out[:9], x.sum(dtype=np.float64) * np.arange(1, 10), rtol=1e-6)
    assert not out[9:].any()


@kernel
def _places(x: np.ndarray, rows: np.ndarray, kept: np.ndarray, spread: np.ndarray) -> tuple[int, int]:
    mask = lane_numbers() * 3 < 20
    end = store_rows(rows, 0, load_columns(x, 0), mask)
    scatter(spread, lane_numbers() * 2, gather(x, lane_numbers() * 17), mask)
    return end, store_kept(kept, 0, lane_numbers() * 17, mask)


def test_gather_scatter_transpose_and_compaction() -> None:
    x = np.arange(256, dtype=np.float32)
    rows, spread, kept = np.zeros(512, np.float32), np.full(32, -1, np.float32), np.zeros(32, np.int32)
    assert _places(x, rows, kept, spread) == (7 * 16, 7)
    np.testing.assert_array_equal(rows[: 7 * 16], x[: 7 * 16])
    np.testing.assert_array_equal(kept[:7], 17 * np.arange(7))
    np.testing.assert_array_equal(spread[:14:2], 17 * np.arange(7))
    assert (np.delete(spread, range(0, 14, 2)) == -1).all()


def test_kernels_compile_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self, function) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.core.caching.FunctionCache.__init__", refuse)
    out = np.empty(LANES, np.float32)
    kernel(_sums.py_func)(np.ones(LANES, np.float32), out)
    assert out[0] == LANES
