"""Every format that splats come in, one module each: `read(path) -> Gaussians`, `write(path, gaussians)`."""

from services.compress.formats.bounds import BrokenFile
from services.compress.formats.table import FORMATS, Format, format_of, read_model

__all__ = ["FORMATS", "BrokenFile", "Format", "format_of", "read_model"]
