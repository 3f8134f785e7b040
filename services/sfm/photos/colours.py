"""Converts any picture to what COLMAP and browsers show alike: eight bits of sRGB on the same pixel grid."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image, ImageCms

_WITH_PROFILE: Final = ("RGB", "CMYK", "L")


def to_srgb(image: Image.Image) -> Image.Image:
    """The picture as RGB: 16-bit grey scaled, embedded ICC profiles (CMYK, Display P3, Adobe RGB) applied."""
    converted = _apply_profile(_to_eight_bits(image)) or _to_eight_bits(image).convert("RGB")
    converted.info = {}  # the profile has been applied
    return converted


def _to_eight_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8))  # Pillow would clip, not scale


def _apply_profile(image: Image.Image) -> Image.Image | None:
    profile = image.info.get("icc_profile")
    picture = image.convert("RGB") if image.mode == "RGBA" else image  # profiles do not cover transparency
    if not isinstance(profile, bytes) or not profile or picture.mode not in _WITH_PROFILE:
        return None
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # broken, or made for another kind of picture
        return None
