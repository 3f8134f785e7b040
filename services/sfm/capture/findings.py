"""The verdict on a capture, in sentences a pilot can act on. Pure: figures in, words out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BLURRED_SHARE: Final = 0.1
REPEATED_SHARE: Final = 0.1
LEAST_OVERLAP: Final = 0.6  # with the best neighbour; below it, features are found twice by luck
ENOUGH_VIEWS: Final = 4  # photos that show a spot, in the median over the ground
EXPOSURE_STOPS: Final = 1.5
FEW_PHOTOS: Final = 20
LEAST_DISTINCT: Final = 3


class Verdict(StrEnum):
    """Whether what follows is worth its cost."""

    GO = "go"
    WARN = "warn"
    STOP = "stop"


@dataclass(frozen=True)
class Finding:
    """One sentence; GO for what is only worth knowing."""

    level: Verdict
    sentence: str


@dataclass(frozen=True)
class Figures:
    """What was measured of a capture. Shares are 0-1, lengths in metres; None where the photos do not tell."""

    photos: int
    unreadable: int
    empty: int
    repeated: int
    blurred: int
    cameras: int
    exposure_stops: float | None
    located: int
    overlap: float | None
    """The median, over photos, of the share of the ground that the best other photo shows too."""
    views: float | None
    thin: float | None
    longest_gap_s: float | None
    """The longest pause between photos, where it is far longer than the others."""
    rtk: int = 0
    """Photos that tell how their position was fixed by RTK."""
    rtk_fixed: int = 0
    """Of these, how many were fixed to centimetres."""
    position_std_m: tuple[float, float] | None = None
    """The median standard deviation of positions, as told: on the ground and in height."""

    @property
    def distinct(self) -> int:
        """Photos that show something, and something of their own."""
        return self.photos - self.empty - self.repeated


def findings(figures: Figures) -> list[Finding]:
    """All that a pilot should know, the gravest first."""
    found = [
        *_about_pictures(figures),
        *_about_overlap(figures),
        *_about_places(figures),
        *_about_cameras(figures),
    ]
    return sorted(found, key=lambda finding: list(Verdict)[::-1].index(finding.level))


def verdict(found: list[Finding]) -> Verdict:
    """The gravest of all findings."""
    return max((finding.level for finding in found), key=list(Verdict).index, default=Verdict.GO)


def _about_pictures(figures: Figures) -> list[Finding]:
    return [
        *_about_distinct(figures),
        *_about_sharpness(figures),
        *_when(
            figures.unreadable, Verdict.WARN, f"{_count(figures.unreadable)} left out, because they cannot be read."
        ),
        *_about_exposure(figures),
    ]


def _about_distinct(figures: Figures) -> list[Finding]:
    if figures.distinct < LEAST_DISTINCT:
        return [Finding(Verdict.STOP, _nothing_to_see(figures))]
    empty = f"{_count(figures.empty)} with nothing but one colour: a covered lens, or sky."
    repeated = f"{_count(figures.repeated)} repeating another one, which adds nothing."
    few = REPEATED_SHARE * figures.photos
    return [
        *_when(figures.empty, Verdict.WARN if figures.empty > few else Verdict.GO, empty),
        *_when(figures.repeated, Verdict.WARN if figures.repeated > few else Verdict.GO, repeated),
    ]


def _about_sharpness(figures: Figures) -> list[Finding]:
    grave = figures.blurred > BLURRED_SHARE * figures.photos
    advice = " Fly slower, or with a shorter exposure." if grave else ""
    sentence = f"{figures.blurred} of {figures.photos} photos blurred.{advice}"
    return _when(figures.blurred, Verdict.WARN if grave else Verdict.GO, sentence)


def _about_exposure(figures: Figures) -> list[Finding]:
    stops = figures.exposure_stops or 0.0
    sentence = f"Brightness differs by {stops:.1f} stops between photos. Lock the exposure before the flight."
    return _when(stops > EXPOSURE_STOPS, Verdict.WARN, sentence)


def _nothing_to_see(figures: Figures) -> str:
    if figures.empty > figures.repeated:
        return f"{figures.empty} of {figures.photos} photos show nothing but one colour. Was the lens covered?"
    return f"Only {figures.distinct} of {figures.photos} photos differ from each other. Move the camera between photos."


def _about_overlap(figures: Figures) -> list[Finding]:
    overlap, views, gap = figures.overlap or 0.0, figures.views or 0.0, figures.longest_gap_s or 0.0
    little = (
        f"A photo shares about {overlap:.0%} of its ground with its best neighbour; {LEAST_OVERLAP:.0%} and more are"
        " needed. Fly slower or take photos more often."
    )
    rarely = (
        f"Half of the ground is seen by {views:.0f} photos or fewer, {figures.thin or 0:.0%} of it by one or two, and"
        " will come out poorly. Fly the lines closer together, and a second time across."
    )
    pause = f"A pause of {gap / 60:.0f} minutes between photos: light and shadows may differ."
    return [
        *_when(figures.overlap is not None and overlap < LEAST_OVERLAP, Verdict.WARN, little),
        *_when(figures.views is not None and views < ENOUGH_VIEWS, Verdict.WARN, rarely),
        *_when(gap, Verdict.GO, pause),
    ]


def _about_places(figures: Figures) -> list[Finding]:
    lost = figures.photos - figures.located
    nowhere = (
        "No photo has a position: the model will have no scale and no place on the earth. A geo.txt or gcp_list.txt in"
        " the zip gives it both."
    )
    return [
        *_when(lost, Verdict.GO, nowhere if figures.located == 0 else f"{_count(lost)} without a position."),
        *_when(figures.rtk, Verdict.GO, _rtk(figures)),
    ]


def _rtk(figures: Figures) -> str:
    if figures.rtk_fixed == 0:
        return "RTK gave no position to the centimetre: the place of the model is good to metres."
    if (floating := figures.rtk - figures.rtk_fixed) > 0:
        return f"RTK had no fix at {floating} of {figures.rtk} photos: their positions may be metres off."
    return f"Positions are fixed by RTK{f', {exactness(figures)}' if figures.position_std_m else ''}."


def exactness(figures: Figures) -> str:
    """How exact positions are, as receivers tell; `position_std_m` must be known."""
    ground, height = figures.position_std_m or (0.0, 0.0)
    return f"to {_length(ground)} on the ground and {_length(height)} in height"


def _length(metres: float) -> str:
    return f"{metres:.1f} m" if metres >= 1 else f"{100 * metres:.0f} cm"


def _about_cameras(figures: Figures) -> list[Finding]:
    few = f"{_count(figures.photos)} in all; {FEW_PHOTOS} and more give a good model."
    mixed = f"The photos come from {figures.cameras} cameras, lenses or sizes: each is calibrated by itself."
    return [
        *_when(figures.photos < FEW_PHOTOS, Verdict.GO, few),
        *_when(figures.cameras > 1, Verdict.GO, mixed),
    ]


def _when(holds: object, level: Verdict, sentence: str) -> list[Finding]:
    return [Finding(level, sentence)] if holds else []


def _count(number: int) -> str:
    return "1 photo" if number == 1 else f"{number} photos"
