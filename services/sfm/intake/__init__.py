"""Takes in what a pilot uploads: photos of any kind, videos, masks, positions, control points, a finished model."""
