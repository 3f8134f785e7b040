"""Lanes against numpy, lane by lane."""

from collections.abc import Callable

import numpy as np
import pytest

from spaceport.simd.jit import kernel
from spaceport.simd.lanes import LANES
from spaceport.simd.memory import compress_store, compress_store_rows, gather, load, load_transposed, scatter, store
from spaceport.simd.ops import (
    count_trailing_zeros,
    divide_fast,
    exp2,
    exp2_fast,
    lane_index,
    log2,
    maximum,
    minimum,
    packmask,
    reduce_add9,
    reduce_max,
    select,
    sqrt,
    sqrt_fast,
    to_floats,
    to_ints,
)


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
            store(out, at, sqrt_fast(v))
        elif which == 4:
            store(out, at, divide_fast(v + 1.0, v))
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
def test_functions(which: int, x: np.ndarray, truth: Callable[[np.ndarray], np.ndarray], tolerance: float) -> None:
    out = np.empty_like(x)
    _unary(which, x, out)
    np.testing.assert_allclose(out, truth(x.astype(np.float64)), rtol=tolerance, atol=1e-7 if which == 2 else 0)


@kernel
def _arithmetic(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> tuple[int, int, float]:
    a, b = load(x, 0), load(y, 0)
    store(out, 0, -(a * 2.0 + b / a - 1.0))
    store(out, LANES, select(((a < b) & (a > 0.25)) | (b <= 0.1), a, b))
    store(out, 2 * LANES, minimum(a, b))
    store(out, 3 * LANES, maximum(a, b))
    store(out, 4 * LANES, to_floats(to_ints(10.0 * a) + lane_index() * 3))
    mask = packmask(a < b)
    return mask, count_trailing_zeros(mask), reduce_max(a)


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
    store(out, 0, reduce_add9((v, v * 2.0, v * 3.0, v * 4.0, v * 5.0, v * 6.0, v * 7.0, v * 8.0, v * 9.0)))


def test_nine_sums_at_once() -> None:
    x, out = floats(0, 1)[:LANES], np.empty(LANES, np.float32)
    _sums(x, out)
    np.testing.assert_allclose(out[:9], x.sum(dtype=np.float64) * np.arange(1, 10), rtol=1e-6)
    assert not out[9:].any()


@kernel
def _places(x: np.ndarray, rows: np.ndarray, kept: np.ndarray, spread: np.ndarray) -> tuple[int, int]:
    mask = lane_index() * 3 < 20
    end = compress_store_rows(rows, 0, load_transposed(x, 0), mask)
    scatter(spread, lane_index() * 2, gather(x, lane_index() * 17), mask)
    return end, compress_store(kept, 0, lane_index() * 17, mask)


def test_gather_scatter_transpose_and_compaction() -> None:
    x = np.arange(256, dtype=np.float32)
    rows, spread, kept = np.zeros(512, np.float32), np.full(32, -1, np.float32), np.zeros(32, np.int32)
    assert _places(x, rows, kept, spread) == (7 * 16, 7)
    np.testing.assert_array_equal(rows[: 7 * 16], x[: 7 * 16])
    np.testing.assert_array_equal(kept[:7], 17 * np.arange(7))
    np.testing.assert_array_equal(spread[:14:2], 17 * np.arange(7))
    assert (np.delete(spread, range(0, 14, 2)) == -1).all()


def test_kernels_compile_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, function: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.core.caching.FunctionCache.__init__", refuse)
    out = np.empty(LANES, np.float32)
    kernel(getattr(_sums, "py_func"))(np.ones(LANES, np.float32), out)  # noqa: B009 - numba's, which mypy does not see
    assert out[0] == LANES
