"""Explicit SIMD for numba kernels: vectors of 16 lanes, their operations, a barrier, a thread pool, and how kernels are
compiled. Independent of what is computed with it."""
