"""The findings about a capture, in sentences that a pilot can act on. Pure: figures in, words out."""

from __future__ import annotations

from typing import Final

from services.sfm.wording import count, duration, length
from spaceport.pipeline.reports.sfm import CaptureFigures, Finding, Verdict

MAX_BLURRED_SHARE: Final = 0.1
MAX_REPEATED_SHARE: Final = 0.1
MIN_OVERLAP: Final = 0.6  # with the best neighbour; below it, features are found twice by luck
ENOUGH_VIEWS: Final = 4  # photos that show a spot, in the median over the ground
MAX_EXPOSURE_STOPS: Final = 1.5
FEW_PHOTOS: Final = 20
MIN_DISTINCT: Final = 3


def list_findings(figures: CaptureFigures) -> list[Finding]:
    """All that a pilot should know, the gravest first."""
    findings = [
        *_about_pictures(figures),
        *_about_overlap(figures),
        *_about_places(figures),
        *_about_cameras(figures),
    ]
    return sorted(findings, key=lambda finding: list(Verdict)[::-1].index(finding.level))


def overall_verdict(findings: list[Finding]) -> Verdict:
    """The level of the gravest finding."""
    return max((finding.level for finding in findings), key=list(Verdict).index, default=Verdict.GO)


def _about_pictures(figures: CaptureFigures) -> list[Finding]:
    unreadable = "it cannot be read" if figures.unreadable == 1 else "they cannot be read"
    return [
        *_about_distinct(figures),
        *_about_sharpness(figures),
        *_finding_if(figures.unreadable, Verdict.WARN, f"{count(figures.unreadable)} left out: {unreadable}."),
        *_about_exposure(figures),
    ]


def _about_distinct(figures: CaptureFigures) -> list[Finding]:
    if figures.distinct < MIN_DISTINCT:
        return [Finding(level=Verdict.STOP, sentence=_nothing_to_see(figures))]
    empty = f"{count(figures.empty)} with nothing but one colour: a covered lens, or sky."
    repeated = f"{count(figures.repeated)} repeating another one, which adds nothing."
    few = MAX_REPEATED_SHARE * figures.photos
    return [
        *_finding_if(figures.empty, Verdict.WARN if figures.empty > few else Verdict.GO, empty),
        *_finding_if(figures.repeated, Verdict.WARN if figures.repeated > few else Verdict.GO, repeated),
    ]


def _about_sharpness(figures: CaptureFigures) -> list[Finding]:
    grave = figures.blurred > MAX_BLURRED_SHARE * figures.photos
    advice = " Fly slower, or with a shorter exposure." if grave else ""
    sentence = f"{figures.blurred} of {figures.photos} photos blurred.{advice}"
    return _finding_if(figures.blurred, Verdict.WARN if grave else Verdict.GO, sentence)


def _about_exposure(figures: CaptureFigures) -> list[Finding]:
    stops = figures.exposure_stops or 0.0
    sentence = f"Brightness differs by {stops:.1f} stops between photos. Lock the exposure before the flight."
    return _finding_if(stops > MAX_EXPOSURE_STOPS, Verdict.WARN, sentence)


def _nothing_to_see(figures: CaptureFigures) -> str:
    if figures.empty > figures.repeated:
        verb = "shows" if figures.empty == 1 else "show"
        return f"{figures.empty} of {count(figures.photos)} {verb} nothing but one colour. Was the lens covered?"
    if figures.distinct == 1:
        return f"{count(figures.photos)} that all show the same. Move the camera between photos."
    return f"Only {figures.distinct} of {figures.photos} photos differ from each other. Move the camera between photos."


def _about_overlap(figures: CaptureFigures) -> list[Finding]:
    overlap, views, gap = figures.overlap or 0.0, figures.views or 0.0, figures.longest_gap_s or 0.0
    little = (
        f"A photo shares about {overlap:.0%} of its ground with its best neighbour; {MIN_OVERLAP:.0%} and more are"
        " needed. Fly slower or take photos more often."
    )
    rarely = (
        f"Half of the ground is seen by {_at_most(round(views))}, {figures.thin or 0:.0%} of it by one or two, and"
        " will come out poorly. Fly the lines closer together, and a second time across."
    )
    pause = f"A pause of {duration(gap)} between photos: light and shadows may differ."
    return [
        *_finding_if(figures.overlap is not None and overlap < MIN_OVERLAP, Verdict.WARN, little),
        *_finding_if(figures.views is not None and views < ENOUGH_VIEWS, Verdict.WARN, rarely),
        *_finding_if(gap, Verdict.GO, pause),
    ]


def _at_most(photos: int) -> str:
    return f"{photos} photos or fewer" if photos > 1 else "one photo or none"


def _about_places(figures: CaptureFigures) -> list[Finding]:
    lost = figures.photos - figures.located
    nowhere = (
        "No photo has a position: the model will have no scale and no place on the earth. A geo.txt or gcp_list.txt in"
        " the zip gives it both."
    )
    if figures.control_points:
        nowhere = "No photo has a position: place and scale come from the control points alone."
    return [
        *_finding_if(lost, Verdict.GO, nowhere if figures.located == 0 else f"{count(lost)} without a position."),
        *_finding_if(figures.rtk, Verdict.GO, _rtk(figures)),
    ]


def _rtk(figures: CaptureFigures) -> str:
    if figures.rtk_fixed == 0:
        return "RTK gave no position to the centimetre: the place of the model is good to metres."
    floating = figures.rtk - figures.rtk_fixed
    if floating > 0:
        return f"RTK had no fix at {floating} of {figures.rtk} photos: their positions may be metres off."
    return f"Positions are fixed by RTK{f', {_accuracy(figures)}' if figures.position_std_m else ''}."


def _accuracy(figures: CaptureFigures) -> str:
    """How accurate positions are, as receivers state it; `position_std_m` must be known."""
    ground, height = figures.position_std_m or (0.0, 0.0)
    return f"to {length(ground)} on the ground and {length(height)} in height"


def _about_cameras(figures: CaptureFigures) -> list[Finding]:
    few = f"{count(figures.photos)} in all; {FEW_PHOTOS} and more give a good model."
    mixed = f"The photos come from {figures.cameras} cameras, lenses or sizes: each is calibrated by itself."
    return [
        *_finding_if(figures.photos < FEW_PHOTOS, Verdict.GO, few),
        *_finding_if(figures.cameras > 1, Verdict.GO, mixed),
    ]


def _finding_if(condition: object, level: Verdict, sentence: str) -> list[Finding]:
    return [Finding(level=level, sentence=sentence)] if condition else []
