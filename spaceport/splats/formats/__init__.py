"""One file format a module: `read(path) -> Gaussians`, `write(path, gaussians)`; `table` finds the right one by name or
first bytes. COLMAP's records are here too."""
