"""preview.jpg: what the model shows beside what the camera saw."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from spaceport.files import write_atomic

ByteImage = npt.NDArray[np.uint8]
FloatImage = npt.NDArray[np.float32]

ROWS: Final = 3
WIDTH: Final = 640
"""Longest side of each picture in the strip, pixels."""
MARGIN: Final = 8
LABEL_HEIGHT: Final = 26
ERROR_GAIN: Final = 4.0
"""A difference of a quarter of the range is white."""
TEXT_COLOUR: Final = (30, 30, 30)
BACKGROUND: Final = (245, 245, 245)


def write_preview(path: Path, rows: list[tuple[str, ByteImage, FloatImage]]) -> None:
    """Write a strip of rows: photo, render, error.

    Args:
        path: of the JPEG.
        rows: (label, photo [H,W,3] uint8, render [H,W,3] float); the first three are shown.
    """
    strips = [_strip(*row) for row in rows[:ROWS]]
    page = Image.new("RGB", (max(s.width for s in strips), sum(s.height for s in strips)), BACKGROUND)
    top = 0
    for strip in strips:
        page.paste(strip, (0, top))
        top += strip.height
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=88)
    write_atomic(path, buffer.getvalue())


def _strip(label: str, photo: ByteImage, render: FloatImage) -> Image.Image:
    rendered = (np.clip(render, 0, 1) * 255 + 0.5).astype(np.uint8)
    difference = np.abs(rendered.astype(np.float32) - photo).mean(2) * ERROR_GAIN
    pictures = {
        f"{label}: photo": photo,
        "model": rendered,
        f"difference x {ERROR_GAIN:.0f}": np.repeat(
            np.minimum(difference, 255).astype(np.uint8)[:, :, None], 3, axis=2
        ),
    }
    factor = min(1.0, WIDTH / max(photo.shape[:2]))
    width, height = max(1, round(photo.shape[1] * factor)), max(1, round(photo.shape[0] * factor))
    strip = Image.new("RGB", (3 * width + 4 * MARGIN, height + LABEL_HEIGHT + MARGIN), BACKGROUND)
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(14)
    for column, (text, pixels) in enumerate(pictures.items()):
        left = MARGIN + column * (width + MARGIN)
        draw.text((left, MARGIN), text[: width // 8], fill=TEXT_COLOUR, font=font)
        strip.paste(Image.fromarray(pixels).resize((width, height)), (left, LABEL_HEIGHT))
    return strip
