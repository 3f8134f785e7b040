"""Sorting Gaussians into a smooth grid: PLAS, Parallel Linear Assignment Sorting."""

from spaceport.splats.sog.plas.sort import Schedule, Sorted, sort_grid, spread_of

__all__ = ["Schedule", "Sorted", "sort_grid", "spread_of"]
