"""Gaussians to the images of a SOG and back."""
