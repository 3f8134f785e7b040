"""Aligns a finished model to GPS positions or control points; without either it is turned upright."""
