"""The page, as `make web` builds it from web/: static files, which any host serves. The wheel carries them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parent / "static"
INDEX: Final = "index.html"
CONFIG: Final = "config.json"
"""Beside the files, by whoever serves them: `{"api": address, "link_code": whether #code=… in an address signs in}`."""


def is_built() -> bool:
    """Whether there is a page to serve."""
    return (STATIC / INDEX).is_file()
