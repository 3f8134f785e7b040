"""A place inside kernels where threads wait for each other."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from spaceport.simd.jit import inlined
from spaceport.simd.lanes import I32, INT_ARRAY, Ints, define

_SPINS = 400_000  # some 200 microseconds: threads that all run are seldom further apart
_NAP = 50  # microseconds, after which a thread that must wait on a busy machine lets others work

_usleep: Any = types.ExternalFunction("usleep", types.int32(types.uint32))


def _emit_arrive(b: ir.IRBuilder, data: ir.Value) -> ir.Value:
    return b.sext(b.atomic_rmw("add", data, I32(1), "seq_cst"), ir.IntType(64))


def _emit_arrived(b: ir.IRBuilder, data: ir.Value) -> ir.Value:
    return b.sext(b.load_atomic(data, "acquire", 4), ir.IntType(64))


_arrive: Any = define("arrive", types.int64, (INT_ARRAY,), _emit_arrive, "Add one to the first int32, at once.")
_arrived: Any = define("arrived", types.int64, (INT_ARRAY,), _emit_arrived, "The first int32, read anew each time.")


@inlined
def meet(meeting: Ints, goal: int) -> None:
    """Return when `goal` threads have come, all meetings counted: `meeting` [1] begins as zero and only grows."""
    _arrive(meeting)
    spins = 0
    while _arrived(meeting) < goal:
        spins += 1
        if spins > _SPINS:
            _usleep(_NAP)
