"""faiss, whose threads wait without spinning: the k-means of a group takes a millisecond, and threads that spin between
two of them take six times the CPU seconds on a busy machine."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, as the library is loaded

import faiss

__all__ = ["faiss"]
