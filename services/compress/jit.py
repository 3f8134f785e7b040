"""Numba's decorators with types kept, in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compiled at first call, kept on disk, and without the interpreter lock, so that threads scale."""
    return cast(Function, numba.njit(function, cache=True, nogil=True, error_model="numpy"))


def inlined(function: Function) -> Function:
    """A part of kernels, copied into each."""
    return cast(Function, numba.njit(function, inline="always", error_model="numpy"))
