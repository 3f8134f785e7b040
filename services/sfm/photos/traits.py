"""What kind of picture a photo is, beside what was photographed: projection, spectral bands, thermal.

Read in the decoder process; the parent decides by the whole set (`selection.py`). XMP is untrusted XML: no parser
touches it, it is searched for names and short values.

Names: Google's GPano (https://developers.google.com/streetview/spherical-metadata), Pix4D's `Camera`
(https://support.pix4d.com/hc/en-us/articles/360016450032), which DJI, MicaSense and Parrot write too, and DJI's
`ImageSource`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.projection import Pixels, Projection, projection_of_pixels

MAX_PACKET_BYTES: Final = 1 << 16  # one JPEG segment
_VALUE: Final = rb"""[\s>"'=]{1,40}(?:<[\w:/]{1,30}>\s{0,20}){0,3}([^<>"']{1,60})"""
_PROJECTION: Final = re.compile(rb"GPano:ProjectionType" + _VALUE, re.IGNORECASE)
_MODEL_TYPE: Final = re.compile(rb"Camera:ModelType" + _VALUE, re.IGNORECASE)
_BAND_NAME: Final = re.compile(
    rb"Camera:BandName[\s>\"'=]{1,40}(?:<rdf:Seq>\s{0,20})?(.{1,300})", re.IGNORECASE | re.DOTALL
)
_LIST_ITEM: Final = re.compile(rb"<rdf:li>([^<>]{1,60})</rdf:li>")
_IMAGE_SOURCE: Final = re.compile(rb"drone-dji:ImageSource" + _VALUE, re.IGNORECASE)
_FLAT: Final = ("rectilinear", "perspective")
_FISHEYE_LENS: Final = re.compile(r"fish-?\s?eye", re.IGNORECASE)
_SPHERE_CAMERA: Final = re.compile(r"theta|insta\s?360|qoocam|vuze|\b360\b|gopro (max|fusion)", re.IGNORECASE)
_THERMAL_MAKERS: Final = ("dji", "autel", "flir", "parrot", "teledyne")
_THERMAL_SIZES: Final = frozenset({(640, 512), (1280, 1024), (336, 256), (160, 120), (160, 128), (320, 256)})
_THERMAL_F_NUMBER: Final = 1.5  # germanium lenses are f/1.0 to f/1.4; cameras that write none are taken at their size
_THERMAL_WORDS: Final = ("infrared", "thermal", "lwir")


class Spectrum(StrEnum):
    """What light a photo shows."""

    COLOUR = "colour"
    """Or black and white: what people call a photo."""
    BAND = "band"
    THERMAL = "thermal"


@dataclass(frozen=True)
class PhotoTraits:
    """`band`: its name as the camera wrote it, empty where it wrote none. `channels`: 1 or 3. `bits`: 8 or 16."""

    projection: Projection = Projection.FLAT
    spectrum: Spectrum = Spectrum.COLOUR
    band: str = ""
    channels: int = 3
    bits: int = 8


def read_traits(
    metadata: PhotoMetadata, xmp: object, pixels: Pixels, channels: int, bits: int, has_flir_data: bool = False
) -> PhotoTraits:
    """The traits of a photo. `pixels`: a small copy, height x width x 3. Never raises for what is in the packet."""
    packet = _packet(xmp)
    bands = band_names(packet)
    spectrum, band = Spectrum.COLOUR, ""
    if has_flir_data or _is_thermal(metadata, packet, bands):
        spectrum = Spectrum.THERMAL
    elif channels == 1 and len(bands) == 1 and bands[0].lower() != "rgb":
        spectrum, band = Spectrum.BAND, bands[0]
    return PhotoTraits(_projection(metadata, packet, pixels), spectrum, band, channels, bits)


def band_names(packet: bytes) -> list[str]:
    """The names in `Camera:BandName`; that of a colour photo has three."""
    match = _BAND_NAME.search(packet)
    if not match:
        return []
    items = _LIST_ITEM.findall(match[1].split(b"</Camera:BandName", 1)[0].split(b"</rdf:Seq", 1)[0])
    names = items or re.split(rb"[,;]", re.split(rb"[<>\"']", match[1], maxsplit=1)[0])
    return [name for each in names if (name := _plain(each))]


def band_of_packet(xmp: object) -> str:
    """The name of the one band that a picture shows; empty where it shows several, or does not say."""
    bands = band_names(_packet(xmp))
    return bands[0] if len(bands) == 1 else ""


def _packet(xmp: object) -> bytes:
    packet = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
    return packet[:MAX_PACKET_BYTES] if isinstance(packet, bytes) else b""


def _is_thermal(metadata: PhotoMetadata, packet: bytes, bands: list[str]) -> bool:
    source = _value(_IMAGE_SOURCE, packet).lower()
    if any(word in text for text in (source, *(band.lower() for band in bands)) for word in _THERMAL_WORDS):
        return True
    if metadata.calibration or (metadata.f_number or 0.0) > _THERMAL_F_NUMBER:
        return False  # a colour photo that somebody scaled down to just that size
    return metadata.make.lower().startswith(_THERMAL_MAKERS) and (metadata.width, metadata.height) in _THERMAL_SIZES


def _projection(metadata: PhotoMetadata, packet: bytes, pixels: Pixels) -> Projection:
    panorama = _value(_PROJECTION, packet).lower()
    if panorama and panorama not in _FLAT:
        return Projection.FISHEYE if "fisheye" in panorama else Projection.PANORAMA
    seen = projection_of_pixels(pixels, metadata.width, metadata.height)
    if seen is not Projection.FLAT:
        return seen
    if metadata.width == 2 * metadata.height and _SPHERE_CAMERA.search(metadata.camera_name):
        return Projection.PANORAMA
    is_fisheye = "fisheye" in _value(_MODEL_TYPE, packet).lower() or _FISHEYE_LENS.search(metadata.lens_model)
    return Projection.FISHEYE if is_fisheye else Projection.FLAT


def _value(pattern: re.Pattern[bytes], packet: bytes) -> str:
    match = pattern.search(packet)
    return _plain(match[1]) if match else ""


def _plain(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    return "".join(letter for letter in text if letter.isprintable()).strip()[:40]
