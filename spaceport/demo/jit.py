"""Numba's decorator with types kept, in one place.

Numba's cache sees changes of a function's own file only. Leaf functions are therefore compiled into their callers and
not cached; only entry kernels are. After an edit of a leaf, delete `__pycache__/*.nbi` beside the kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

Vec = tuple[float, float, float]
"""A point, direction or linear RGB colour inside compiled code."""


def leaf(function: Function) -> Function:
    """A compiled function that other compiled functions call."""
    return cast(Function, numba.njit(function, error_model="numpy"))


def kernel(function: Function) -> Function:
    """A compiled function that Python calls: cached on disk, and without the interpreter lock so threads scale."""
    return cast(Function, numba.njit(function, cache=True, nogil=True, error_model="numpy"))
