"""A COLMAP model that came with the photos: which one it is, whether it may be believed, and its records."""
