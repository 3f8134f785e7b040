"""Sorting Gaussians into a smooth grid: PLAS, Parallel Linear Assignment Sorting."""

from spaceport.splats.sog.plas.sort import GridOrder, PlasSettings, mean_neighbour_distance, sort_grid

__all__ = ["GridOrder", "PlasSettings", "mean_neighbour_distance", "sort_grid"]
