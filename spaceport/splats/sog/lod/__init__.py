"""Levels of detail, to be streamed."""
