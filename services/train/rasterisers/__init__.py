"""Two rasterisers behind one protocol: our own on the CPU, gsplat's on CUDA."""
