"""A vector of 16 float32 lanes for numba kernels.

LLVM does not vectorise numba's scalar loops that hold masks and exponentials, so this module gives numba three types of
its own that are LLVM vectors (16 float32, 16 int32, 16 flags), and the operators on them. Kernels read as plain
arithmetic (`a * b + 1.0`, `a < b`, `select(m, a, b)`), and LLVM maps a vector to what the machine has: one register of
512 bits, two of 256, or four of 128.

The functions of ops.py and memory.py exist only inside compiled kernels. NaN and infinity follow IEEE 754: comparisons
with NaN are false.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Lanes = Any
"""A value of one of these types in the annotations of kernels; only numba's compiler tells them apart."""

FAST = ("nsz", "contract", "afn", "arcp")
F32, I32, I1 = ir.FloatType(), ir.IntType(32), ir.IntType(1)
VF, VI, VB = (ir.VectorType(scalar, LANES) for scalar in (F32, I32, I1))


class _Lanes(types.Type):  # type: ignore[misc]  # numba is untyped
    def __init__(self, name: str) -> None:
        super().__init__(name=f"{name}x{LANES}")


class _FloatLanes(_Lanes):
    pass


class _IntLanes(_Lanes):
    pass


class _FlagLanes(_Lanes):
    pass


floats, ints, flags = _FloatLanes("float32"), _IntLanes("int32"), _FlagLanes("bool")


def _model_of(vector: ir.VectorType) -> type:
    def __init__(self: Any, manager: Any, numba_type: Any) -> None:
        models.PrimitiveModel.__init__(self, manager, numba_type, vector)

    return type("LanesModel", (models.PrimitiveModel,), {"__init__": __init__})


for _type, _vector in ((_FloatLanes, VF), (_IntLanes, VI), (_FlagLanes, VB)):
    register_model(_type)(_model_of(_vector))


def constant(value: float, vector: ir.VectorType = VF) -> ir.Constant:
    return ir.Constant(vector, [value] * LANES)


def broadcast_scalar(builder: ir.IRBuilder, scalar: ir.Value, vector: ir.VectorType) -> ir.Value:
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), constant(0, VI))


def call(builder: ir.IRBuilder, name: str, result: ir.Type, *args: ir.Value, flags: tuple[str, ...] = FAST) -> ir.Value:
    """Call an LLVM intrinsic by its full name."""
    function_type = ir.FunctionType(result, [arg.type for arg in args])
    function = cgutils.get_or_insert_function(builder.module, function_type, name)
    return builder.call(function, args, fastmath=flags)


# Operators. A scalar operand is broadcast to all lanes.

_Emit = Callable[[ir.IRBuilder, ir.Value, ir.Value], ir.Value]


def _as_lanes(context: Any, builder: ir.IRBuilder, value: ir.Value, source: Any, target: Any) -> ir.Value:
    if source == target:
        return value
    scalar = types.float32 if target == floats else types.int32
    return broadcast_scalar(builder, context.cast(builder, value, source, scalar), VF if target == floats else VI)


def _operator(function: Any, lanes: Any, result: Any, emit: _Emit, scalars: tuple[Any, ...]) -> None:
    pairs = [(lanes, lanes), *((lanes, s) for s in scalars), *((s, lanes) for s in scalars)]
    cases = [signature(result, *pair) for pair in pairs]
    infer_global(function)(type("LanesOperator", (ConcreteTemplate,), {"cases": cases}))

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: tuple[ir.Value, ir.Value]) -> ir.Value:
        left, right = (_as_lanes(context, builder, a, t, lanes) for a, t in zip(args, sig.args, strict=True))
        return emit(builder, left, right)

    for pair in pairs:
        lower_builtin(function, *pair)(lower)


def _compare(method: Any, sign: str, builder: ir.IRBuilder, left: ir.Value, right: ir.Value) -> ir.Value:
    return method(builder, sign, left, right)


_NUMBERS = (types.float32, types.float64, types.int64)
_INTEGERS = (types.int32, types.int64)

_Builder = ir.IRBuilder

for _function, _method in (
    (operator.add, _Builder.fadd),
    (operator.sub, _Builder.fsub),
    (operator.mul, _Builder.fmul),
    (operator.truediv, _Builder.fdiv),
):
    _operator(_function, floats, floats, partial(_method, flags=FAST), _NUMBERS)
for _function, _sign in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _operator(_function, floats, flags, partial(_compare, _Builder.fcmp_ordered, _sign), _NUMBERS)
    _operator(_function, ints, flags, partial(_compare, _Builder.icmp_signed, _sign), _INTEGERS)
_operator(operator.add, ints, ints, _Builder.add, _INTEGERS)
_operator(operator.mul, ints, ints, _Builder.mul, _INTEGERS)
_operator(operator.and_, flags, flags, _Builder.and_, ())
_operator(operator.or_, flags, flags, _Builder.or_, ())


@infer_global(operator.neg)
class _Negate(ConcreteTemplate):  # type: ignore[misc]  # numba is untyped
    cases = [signature(floats, floats)]  # noqa: RUF012 - how numba declares it


@lower_builtin(operator.neg, floats)  # type: ignore[untyped-decorator]
def _negate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: tuple[ir.Value]) -> ir.Value:
    return builder.fneg(args[0], flags=FAST)


# Functions. ops.py and memory.py define theirs with `define_intrinsic`.

FLOAT_ARRAY, INT_ARRAY = "float32 array", "int32 array"


def _matches(argument: Any, parameter: Any) -> bool:
    if parameter in (FLOAT_ARRAY, INT_ARRAY):
        dtype = types.float32 if parameter == FLOAT_ARRAY else types.int32
        return isinstance(argument, types.Array) and argument.dtype == dtype and argument.layout == "C"
    if parameter == types.float32:
        return isinstance(argument, types.Float | types.Integer)
    if parameter == types.int64:
        return isinstance(argument, types.Integer)
    return bool(argument == parameter)


def define_intrinsic(
    name: str, result: Any, parameters: tuple[Any, ...], emit: Callable[..., ir.Value], doc: str
) -> Any:
    """A function `name(*parameters) -> result` for kernels.

    `parameters` are numba's types, FLOAT_ARRAY or INT_ARRAY. `emit(builder, *values)` emits its LLVM code; an array's
    value is its data pointer, and scalars come converted.
    """

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: tuple[ir.Value, ...]) -> ir.Value:
        values = []
        for value, argument, parameter in zip(args, sig.args, parameters, strict=True):
            if isinstance(argument, types.Array):
                values.append(context.make_array(argument)(context, builder, value).data)
            elif parameter in (types.float32, types.int64):
                values.append(context.cast(builder, value, argument, parameter))
            else:
                values.append(value)
        emitted = emit(builder, *values)
        return context.get_dummy_value() if result == types.void else emitted

    def typing(_typingctx: Any, *arguments: Any) -> Any:
        pairs = zip(arguments, parameters, strict=False)
        if len(arguments) == len(parameters) and all(_matches(argument, parameter) for argument, parameter in pairs):
            return result(*arguments), codegen
        return None

    names = ", ".join(f"a{i}" for i in range(len(parameters)))
    scope: dict[str, Any] = {"typing": typing}
    # numba reads an intrinsic's parameters from its signature, so it must have one of its own.
    exec(f"def {name}(typingctx, {names}): return typing(typingctx, {names})", scope)  # noqa: S102 - our own text
    made = scope[name]
    made.__doc__, made.__module__ = doc, __name__
    return intrinsic(made)
