"""The device that COLMAP extracts and matches features on, and how many threads may match."""

from __future__ import annotations

import ctypes
from typing import Any, Final

import pycolmap

from spaceport.pipeline.errors import Refused, Slug
from spaceport.simd.cores import usable_cores

FAISS_BLAS_THRESHOLD: Final = "_ZN5faiss31distance_compute_blas_thresholdE"
"""`faiss::distance_compute_blas_threshold`: from so many queries on, faiss computes distances by BLAS."""
_NEVER: Final = 2**31 - 1


def device(option: str) -> Any:
    """The `pycolmap.Device` for the option `device`.

    The wheel `pycolmap` knows the CPU only, `pycolmap-cuda12` is the same with CUDA; with "auto" it takes a GPU if it
    finds one.

    Raises:
        Refused: bad_options, for "cuda" where COLMAP has none.
    """
    if option == "cuda" and not pycolmap.has_cuda:
        raise Refused(Slug.BAD_OPTIONS, detail="`sfm.device` is cuda, but structure from motion runs on a CPU here")
    return {"auto": pycolmap.Device.auto, "cpu": pycolmap.Device.cpu, "cuda": pycolmap.Device.cuda}[option]


def matching_threads() -> int:
    """Threads that may match features side by side; keeps faiss, which finds the nearest descriptors, off BLAS.

    The OpenBLAS inside the wheels of pycolmap (4.2.1) is built without locks: its `blas_memory_alloc` can hand one
    work buffer to two threads that multiply at the same time, and both products are wrong. About one run in a hundred
    then had other matches than all the others, up to 3 % fewer. faiss's own kernels find the same matches as BLAS on
    one thread, for 1.2 to 1.5 times its CPU time. Where they cannot be chosen, one thread has to do.
    """
    try:
        threshold = ctypes.c_int.in_dll(ctypes.CDLL(pycolmap._core.__file__), FAISS_BLAS_THRESHOLD)
    except ValueError:
        return 1
    threshold.value = _NEVER
    return usable_cores()
