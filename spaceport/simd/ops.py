"""Arithmetic on vectors beyond the operators."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from spaceport.simd.lanes import (
    FAST,
    I1,
    I32,
    LANES,
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

FINITE = (*FAST, "ninf")
_I64 = ir.IntType(64)
_ROUNDER = 1.5 * 2**23  # added to a small float, leaves its nearest integer in the low bits
_SUFFIX = f"v{LANES}f32"


def _exp2_polynomial(degree: int) -> list[float]:
    """2^x on [-1/2, 1/2], lowest power first: interpolation at Chebyshev's points."""
    fit = np.polynomial.Chebyshev.interpolate(np.exp2, degree, domain=[-0.5, 0.5])
    return [float(c) for c in fit.convert(kind=np.polynomial.Polynomial).coef]


def _fma(b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    return call(b, f"llvm.fmuladd.{_SUFFIX}", VF, x, y, z)


def _horner(b: ir.IRBuilder, x: ir.Value, coefficients: list[float]) -> ir.Value:
    total = constant(coefficients[-1])
    for c in coefficients[-2::-1]:
        total = _fma(b, total, x, constant(c))
    return total


def _exp2(degree: int) -> Any:
    coefficients = _exp2_polynomial(degree)

    def emit(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        # (x + r) - r must not be folded away: LLVM would need `reassoc` for that, which lanes.py never gives.
        shifted = b.fadd(x, constant(_ROUNDER))
        rest = b.fsub(x, b.fsub(shifted, constant(_ROUNDER)))
        exponent = b.shl(b.bitcast(shifted, VI), constant(23, VI))
        return b.bitcast(b.add(b.bitcast(_horner(b, rest, coefficients), VI), exponent), VF)

    return emit


def _log2(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    # x = 2^e m with m in [sqrt(1/2), sqrt(2)); log2 m = (2 / ln 2) artanh((m - 1) / (m + 1))
    raised = b.sub(b.bitcast(x, VI), constant(0x3F3504F3, VI))
    exponent = b.ashr(raised, constant(23, VI))
    mantissa = b.bitcast(b.sub(b.bitcast(x, VI), b.shl(exponent, constant(23, VI))), VF)
    one = constant(1.0)
    t = b.fdiv(b.fsub(mantissa, one), b.fadd(mantissa, one))
    series = [2 / np.log(2) / k for k in (1, 3, 5, 7, 9)]
    return _fma(b, t, _horner(b, b.fmul(t, t), series), b.sitofp(exponent, VF))


def _sums(b: ir.IRBuilder, values: ir.Value) -> ir.Value:
    """Halve the number of vectors and the width of their partial sums together, four times."""
    count = values.type.count
    vectors = [b.extract_value(values, k) if k < count else None for k in range(LANES)]
    half = LANES // 2
    while half:
        vectors = [_merge(b, vectors[k], vectors[k + half], half) for k in range(half)]
        half //= 2
    return vectors[0]


def _merge(b: ir.IRBuilder, x: ir.Value | None, y: ir.Value | None, half: int) -> ir.Value | None:
    if x is None:
        return None
    other = constant(0.0) if y is None else y
    low = [i - half + LANES if i & half else i for i in range(LANES)]
    high = [i + LANES if i & half else i + half for i in range(LANES)]
    parts = [b.shuffle_vector(x, other, ir.Constant(VI, picks)) for picks in (low, high)]
    return b.fadd(parts[0], parts[1], flags=("nsz", "contract"))


def _largest(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    half = LANES // 2
    while half:
        turned = b.shuffle_vector(x, x, ir.Constant(VI, [(i + half) % LANES for i in range(LANES)]))
        x = b.select(b.fcmp_ordered(">", x, turned), x, turned)
        half //= 2
    return b.extract_element(x, I32(0))


def _select_by(sign: str) -> Any:
    return lambda b, x, y: b.select(b.fcmp_ordered(sign, x, y), x, y)


_two = (floats, floats)

fma: Any = define("fma", floats, (floats, floats, floats), _fma, "x * y + z; rounded once where the machine can.")
sqrt: Any = define("sqrt", floats, (floats,), lambda b, x: call(b, f"llvm.sqrt.{_SUFFIX}", VF, x), "Square root.")
root: Any = define(
    "root",
    floats,
    (floats,),
    lambda b, x: call(b, f"llvm.sqrt.{_SUFFIX}", VF, x, flags=FINITE),
    "Square root of finite numbers within 3e-7: may start from the machine's estimate.",
)
quotient: Any = define(
    "quotient",
    floats,
    _two,
    lambda b, x, y: b.fdiv(x, y, flags=FINITE),
    "x / y of finite numbers, y not 0, within 3e-7: may start from the machine's estimate of 1 / y.",
)
exp2: Any = define("exp2", floats, (floats,), _exp2(6), "2^x for |x| < 126, within 1e-7 of itself.")
exp2_fast: Any = define("exp2_fast", floats, (floats,), _exp2(4), "2^x for |x| < 126, within 5e-6 of itself.")
log2: Any = define("log2", floats, (floats,), _log2, "Logarithm to base 2 of normal positive numbers, within 1e-7.")
smaller: Any = define("smaller", floats, _two, _select_by("<"), "The lesser; y where either is NaN.")
larger: Any = define("larger", floats, _two, _select_by(">"), "The greater; y where either is NaN.")
where: Any = define(
    "where", floats, (flags, floats, floats), lambda b, m, x, y: b.select(m, x, y), "x in lanes of m, y in others."
)
bits: Any = define(
    "bits",
    types.int64,
    (flags,),
    lambda b, m: b.zext(b.bitcast(m, ir.IntType(LANES)), _I64),
    "The flags as an integer, lane 0 in the lowest bit.",
)
lowest: Any = define(
    "lowest",
    types.int64,
    (types.int64,),
    lambda b, x: b.cttz(x, I1(1)),
    "The place of the lowest bit that is set. There must be one.",
)
spread: Any = define("spread", floats, (types.float32,), lambda b, x: spread_lanes(b, x, VF), "A scalar in all lanes.")
lane_numbers: Any = define("lane_numbers", ints, (), lambda _: ir.Constant(VI, list(range(LANES))), "0, 1, 2 ... 15.")
to_floats: Any = define("to_floats", floats, (ints,), lambda b, x: b.sitofp(x, VF), "int32 to float32.")
float_bits: Any = define("float_bits", ints, (floats,), lambda b, x: b.bitcast(x, VI), "The pattern of the floats.")
to_ints: Any = define("to_ints", ints, (floats,), lambda b, x: b.fptosi(x, VI), "float32 to int32, towards zero.")
least: Any = define(
    "least", ints, (ints, ints), lambda b, x, y: b.select(b.icmp_signed("<", x, y), x, y), "The lesser int32."
)
largest: Any = define("largest", types.float32, (floats,), _largest, "The greatest of the 16 lanes.")
sums9: Any = define(
    "sums9",
    floats,
    (types.UniTuple(floats, 9),),
    _sums,
    "Lane k of the result is the sum of all lanes of vector k; lanes from 9 on are zero.",
)
