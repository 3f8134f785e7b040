"""A whole capture, judged: figures, findings and which photos are used. Pure: no file is touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.capture.findings import Figures, Finding, Verdict, findings, verdict
from services.sfm.capture.flights import longest_gap_s
from services.sfm.capture.footprints import Aim, Coverage, cover, footprint, ground_sampling_m, view
from services.sfm.capture.image_quality import Looks, repeated
from services.sfm.capture.subset import choose_subset
from services.sfm.georeference.wgs84 import centre, to_enu
from services.sfm.photo import PhotoFacts

BLURRED: Final = 0.13  # a Gaussian blur of 1.5 to 5 pixels leaves 0.06-0.14 of sharpness, whatever is shown
BLURRED_TO_MEDIAN: Final = 0.5
MOST_MEASURED: Final = 2000  # footprints are compared up to so many photos; beyond, every n-th is

RTK_FIXED: Final = 50

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Capture:
    """What a set of photos is worth as a survey.

    `looks` belongs to `photos`, both in the order of the flight; `ground` is [N,2] metres east and north of the
    middle, NaN without a position; `footprints` are outlines [4,2] by number of the photo; `repeats` maps a photo's
    number to the earlier one that it repeats; `used` are the numbers of the photos that go on, in order.
    """

    photos: list[PhotoFacts]
    looks: list[Looks]
    ground: Array
    footprints: dict[int, Array]
    blurred: frozenset[int]
    repeats: dict[int, int]
    used: list[int]
    figures: Figures
    found: list[Finding]
    facts: dict[str, Any]

    @property
    def verdict(self) -> Verdict:
        """The gravest finding."""
        return verdict(self.found)

    def with_all_used(self) -> Capture:
        """The same, where a model is there already: every photo goes on, and nothing that was found can stop it."""
        found = [replace(each, level=Verdict.WARN) if each.level is Verdict.STOP else each for each in self.found]
        return replace(self, used=list(range(len(self.photos))), found=found)

    def report(self) -> dict[str, Any]:
        """For `report.json`."""
        return {
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.found],
            "figures": asdict(self.figures),
            **self.facts,
        }

    def of_photo(self) -> dict[str, dict[str, Any]]:
        """By name: what was seen of each photo."""
        used = set(self.used)
        return {
            photo.name: {
                "sharpness": round(look.sharpness, 3),
                "brightness": round(look.brightness, 3),
                "blurred": number in self.blurred,
                "empty": look.is_empty,
                "repeats": self.photos[self.repeats[number]].name if number in self.repeats else None,
                "used": number in used,
            }
            for number, (photo, look) in enumerate(zip(self.photos, self.looks, strict=True))
        }


def inspect(photos: Sequence[PhotoFacts], looks: dict[str, Looks], unreadable: int, most: int) -> Capture:
    """Judge readable photos, at least one.

    Args:
        photos: in any order.
        looks: of each, by name.
        unreadable: how many more were sent.
        most: of how many at most the model is to be made.
    """
    flown = _in_order(photos)
    seen = [looks[photo.name] for photo in flown]
    ground = _on_ground(flown)
    outlines, aims = _footprints(flown, ground)
    blurred, repeats = _blurred(seen), dict(repeated(seen))
    empty = {number for number, look in enumerate(seen) if look.is_empty}
    coverage = cover(list(outlines.values()), [view(aim) for aim in aims]) if len(outlines) > 1 else None
    figures = _figures(flown, seen, unreadable, len(blurred), len(repeats), coverage)
    used = choose_subset(range(len(flown)), [look.sharpness for look in seen], empty | repeats.keys(), most)
    found = findings(figures)
    if len(used) < len(flown) - len(empty | repeats.keys()):
        found.append(
            Finding(Verdict.GO, f"{len(used)} of {len(flown)} photos are used: even along the flight, and sharp.")
        )
    facts = _facts(flown, coverage, [ground_sampling_m(aim) for aim in aims])
    return Capture(flown, seen, ground, outlines, blurred, repeats, used, figures, found, facts)


def _in_order(photos: Sequence[PhotoFacts]) -> list[PhotoFacts]:
    """As they were taken if all tell when, else by name."""
    times = [photo.taken_at for photo in photos]
    if any(time is None for time in times):
        return sorted(photos, key=lambda photo: photo.name)
    return sorted(photos, key=lambda photo: (photo.taken_at, photo.name))


def _on_ground(photos: list[PhotoFacts]) -> Array:
    degrees = np.array([(*photo.position[:2], 0.0) if photo.position else (np.nan,) * 3 for photo in photos])
    if np.isnan(degrees).all():
        return degrees[:, :2]
    return to_enu(degrees, centre(degrees))[:, :2]


def _footprints(photos: list[PhotoFacts], ground: Array) -> tuple[dict[int, Array], list[Aim]]:
    """Outlines by number, and aims, of the photos that tell height and direction."""
    step = -(-len(photos) // MOST_MEASURED)
    outlines: dict[int, Array] = {}
    aims = []
    for number in range(0, len(photos), step):
        aim = _aim(photos[number], ground[number])
        if aim and (outline := footprint(aim)) is not None:
            outlines[number] = outline
            aims.append(aim)
    return outlines, aims


def _aim(photo: PhotoFacts, place: Array) -> Aim | None:
    height, pitch, yaw, focal = photo.relative_altitude_m, photo.gimbal_pitch, photo.gimbal_yaw, photo.focal_px
    if np.isnan(place).any() or height is None or height <= 0 or pitch is None or yaw is None or focal is None:
        return None
    return Aim(float(place[0]), float(place[1]), height, pitch, yaw, focal, photo.width, photo.height)


def _blurred(looks: list[Looks]) -> frozenset[int]:
    """Photos as soft as blur makes them, or far softer than the others."""
    sharpness = np.array([look.sharpness for look in looks])
    least = max(BLURRED, BLURRED_TO_MEDIAN * float(np.median(sharpness)))
    return frozenset(number for number, look in enumerate(looks) if look.sharpness < least and not look.is_empty)


def _figures(
    photos: list[PhotoFacts], looks: list[Looks], unreadable: int, blurred: int, repeats: int, coverage: Coverage | None
) -> Figures:
    return Figures(
        photos=len(photos),
        unreadable=unreadable,
        empty=sum(look.is_empty for look in looks),
        repeated=repeats,
        blurred=blurred,
        cameras=len({photo.camera_key for photo in photos}),
        exposure_stops=_exposure_stops(photos, looks),
        located=sum(photo.position is not None for photo in photos),
        overlap=float(np.median(coverage.overlap)) if coverage else None,
        views=coverage.views if coverage else None,
        thin=coverage.thin if coverage else None,
        longest_gap_s=longest_gap_s(photos),
        rtk=sum(photo.rtk_flag is not None for photo in photos),
        rtk_fixed=sum(photo.rtk_flag == RTK_FIXED for photo in photos),
        position_std_m=_position_std(photos),
    )


def _position_std(photos: list[PhotoFacts]) -> tuple[float, float] | None:
    told = np.array([photo.position_std_m for photo in photos if photo.position_std_m is not None])
    if len(told) == 0:
        return None
    return float(np.median(np.hypot(told[:, 0], told[:, 1]))), float(np.median(told[:, 2]))


def _exposure_stops(photos: list[PhotoFacts], looks: list[Looks]) -> float | None:
    """Between the darkest and the brightest twentieth: of the cameras' settings if told, else of the pictures."""
    settings = [
        np.log2(photo.exposure_s * photo.iso / photo.f_number**2)
        for photo in photos
        if photo.exposure_s and photo.iso and photo.f_number
    ]
    if len(settings) == len(photos):
        low, high = np.percentile(settings, (5, 95))
        return float(high - low)
    shown = [look.brightness for look in looks if not look.is_empty and look.brightness > 0]
    if not shown:
        return None
    low, high = np.percentile(np.log2(shown), (5, 95))
    return float(2.2 * (high - low))  # grey levels grow with about the 1/2.2th power of light


def _facts(photos: list[PhotoFacts], coverage: Coverage | None, sampling: list[float]) -> dict[str, Any]:
    heights = [photo.relative_altitude_m for photo in photos if photo.relative_altitude_m is not None]
    pitches = [photo.gimbal_pitch for photo in photos if photo.gimbal_pitch is not None]
    names = Counter(" ".join(part for part in (photo.make, photo.model) if part) or "unknown" for photo in photos)
    times = sorted(photo.taken_at for photo in photos if photo.taken_at is not None)
    return {
        "cameras": dict(names),
        "height_m": _median(heights),
        "height_range_m": [min(heights), max(heights)] if heights else None,
        "gimbal_pitch": _median(pitches),
        "ground_sampling_cm": _median([100 * metres for metres in sampling]),
        "area_m2": round(coverage.area_m2, 1) if coverage else None,
        "begun": times[0].isoformat() if times else None,
        "ended": times[-1].isoformat() if times else None,
    }


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 2) if values else None
