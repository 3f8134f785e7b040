"""What is wrong with a SOG file, or with a model that is to become one, as a sentence."""

from __future__ import annotations

import struct
import zipfile
import zlib

DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, NotImplementedError)
"""What `zipfile` raises at contents that are not as they should be."""
DAMAGED_ZIP_LIST = (UnicodeDecodeError, OverflowError, IndexError)
"""What it raises besides at a list of files that is not."""


class BrokenSog(ValueError):
    """The file breaks a rule of the SOG format. `str(error)` is one plain sentence."""


class TooMany(ValueError):
    """The model has more Gaussians than a SOG holds. `str(error)` is one plain sentence."""
