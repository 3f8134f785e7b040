"""Vectors from and to memory. Arrays must be contiguous, indices are flat, and nobody checks bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from spaceport.simd.lanes import (
    FLOAT_ARRAY,
    I32,
    INT_ARRAY,
    LANES,
    VB,
    VF,
    VI,
    call,
    constant,
    define,
    flags,
    floats,
    ints,
    spread_lanes,
)

_I64 = ir.IntType(64)
_V64 = ir.VectorType(_I64, LANES)
_POINTERS = ir.VectorType(ir.PointerType(), LANES)
_NAME = f"v{LANES}f32.v{LANES}p0"


def _at(builder: ir.IRBuilder, data: ir.Value, index: ir.Value, kind: ir.Type) -> ir.Value:
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _load(kind: ir.Type) -> Callable[..., ir.Value]:
    return lambda b, data, index: b.load(_at(b, data, index, kind), align=4)


def _store(b: ir.IRBuilder, data: ir.Value, index: ir.Value, value: ir.Value) -> ir.Value:
    return b.store(value, _at(b, data, index, value.type), align=4)


def _pointers(b: ir.IRBuilder, data: ir.Value, offsets: ir.Value) -> ir.Value:
    wide = b.shl(b.sext(offsets, _V64), constant(2, _V64))
    return b.inttoptr(b.add(spread_lanes(b, b.ptrtoint(data, _I64), _V64), wide), _POINTERS)


def _gather(b: ir.IRBuilder, data: ir.Value, offsets: ir.Value) -> ir.Value:
    mask, rest = constant(1, VB), constant(0.0)
    return call(b, f"llvm.masked.gather.{_NAME}", VF, _pointers(b, data, offsets), mask, rest, flags=())


def _scatter(b: ir.IRBuilder, data: ir.Value, offsets: ir.Value, value: ir.Value, mask: ir.Value) -> ir.Value:
    name = f"llvm.masked.scatter.{_NAME}"
    return call(b, name, ir.VoidType(), value, _pointers(b, data, offsets), mask, flags=())


def _transposed(b: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """The 16 x 16 matrix whose rows are vectors, transposed: four rounds that swap ever smaller blocks."""
    half = LANES // 2
    while half:
        low = [i + LANES if i & half else i for i in range(LANES)]
        first = [low[i] - half if i & half else i for i in range(LANES)]
        second = [i + LANES if i & half else i + half for i in range(LANES)]
        for k in [k for k in range(LANES) if not k & half]:
            x, y = rows[k], rows[k + half]
            rows[k] = b.shuffle_vector(x, y, ir.Constant(VI, first))
            rows[k + half] = b.shuffle_vector(x, y, ir.Constant(VI, second))
        half //= 2
    return rows


def _emit_columns(b: ir.IRBuilder, data: ir.Value, index: ir.Value) -> ir.Value:
    rows = [_load(VF)(b, data, b.add(index, _I64(LANES * k))) for k in range(LANES)]
    result = ir.Constant(ir.ArrayType(VF, LANES), ir.Undefined)
    for k, column in enumerate(_transposed(b, rows)):
        result = b.insert_value(result, column, k)
    return result


def _emit_rows(b: ir.IRBuilder, data: ir.Value, index: ir.Value, columns: ir.Value, mask: ir.Value) -> ir.Value:
    """Every row is stored where the next one goes, and only a wanted one moves that place on: no branch."""
    rows = _transposed(b, [b.extract_value(columns, k) for k in range(LANES)])
    for k, row in enumerate(rows):
        _store(b, data, index, row)
        kept = b.zext(b.extract_element(mask, I32(k)), _I64)
        index = b.add(index, b.shl(kept, _I64(LANES.bit_length() - 1)))
    return index


def _emit_kept(b: ir.IRBuilder, data: ir.Value, index: ir.Value, value: ir.Value, mask: ir.Value) -> ir.Value:
    for k in range(LANES):
        b.store(b.extract_element(value, I32(k)), b.gep(data, [index]))
        index = b.add(index, b.zext(b.extract_element(mask, I32(k)), _I64))
    return index


_place = types.int64
_sixteen = types.UniTuple(floats, LANES)


def _prefetch(to_write: int) -> Callable[..., ir.Value]:
    return lambda b, data, index: call(
        b, "llvm.prefetch.p0", ir.VoidType(), b.gep(data, [index]), I32(to_write), I32(3), I32(1), flags=()
    )


prefetch: Any = define(
    "prefetch",
    types.void,
    (FLOAT_ARRAY, _place),
    _prefetch(0),
    "Begin to fetch the cache line at an index, to read it soon.",
)
prefetch_own: Any = define(
    "prefetch_own",
    types.void,
    (FLOAT_ARRAY, _place),
    _prefetch(1),
    "Begin to fetch the cache line at an index, to write to it soon.",
)
load: Any = define("load", floats, (FLOAT_ARRAY, _place), _load(VF), "16 floats from an index on.")
store: Any = define("store", types.void, (FLOAT_ARRAY, _place, floats), _store, "Write 16 floats from an index on.")
load_ints: Any = define("load_ints", ints, (INT_ARRAY, _place), _load(VI), "16 int32 from an index on.")
store_ints: Any = define("store_ints", types.void, (INT_ARRAY, _place, ints), _store, "Write 16 int32.")
spread_at: Any = define(
    "spread_at",
    floats,
    (FLOAT_ARRAY, _place),
    lambda b, data, index: spread_lanes(b, b.load(b.gep(data, [index])), VF),
    "One float of an array, in all lanes.",
)
gather: Any = define("gather", floats, (FLOAT_ARRAY, ints), _gather, "One float from each of 16 places.")
scatter: Any = define(
    "scatter",
    types.void,
    (FLOAT_ARRAY, ints, floats, flags),
    _scatter,
    "Write lanes that a mask names to their places.",
)
load_columns: Any = define(
    "load_columns", _sixteen, (FLOAT_ARRAY, _place), _emit_columns, "The 16 columns of 16 rows of 16 floats."
)
store_rows: Any = define(
    "store_rows",
    _place,
    (FLOAT_ARRAY, _place, _sixteen, flags),
    _emit_rows,
    "Write 16 columns as rows of 16, only those rows that a mask names, without gaps; the index after the last."
    " Up to one row behind it is overwritten.",
)
store_kept: Any = define(
    "store_kept",
    _place,
    (INT_ARRAY, _place, ints, flags),
    _emit_kept,
    "Write the lanes that a mask names without gaps; the index after the last. Up to one behind it is overwritten.",
)
