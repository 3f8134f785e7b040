"""Which of the readable photos are of a kind that a model can be made from. Pure: decided by the set as a whole.

Panoramas and fisheyes are no views of a pinhole. Bands of a multispectral camera and thermal pictures of captures that
have a colour photo too show the same once more, in another light, and neither match it nor look like it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.projection import Projection
from services.sfm.photos.traits import PhotoTraits, Spectrum
from spaceport.pipeline.reports.sfm import Finding, Verdict

FRAMES_SUFFIX: Final = ".frames"  # of the folder with a video's frames
MIN_COLOUR: Final = 3  # photos; fewer make no model
MIN_COLOUR_SHARE: Final = 0.5  # colour photos to captures of a band; below, the colour photos show something else
REASONS: Final = {
    Projection.PANORAMA: "it is a 360-degree panorama",
    Projection.FISHEYE: "it is a fisheye photo",
    Projection.DUAL_FISHEYE: "it holds both fisheye halves of a 360-degree camera, not stitched",
}
REMEDIES: Final = {
    Projection.PANORAMA: (
        "360-degree panoramas. Export flat views from them (about 90 degrees wide, six or more of each) with the app of"
        " the camera's maker, or photograph with an ordinary lens."
    ),
    Projection.FISHEYE: (
        "fisheye photos. Export them flat (“linear”, “defished”), or photograph with an ordinary lens."
    ),
    Projection.DUAL_FISHEYE: (
        "raw photos of a 360-degree camera, two circles in one frame. Stitch them with the app of its maker and export"
        " flat views from them (about 90 degrees wide, six or more of each)."
    ),
}
PREFERRED_BANDS: Final = ("panchromatic", "green", "red", "red edge", "near infrared", "blue")
_BANDS: Final = {
    "g": "green", "gre": "green", "green": "green", "r": "red", "red": "red", "re": "red edge", "reg": "red edge",
    "rededge": "red edge", "red edge": "red edge", "red-edge": "red edge", "nir": "near infrared", "b": "blue",
    "blu": "blue", "blue": "blue", "panchro": "panchromatic", "pan": "panchromatic",
}  # fmt: skip
_NUMBERED: Final = {"1": "blue", "2": "green", "3": "red"}  # MicaSense's and DJI's cameras agree on these only
_WITH_LETTERS: Final = re.compile(r"(.+)_(?:ms_)?(gre|green|g|red|reg|re|r|nir|blue|blu|b|pan)", re.IGNORECASE)
_WITH_NUMBER: Final = (re.compile(r"(IMG_\d{4})_(\d{1,2})", re.IGNORECASE), re.compile(r"(DJI_\d{3})([1-9])"))
_BESIDE_THERMAL: Final = {"t": ("w", "z", "v", "d"), "ir": ("w", "z", "v", "d", "vis")}
_AUTEL: Final = {"irx": "max", "ir": "vis"}


@dataclass(frozen=True)
class Selection:
    """What is not used, by name, with its reason: `unsuitable` were meant as photos, `beside` came along with them."""

    unsuitable: dict[str, str] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def left_out(self) -> set[str]:
        return {*self.unsuitable, *self.beside}


@dataclass(frozen=True)
class _Picture:
    name: str
    traits: PhotoTraits


def select_photos(photos: Iterable[tuple[PhotoMetadata, PhotoTraits]]) -> Selection:
    """Sort out what kinds of photos do not go together."""
    photos = list(photos)
    stems = {stem_of(photo.name).lower() for photo, _ in photos}
    pictures = _unnamed_bands([_Picture(photo.name, _by_name(photo, traits, stems)) for photo, traits in photos])
    beside, findings = _sort_by_spectrum(pictures)
    projections = {
        picture.name: picture.traits.projection
        for picture in pictures
        if picture.traits.projection in REASONS and picture.name not in beside
    }
    unsuitable = {name: REASONS[projection] for name, projection in projections.items()}
    return Selection(unsuitable, beside, [*_about_projections(Counter(projections.values())), *findings])


def explain_projections(projections: Counter[Projection]) -> str:
    """How many photos are of which unsuitable projection, and what to do about it, in sentences."""
    return " ".join(
        f"{count} {'is one of the' if count == 1 else 'are'} {REMEDIES[each]}" for each, count in projections.items()
    )


def stem_of(name: str) -> str:
    """The path of a photo without its suffix; of a frame that of its video."""
    path = PurePosixPath(name)
    if path.parent.suffix == FRAMES_SUFFIX:
        path = path.parent.with_suffix("")
    return str(path.with_suffix(""))


def band_by_name(stem: str, is_tiff: bool) -> str:
    """The band that a file is named after by DJI, MicaSense or Parrot; empty where it is named after none."""
    name = PurePosixPath(stem).name if is_tiff else ""
    if match := _WITH_LETTERS.fullmatch(name):
        return _BANDS[match[2].lower()]
    matches = (pattern.fullmatch(name) for pattern in _WITH_NUMBER)
    number = next((match[2] for match in matches if match), "")
    return _NUMBERED.get(number, f"number {number}") if number else ""


def _by_name(photo: PhotoMetadata, traits: PhotoTraits, stems: set[str]) -> PhotoTraits:
    """The traits, with what the names of the file and of those beside it add."""
    stem = stem_of(photo.name)
    if traits.spectrum is Spectrum.COLOUR and _is_thermal_by_name(stem.lower(), stems):
        return replace(traits, spectrum=Spectrum.THERMAL)
    if traits.spectrum is Spectrum.BAND:
        return replace(traits, band=_BANDS.get(traits.band.lower(), traits.band))
    band = band_by_name(stem, photo.format == "TIFF") if traits.channels == 1 else ""
    is_band = band and traits.spectrum is Spectrum.COLOUR
    return replace(traits, spectrum=Spectrum.BAND, band=band) if is_band else traits


def _is_thermal_by_name(stem: str, stems: set[str]) -> bool:
    """Whether the pilot's colour photo of the same capture lies beside it."""
    path = PurePosixPath(stem)
    capture, _, last = stem.rpartition("_")
    if any(f"{capture}_{letter}" in stems for letter in _BESIDE_THERMAL.get(last, ())):
        return True
    first, _, number = path.name.partition("_")
    return first in _AUTEL and str(path.with_name(f"{_AUTEL[first]}_{number}")) in stems


