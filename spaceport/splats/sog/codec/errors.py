"""What is wrong with a SOG file, or with a model that is to become one, as a sentence."""

from __future__ import annotations


class BrokenSog(ValueError):
    """The file breaks a rule of the SOG format. `str(error)` is one plain sentence."""


class TooMany(ValueError):
    """The model has more Gaussians than a SOG holds. `str(error)` is one plain sentence."""
