"""faiss, told to wait without burning a core: the k-means of a group is over in a millisecond, and threads that spin
between two of them take six times the CPU seconds on a busy machine."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, as the library is loaded

import faiss

__all__ = ["faiss"]
