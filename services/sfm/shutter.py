"""Which drones' cameras expose row after row: a moving one's photos are sheared by what it flies during the readout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from services.sfm.intake.facts import PhotoFacts

# EXIF model names. Source: the camera's entry "Shutter Speed" in DJI's specifications of each product, which names the
# mechanical shutter where there is one; up to 1/2000 s on all of these, beyond which they expose electronically too.
MECHANICAL: Final = {
    "FC6310": "Phantom 4 Pro",
    "FC6310S": "Phantom 4 Pro V2.0",
    "FC6310R": "Phantom 4 RTK",
    "M3E": "Mavic 3 Enterprise",
    "ZENMUSEP1": "Zenmuse P1",
}
ROLLING: Final = {
    "FC300S": "Phantom 3 Advanced",
    "FC300X": "Phantom 3 Professional",
    "FC330": "Phantom 4",
    "FC220": "Mavic Pro",
    "FC2103": "Mavic Air",
    "FC2204": "Mavic 2 Zoom",
    "L1D-20C": "Mavic 2 Pro",
    "FC7203": "Mavic Mini",
    "FC7303": "Mini 2",
    "FC3170": "Mavic Air 2",
    "FC3411": "Air 2S",
    "FC3582": "Mini 3 Pro",
    "L2D-20C": "Mavic 3",
    "M3T": "Mavic 3 Thermal",
}
SHORTEST_MECHANICAL_S: Final = 1 / 2000


def has_rolling_shutter(photo: PhotoFacts) -> bool | None:
    """Whether a photo was exposed row after row; None where the camera is not known."""
    model = photo.model.upper().replace(" ", "")
    if model in MECHANICAL:
        return photo.exposure_s is not None and photo.exposure_s < 0.99 * SHORTEST_MECHANICAL_S
    return True if model in ROLLING else None


def rolling_shutter(photos: Sequence[PhotoFacts]) -> dict[str, Any]:
    """For the report: how many photos have one, how many are of unknown cameras, and what to do."""
    kinds = [has_rolling_shutter(photo) for photo in photos]
    rolling = kinds.count(True)
    names = {
        MECHANICAL.get(key) or ROLLING.get(key) for key in {photo.model.upper().replace(" ", "") for photo in photos}
    }
    advice = (
        "The camera exposes row after row, and COLMAP does not correct for it. Where centimetres matter,"
        " fly slowly or hover for each photo."
    )
    return {
        "photos": rolling,
        "unknown": kinds.count(None),
        "drones": sorted(name for name in names if name),
        "advice": advice if rolling else None,
    }
