"""A barrier inside kernels: threads wait there for each other without going back to Python."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from spaceport.simd.jit import inline
from spaceport.simd.lanes import I32, INT_ARRAY, Ints, define_intrinsic

_SPINS = 400_000  # about 200 microseconds: threads that all run are rarely further apart
_NAP = 50  # microseconds; past the spins the machine is busy, and sleeping lets others run

_usleep: Any = types.ExternalFunction("usleep", types.int32(types.uint32))


def _emit_arrive(b: ir.IRBuilder, data: ir.Value) -> ir.Value:
    return b.sext(b.atomic_rmw("add", data, I32(1), "seq_cst"), ir.IntType(64))


def _emit_arrivals(b: ir.IRBuilder, data: ir.Value) -> ir.Value:
    return b.sext(b.load_atomic(data, "acquire", 4), ir.IntType(64))


_arrive: Any = define_intrinsic("arrive", types.int64, (INT_ARRAY,), _emit_arrive, "Atomically add 1 to array[0].")
_arrivals: Any = define_intrinsic("arrivals", types.int64, (INT_ARRAY,), _emit_arrivals, "Atomic load of array[0].")


@inline
def barrier_wait(barrier: Ints, goal: int) -> None:
    """Arrive, and return once `goal` threads have arrived in all.

    `barrier` is int32 [1], zero before the first wait. It is never reset: with T threads, pass T to the first wait, 2 T
    to the second, and so on.
    """
    _arrive(barrier)
    spins = 0
    while _arrivals(barrier) < goal:
        spins += 1
        if spins > _SPINS:
            _usleep(_NAP)
