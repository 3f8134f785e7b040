"""The one place that knows how kernels are compiled, those of services too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def _stamp() -> tuple[tuple[str, float, int], ...]:
    """Changes with any file that kernels are made of. numba itself looks only at the file of the kernel."""
    here = Path(__file__).parent
    files = sorted([*here.glob("*.py"), *here.parent.glob("*.py")])
    return tuple((file.name, (stat := file.stat()).st_mtime, stat.st_size) for file in files)


_STAMP = _stamp()


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile at first call, keep the machine code on disk, release the GIL, and divide by zero as IEEE does.

    Where nothing can be kept (a read-only file system without NUMBA_CACHE_DIR) each process compiles anew.
    """
    try:
        made: Any = njit(cache=True, **_OPTIONS)(function)
        made._cache._cache_file._source_stamp = (*_STAMP, made._cache._cache_file._source_stamp)
    except RuntimeError:  # numba: "no locator available"
        made = njit(**_OPTIONS)(function)
    compiled: Callable[_P, _R] = made
    return compiled


def inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A part of kernels: copied into each, so that vectors stay in registers."""
    compiled: Callable[_P, _R] = njit(inline="always", error_model="numpy")(function)
    return compiled
