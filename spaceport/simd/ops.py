"""Functions of vectors, beyond the operators; named as LLVM and ISPC name them."""

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
    broadcast_scalar,
    call,
    constant,
    define_intrinsic,
    flags,
    floats,
    ints,
)

FINITE = (*FAST, "ninf")
_I64 = ir.IntType(64)
_ROUNDER = 1.5 * 2**23  # added to a small float, it leaves the nearest integer in the low bits
_SUFFIX = f"v{LANES}f32"


def _exp2_polynomial(degree: int) -> list[float]:
    """Coefficients of 2^x on [-1/2, 1/2], lowest power first: interpolation at the Chebyshev points."""
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
        # (x + r) - r must not be folded away: LLVM would need `reassoc` for that, which lanes.py never sets.
        shifted = b.fadd(x, constant(_ROUNDER))
        rest = b.fsub(x, b.fsub(shifted, constant(_ROUNDER)))
        exponent = b.shl(b.bitcast(shifted, VI), constant(23, VI))
        return b.bitcast(b.add(b.bitcast(_horner(b, rest, coefficients), VI), exponent), VF)

    return emit


def _log2(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    # x = 2^e m with m in [sqrt(1/2), sqrt(2)); log2 m = (2 / ln 2) artanh((m - 1) / (m + 1))
    offset_bits = b.sub(b.bitcast(x, VI), constant(0x3F3504F3, VI))
    exponent = b.ashr(offset_bits, constant(23, VI))
    mantissa = b.bitcast(b.sub(b.bitcast(x, VI), b.shl(exponent, constant(23, VI))), VF)
    one = constant(1.0)
    t = b.fdiv(b.fsub(mantissa, one), b.fadd(mantissa, one))
    series = [2 / np.log(2) / k for k in (1, 3, 5, 7, 9)]
    return _fma(b, t, _horner(b, b.fmul(t, t), series), b.sitofp(exponent, VF))


def _reduce_add(b: ir.IRBuilder, values: ir.Value) -> ir.Value:
    """Four rounds; each halves the number of vectors and the number of partial sums that each holds."""
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


def _reduce_max(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    half = LANES // 2
    while half:
        rotated = b.shuffle_vector(x, x, ir.Constant(VI, [(i + half) % LANES for i in range(LANES)]))
        x = b.select(b.fcmp_ordered(">", x, rotated), x, rotated)
        half //= 2
    return b.extract_element(x, I32(0))


def _select_by(sign: str) -> Any:
    return lambda b, x, y: b.select(b.fcmp_ordered(sign, x, y), x, y)


_two = (floats, floats)

fma: Any = define_intrinsic(
    "fma", floats, (floats, floats, floats), _fma, "x * y + z, rounded once where the machine has the instruction."
)
sqrt: Any = define_intrinsic(
    "sqrt", floats, (floats,), lambda b, x: call(b, f"llvm.sqrt.{_SUFFIX}", VF, x), "Square root."
)
sqrt_fast: Any = define_intrinsic(
    "sqrt_fast",
    floats,
    (floats,),
    lambda b, x: call(b, f"llvm.sqrt.{_SUFFIX}", VF, x, flags=FINITE),
    "Square root of finite numbers, relative error up to 3e-7: may refine the machine's estimate.",
)
divide_fast: Any = define_intrinsic(
    "divide_fast",
    floats,
    _two,
    lambda b, x, y: b.fdiv(x, y, flags=FINITE),
    "x / y of finite numbers, y not 0, relative error up to 3e-7: may refine the machine's estimate of 1 / y.",
)
exp2: Any = define_intrinsic("exp2", floats, (floats,), _exp2(6), "2^x for |x| < 126, relative error up to 1e-7.")
exp2_fast: Any = define_intrinsic(
    "exp2_fast", floats, (floats,), _exp2(4), "2^x for |x| < 126, relative error up to 5e-6."
)
log2: Any = define_intrinsic(
    "log2", floats, (floats,), _log2, "Logarithm to base 2 of normal positive numbers, error up to 1e-7."
)
minimum: Any = define_intrinsic(
    "minimum", floats, _two, _select_by("<"), "The smaller of x and y; y where either is NaN."
)
maximum: Any = define_intrinsic(
    "maximum", floats, _two, _select_by(">"), "The larger of x and y; y where either is NaN."
)
select: Any = define_intrinsic(
    "select",
    floats,
    (flags, floats, floats),
    lambda b, m, x, y: b.select(m, x, y),
    "x in the lanes that the mask m sets, y in the others.",
)
packmask: Any = define_intrinsic(
    "packmask",
    types.int64,
    (flags,),
    lambda b, m: b.zext(b.bitcast(m, ir.IntType(LANES)), _I64),
    "A mask as an integer, lane 0 in the lowest bit.",
)
count_trailing_zeros: Any = define_intrinsic(
    "count_trailing_zeros",
    types.int64,
    (types.int64,),
    lambda b, x: b.cttz(x, I1(1)),
    "The index of the lowest set bit; undefined for 0.",
)
broadcast: Any = define_intrinsic(
    "broadcast", floats, (types.float32,), lambda b, x: broadcast_scalar(b, x, VF), "A scalar in all lanes."
)
lane_index: Any = define_intrinsic(
    "lane_index", ints, (), lambda _: ir.Constant(VI, list(range(LANES))), "0, 1, 2 ... 15."
)
to_floats: Any = define_intrinsic("to_floats", floats, (ints,), lambda b, x: b.sitofp(x, VF), "int32 to float32.")
intbits: Any = define_intrinsic(
    "intbits", ints, (floats,), lambda b, x: b.bitcast(x, VI), "The bit patterns of the floats as int32."
)
to_ints: Any = define_intrinsic(
    "to_ints", ints, (floats,), lambda b, x: b.fptosi(x, VI), "float32 to int32, rounded towards zero."
)
minimum_ints: Any = define_intrinsic(
    "minimum_ints", ints, (ints, ints), lambda b, x, y: b.select(b.icmp_signed("<", x, y), x, y), "The smaller int32."
)
reduce_max: Any = define_intrinsic("reduce_max", types.float32, (floats,), _reduce_max, "The largest of the 16 lanes.")
reduce_add9: Any = define_intrinsic(
    "reduce_add9",
    floats,
    (types.UniTuple(floats, 9),),
    _reduce_add,
    "Nine horizontal sums at once: lane k is the sum of the lanes of vector k; lanes from 9 on are zero.",
)
