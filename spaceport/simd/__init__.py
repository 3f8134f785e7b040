"""What the CPU kernels are written in: a vector of 16 lanes, its operations, a barrier, threads, and how kernels are
compiled. Knows nothing of what is computed with it."""
