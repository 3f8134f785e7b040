"""Arithmetic on many rows, a few thousand at a time: intermediate results stay in the cache, and memory is bounded
however large the model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.scratch import folder_of, free_pages

ROWS = 2048  # at a time; also few enough for BLAS to stay on one thread

Array = NDArray[Any]


def row_slices(count: int, start: int = 0) -> Iterator[slice]:
    """Slices of at most `ROWS` of `count` rows, from row `start` on."""
    for first in range(start, count, ROWS):
        yield slice(first, first + ROWS)


def map_rows(function: Callable[..., Array], *arrays: Array) -> Array:
    """function(*arrays), a slice at a time. Row i of the result must depend on row i of each of the `arrays` alone."""
    count = len(arrays[0])
    mapped = [array for array in arrays if folder_of(array) is not None]
    first = function(*(array[:ROWS] for array in arrays))
    if count <= ROWS:
        return first
    result = np.empty((count, *first.shape[1:]), first.dtype)
    result[:ROWS] = first
    for rows in row_slices(count, ROWS):
        result[rows] = function(*(array[rows] for array in arrays))
        for array in mapped:
            free_pages(array[rows])
    return result


def row_min(values: Array) -> Array:
    """The smallest of each row [N] of a few columns [N,D]; ten times as fast as `min(axis=1)`."""
    return functools.reduce(np.minimum, values.T)


def row_max(values: Array) -> Array:
    """The largest of each row [N] of a few columns [N,D]."""
    return functools.reduce(np.maximum, values.T)
