"""Gaussian splats: the model, its file, cameras, measures, and a renderer for the CPU."""
