"""Loads and stores of vectors. Arrays must be contiguous, indices are flat, and bounds are not checked."""

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
    broadcast_scalar,
    call,
    constant,
    define_intrinsic,
    flags,
    floats,
    ints,
)

_I64 = ir.IntType(64)
_V64 = ir.VectorType(_I64, LANES)
_POINTERS = ir.VectorType(ir.PointerType(), LANES)
_NAME = f"v{LANES}f32.v{LANES}p0"


def _pointer(builder: ir.IRBuilder, data: ir.Value, index: ir.Value, kind: ir.Type) -> ir.Value:
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _load(kind: ir.Type) -> Callable[..., ir.Value]:
    return lambda b, data, index: b.load(_pointer(b, data, index, kind), align=4)


def _store(b: ir.IRBuilder, data: ir.Value, index: ir.Value, value: ir.Value) -> ir.Value:
    return b.store(value, _pointer(b, data, index, value.type), align=4)


def _pointers(b: ir.IRBuilder, data: ir.Value, offsets: ir.Value) -> ir.Value:
    wide = b.shl(b.sext(offsets, _V64), constant(2, _V64))
    return b.inttoptr(b.add(broadcast_scalar(b, b.ptrtoint(data, _I64), _V64), wide), _POINTERS)


def _gather(b: ir.IRBuilder, data: ir.Value, offsets: ir.Value) -> ir.Value:
    every_lane, passthrough = constant(1, VB), constant(0.0)
    return call(b, f"llvm.masked.gather.{_NAME}", VF, _pointers(b, data, offsets), every_lane, passthrough, flags=())


def _scatter(b: ir.IRBuilder, data: ir.Value, offsets: ir.Value, value: ir.Value, mask: ir.Value) -> ir.Value:
    name = f"llvm.masked.scatter.{_NAME}"
    return call(b, name, ir.VoidType(), value, _pointers(b, data, offsets), mask, flags=())


def _transpose(b: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Transpose a 16 x 16 matrix of row vectors: four rounds that swap ever smaller blocks."""
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


def _emit_load_transposed(b: ir.IRBuilder, data: ir.Value, index: ir.Value) -> ir.Value:
    rows = [_load(VF)(b, data, b.add(index, _I64(LANES * k))) for k in range(LANES)]
    result = ir.Constant(ir.ArrayType(VF, LANES), ir.Undefined)
    for k, column in enumerate(_transpose(b, rows)):
        result = b.insert_value(result, column, k)
    return result


def _emit_compress_store_rows(
    b: ir.IRBuilder, data: ir.Value, index: ir.Value, columns: ir.Value, mask: ir.Value
) -> ir.Value:
    """Every row is stored at `index`, but only those of the mask advance it: no branch."""
    rows = _transpose(b, [b.extract_value(columns, k) for k in range(LANES)])
    for k, row in enumerate(rows):
        _store(b, data, index, row)
        advance = b.zext(b.extract_element(mask, I32(k)), _I64)
        index = b.add(index, b.shl(advance, _I64(LANES.bit_length() - 1)))
    return index


def _emit_compress_store(b: ir.IRBuilder, data: ir.Value, index: ir.Value, value: ir.Value, mask: ir.Value) -> ir.Value:
    for k in range(LANES):
        b.store(b.extract_element(value, I32(k)), b.gep(data, [index]))
        index = b.add(index, b.zext(b.extract_element(mask, I32(k)), _I64))
    return index


_index = types.int64
_sixteen = types.UniTuple(floats, LANES)


def _prefetch(to_write: int) -> Callable[..., ir.Value]:
    return lambda b, data, index: call(
        b, "llvm.prefetch.p0", ir.VoidType(), b.gep(data, [index]), I32(to_write), I32(3), I32(1), flags=()
    )


prefetch: Any = define_intrinsic(
    "prefetch",
    types.void,
    (FLOAT_ARRAY, _index),
    _prefetch(0),
    "Prefetch the cache line at an index, for reading.",
)
prefetch_write: Any = define_intrinsic(
    "prefetch_write",
    types.void,
    (FLOAT_ARRAY, _index),
    _prefetch(1),
    "Prefetch the cache line at an index, for writing.",
)
load: Any = define_intrinsic(
    "load", floats, (FLOAT_ARRAY, _index), _load(VF), "16 consecutive floats from an index on."
)
store: Any = define_intrinsic(
    "store", types.void, (FLOAT_ARRAY, _index, floats), _store, "Write 16 consecutive floats from an index on."
)
load_ints: Any = define_intrinsic(
    "load_ints", ints, (INT_ARRAY, _index), _load(VI), "16 consecutive int32 from an index on."
)
store_ints: Any = define_intrinsic(
    "store_ints", types.void, (INT_ARRAY, _index, ints), _store, "Write 16 consecutive int32 from an index on."
)
broadcast_load: Any = define_intrinsic(
    "broadcast_load",
    floats,
    (FLOAT_ARRAY, _index),
    lambda b, data, index: broadcast_scalar(b, b.load(b.gep(data, [index])), VF),
    "Load one float and broadcast it to all lanes.",
)
gather: Any = define_intrinsic("gather", floats, (FLOAT_ARRAY, ints), _gather, "The floats at 16 indices.")
scatter: Any = define_intrinsic(
    "scatter",
    types.void,
    (FLOAT_ARRAY, ints, floats, flags),
    _scatter,
    "Write the lanes that a mask sets to their indices; of equal indices, the last lane wins.",
)
load_transposed: Any = define_intrinsic(
    "load_transposed",
    _sixteen,
    (FLOAT_ARRAY, _index),
    _emit_load_transposed,
    "16 rows of 16 floats, transposed: a tuple of the 16 columns.",
)
compress_store_rows: Any = define_intrinsic(
    "compress_store_rows",
    _index,
    (FLOAT_ARRAY, _index, _sixteen, flags),
    _emit_compress_store_rows,
    "Transpose 16 columns and write the rows that a mask sets, without gaps. Returns the index after the last;"
    " one row from there on may be overwritten.",
)
compress_store: Any = define_intrinsic(
    "compress_store",
    _index,
    (INT_ARRAY, _index, ints, flags),
    _emit_compress_store,
    "Write the lanes that a mask sets, without gaps. Returns the index after the last; that one may be overwritten.",
)
