"""Ingests what a pilot uploads: photos of any kind, videos, masks, positions and control points."""
