"""How kernels are compiled: three decorators over numba's `njit`."""

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
    """Changes with any file that kernels in `folder` may be compiled from; numba checks only a kernel's own file."""
    files = sorted(file for part in (_HERE, folder, folder.parent) for file in part.glob("*.py"))
    return tuple((file.name, (stat := file.stat()).st_mtime, stat.st_size) for file in files)


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile at the first call, cache the machine code on disk, release the GIL, divide by zero as IEEE 754 does.

    Where there is nowhere to cache (a read-only file system without NUMBA_CACHE_DIR), each process compiles anew.
    """
    try:
        stamp = _stamp(Path(function.__code__.co_filename).parent)
        dispatcher: Any = njit(cache=True, **_OPTIONS)(function)
        dispatcher._cache._cache_file._source_stamp = (*stamp, dispatcher._cache._cache_file._source_stamp)
    except RuntimeError:  # numba: "no locator available"
        dispatcher = njit(**_OPTIONS)(function)
    compiled: Callable[_P, _R] = dispatcher
    return compiled


def inline(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A function that is inlined into the kernels that call it, so that vectors stay in registers."""
    compiled: Callable[_P, _R] = njit(inline="always", error_model="numpy")(function)
    return compiled


def subroutine(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A function that kernels call; LLVM decides what to inline."""
    compiled: Callable[_P, _R] = njit(error_model="numpy")(function)
    return compiled