def _unnamed_bands(pictures: list[_Picture]) -> list[_Picture]:
    """16 bits of one channel beside photos of three are bands, whatever their names."""
    if (
        sum(picture.traits.channels == 3 and picture.traits.spectrum is Spectrum.COLOUR for picture in pictures)
        < MIN_COLOUR
    ):
        return pictures
    return [
        replace(picture, traits=replace(picture.traits, spectrum=Spectrum.BAND))
        if picture.traits.spectrum is Spectrum.COLOUR and picture.traits.channels == 1 and picture.traits.bits == 16
        else picture
        for picture in pictures
    ]


def _sort_by_spectrum(pictures: list[_Picture]) -> tuple[dict[str, str], list[Finding]]:
    colour, bands, thermal = (
        [picture for picture in pictures if picture.traits.spectrum is spectrum] for spectrum in Spectrum
    )
    captures = max(Counter(picture.traits.band for picture in bands).values(), default=0)
    if len(colour) >= max(MIN_COLOUR, MIN_COLOUR_SHARE * max(captures, len(thermal))):
        beside = {picture.name: _reason(picture) for picture in [*bands, *thermal]}
        return beside, _about_beside(len(bands), len(thermal))
    if bands:
        best = _best_band(bands)
        others = [picture for picture in bands if picture.traits.band != best] + thermal
        return {picture.name: f"{_reason(picture)}; the model is of {_band(best)}" for picture in others}, [
            Finding(
                level=Verdict.WARN,
                sentence=f"There are no colour photos of this flight: the model is made from {_band(best)} alone, and"
                " is grey. Put the colour photos into the zip too for a model in colours.",
            )
        ]
    if thermal:
        return {}, [
            Finding(
                level=Verdict.WARN,
                sentence=f"{len(thermal)} of {len(pictures)} photos are thermal pictures: their colours mean degrees,"
                " which each photo may show its own way, and they hold few details. Put the colour photos of the flight"
                " into the zip, and the model is made from those.",
            )
        ]
    return {}, []


def _best_band(bands: list[_Picture]) -> str:
    """Of those that (nearly) all captures have, the one that shows most: sharp, and bright over soil and plants."""
    counts = Counter(picture.traits.band for picture in bands)
    most = max(counts.values())
    full = [band for band, count in counts.items() if count >= 0.8 * most]
    return min(full, key=lambda band: (PREFERRED_BANDS.index(band) if band in PREFERRED_BANDS else 99, band))


def _reason(picture: _Picture) -> str:
    if picture.traits.spectrum is Spectrum.THERMAL:
        return "it is a thermal picture"
    return f"it is {_band(picture.traits.band)} of a multispectral camera"


def _band(band: str) -> str:
    return f"the band {band}" if band else "a single band"


def _about_beside(bands: int, thermal: int) -> list[Finding]:
    parts = [
        *([f"{bands} pictures of single bands"] if bands else []),
        *([f"{thermal} thermal pictures"] if thermal else []),
    ]
    sentence = f"{' and '.join(parts)} left out: the model is made from the colour photos."
    return [Finding(level=Verdict.GO, sentence=sentence)] if parts else []


def _about_projections(projections: Counter[Projection]) -> list[Finding]:
    if not projections:
        return []
    return [Finding(level=Verdict.WARN, sentence=f"Left out: {explain_projections(projections)}")]
