"""The one place that knows how kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile at first call, keep the machine code on disk, release the GIL, and divide by zero as IEEE does."""
    compiled: Callable[_P, _R] = njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled


def inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A part of kernels: copied into each, so that vectors stay in registers."""
    compiled: Callable[_P, _R] = njit(inline="always", error_model="numpy")(function)
    return compiled
