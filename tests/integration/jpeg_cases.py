"""JPEGs whose size or number of scans is not their bytes', put together out of small ones."""

from __future__ import annotations

import io
import struct

from PIL import Image

_BLOCKS = b"\x28\xa2\x8a"  # four blocks without a difference to the one before, in Annex K's luminance codes
_END = b"\xff\xd9"


def grey_jpeg(width: int, height: int) -> bytes:
    """Mid-grey, baseline, whole to its last block; sides in multiples of 16."""
    head = _saved(progressive=False)
    at = head.index(b"\xff\xc0") + 5
    blocks = width // 8 * (height // 8)
    scan = head.index(b"\xff\xda") + 10
    return head[:at] + struct.pack(">2H", height, width) + head[at + 4 : scan] + _BLOCKS * (blocks // 4) + _END


def many_scans(scans: int, width: int = 160, height: int = 160) -> bytes:
    """A progressive JPEG of this size whose last scan is repeated until there are so many; later ones are empty."""
    whole = _saved(progressive=True)
    starts = [at for at in range(len(whole)) if whole.startswith(b"\xff\xda", at)]
    at = whole.index(b"\xff\xc2") + 5
    sized = whole[:at] + struct.pack(">2H", height, width) + whole[at + 4 : -2]
    return sized + whole[starts[-1] : -2] * (scans - len(starts)) + _END


def _saved(*, progressive: bool) -> bytes:
    out = io.BytesIO()
    Image.new("L", (160, 160), 128).save(out, "JPEG", progressive=progressive, optimize=False)
    return out.getvalue()
