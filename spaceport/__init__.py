"""Spaceport: drone photos in, a 3D Gaussian splat that opens in a browser out."""

__version__ = "0.2.0"
