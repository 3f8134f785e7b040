"""Training: an undistorted COLMAP workspace becomes a model of 3D Gaussians."""
