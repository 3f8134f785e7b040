"""The picture that lets a person judge: original, decoded, and their difference ten times as strong."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

STRENGTH = 10
CAPTION = 22  # pixels of the strip above each panel
JPEG_QUALITY = 88


def side_by_side(original: NDArray[np.float32], decoded: NDArray[np.float32], note: str) -> bytes:
    """Two pictures [H,W,3] in 0..1 as one JPEG of three labelled panels; `note` goes under the decoded one's label."""
    difference = np.abs(original - decoded) * STRENGTH
    labels = ("original", f"compressed, {note}", f"difference x {STRENGTH}")
    height, width, _ = original.shape
    sheet = Image.new("RGB", (3 * width, height + CAPTION), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for i, (picture, label) in enumerate(zip((original, decoded, difference), labels, strict=True)):
        pixels = np.floor(np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
        sheet.paste(Image.fromarray(pixels), (i * width, CAPTION))
        draw.text((i * width + 6, 5), label, fill=(240, 240, 240))
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()
