"""Which drones' cameras expose row after row: the photos of a moving one are sheared.

Sources, looked up in November 2026. ROLLING: cameras whose readout time people have measured, as OpenDroneMap lists
them (`opendm/rollingshutter.py` of github.com/WebODM/ODM). MECHANICAL: for the Mavic 3 Enterprise (up to 1/2000 s) and
the Phantom 4 RTK the guides to their exposure at help.inflights.com (articles 8646894, 6161423), for the Phantom 4 Pro
floridadronetech.com/dji-p4p-linear-shutter; the Phantoms' limit is taken to be the Mavic's. A camera in neither table
is called unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.sfm.photo import PhotoMetadata
from spaceport.pipeline.reports.sfm import RollingShutterReport

# By EXIF model name, in capitals and without blanks.
MECHANICAL: Final = {
    "FC6310": "Phantom 4 Pro",
    "FC6310S": "Phantom 4 Pro V2.0",
    "FC6310R": "Phantom 4 RTK",
    "M3E": "Mavic 3 Enterprise",
}
ROLLING: Final = {
    "PHANTOMVISIONFC200": "Phantom 2 Vision",
    "FC300C": "Phantom 3 Standard",
    "FC300S": "Phantom 3 Advanced",
    "FC300X": "Phantom 3 Professional",
    "FC330": "Phantom 4",
    "FC350": "Inspire 1",
    "FC220": "Mavic Pro",
    "FC2103": "Mavic Air",
    "L1D-20C": "Mavic 2 Pro",
    "MAVIC2-ENTERPRISE-ADVANCED": "Mavic 2 Enterprise Advanced",
    "FC7203": "Mavic Mini",
    "FC3170": "Mavic Air 2",
    "FC3411": "Air 2S",
    "FC3682": "Mini 3",
    "FC3582": "Mini 3 Pro",
    "FC8482": "Mini 4 Pro",
    "L2D-20C": "Mavic 3",
    "XT701": "Autel EVO II",
    "XT705": "Autel EVO II Pro",
    "XL724": "Autel Nano+",
    "E90": "Yuneec E90",
    "ANAFI": "Parrot Anafi",
}
SHORTEST_MECHANICAL_S: Final = 1 / 2000  # a photo of less is exposed electronically


def has_rolling_shutter(photo: PhotoMetadata) -> bool | None:
    """Whether a photo was exposed row after row; None where the camera is not known."""
    model = photo.model.upper().replace(" ", "")
    if model in MECHANICAL:
        return photo.exposure_s is not None and photo.exposure_s < 0.99 * SHORTEST_MECHANICAL_S
    return True if model in ROLLING else None


def rolling_shutter(photos: Sequence[PhotoMetadata]) -> RollingShutterReport:
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
    return RollingShutterReport(
        photos=rolling,
        unknown=kinds.count(None),
        drones=sorted(name for name in names if name),
        advice=advice if rolling else None,
    )
