"""JPEGs that end too early: whether pixels are missing, and how many. In the decoder process only.

Transfers that broke off and cards that were pulled out leave JPEGs without their end (the marker EOI). libjpeg
(ITU-T T.81, jdhuff.c of its source) fills what is missing with mid-grey, whose transform is zero.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spaceport.pictures import open_picture

END: Final = b"\xff\xd9"  # the marker EOI
MAX_MISSING: Final = 0.01  # of the picture's pixels, all at its lower edge: hardly more than one row of blocks
_PADDING: Final = b"\x55" * 64  # decodes to something, where the decoder still waits for pixels
_GREY: Final = 128
_DRAFT_SIDE: Final = 64


class CutOffError(Exception):
    """Pixels are missing; the message says how many."""


def mend(data: bytes) -> bytes:
    """A JPEG that lacks its end, with one.

    Raises:
        CutOffError: more than `MAX_MISSING` of its pixels are missing, or the details of a progressive one.
        Exception: what Pillow raises where not even its head is whole.
    """
    whole = data + END
    with open_picture(io.BytesIO(whole), formats=("JPEG",)) as image:
        is_progressive = bool(image.info.get("progressive"))
    if is_progressive:
        if not np.array_equal(_decode(whole, draft=False), _decode(data + _PADDING + END, draft=False)):
            raise CutOffError("it is cut off: its finer details are missing")
    else:
        _check_share(missing_share(_decode(whole)))
    return whole


def check_end(path: Path, picture: Image.Image) -> None:
    """Check a JPEG that has its end for one that a repair put there; `picture` is its draft.

    Raises:
        CutOffError: as `mend`.
    """
    share = missing_share(np.asarray(picture))
    if share <= MAX_MISSING or share == 1:  # all grey: an empty picture
        return
    data = path.read_bytes()
    end = data.rfind(END)
    longer = data[: max(0, end)] + _PADDING + END
    if not np.array_equal(_decode(data), _decode(longer)):  # else it is grey down there
        _check_share(share)


def missing_share(pixels: NDArray[np.uint8]) -> float:
    """The share of pixels at the end, in the order of rows, that are exactly mid-grey."""
    height, width = pixels.shape[:2]
    is_grey = (pixels.reshape(height * width, -1) == _GREY).all(axis=1)[::-1]
    return float(1.0 if is_grey.all() else np.argmin(is_grey) / is_grey.size)


def _check_share(share: float) -> None:
    if share > MAX_MISSING:
        raise CutOffError(f"it is cut off: the last {max(1, round(100 * share))} % of it are missing")


def _decode(data: bytes, draft: bool = True) -> NDArray[np.uint8]:
    with open_picture(io.BytesIO(data), formats=("JPEG",)) as image:
        if draft:
            image.draft("RGB", (_DRAFT_SIDE, _DRAFT_SIDE))
        return np.asarray(image)
