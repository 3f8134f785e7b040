"""What a point is inside compiled code."""

Vec = tuple[float, float, float]
"""A point, direction or linear RGB colour."""
