"""The one place that knows how kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_HERE = Path(__file__).parent


@cache
def _stamp(folder: Path) -> tuple[tuple[str, float, int], ...]:
    """Changes with any file that kernels in `folder` may be made of. numba itself looks only at a kernel's own file."""
    files = sorted(file for part in (_HERE, folder, folder.parent) for file in part.glob("*.py"))
    return tuple((file.name, (stat := file.stat()).st_mtime, stat.st_size) for file in files)


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile at first call, keep the machine code on disk, release the GIL, and divide by zero as IEEE does.

    Where nothing can be kept (a read-only file system without NUMBA_CACHE_DIR) each process compiles anew.
    """
    try:
        stamp = _stamp(Path(function.__code__.co_filename).parent)
        made: Any = njit(cache=True, **_OPTIONS)(function)
        made._cache._cache_file._source_stamp = (*stamp, made._cache._cache_file._source_stamp)
    except RuntimeError:  # numba: "no locator available"
        made = njit(**_OPTIONS)(function)
    compiled: Callable[_P, _R] = made
    return compiled


def inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A part of kernels: copied into each, so that vectors stay in registers."""
    compiled: Callable[_P, _R] = njit(inline="always", error_model="numpy")(function)
    return compiled


def leaf(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A function that kernels call."""
    compiled: Callable[_P, _R] = njit(error_model="numpy")(function)
    return compiled
