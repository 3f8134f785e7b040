"""What is wrong with a SOG file, as a sentence."""

from __future__ import annotations


class BrokenSog(ValueError):
    """The file breaks a rule of the SOG format. `str(error)` is one plain sentence."""
