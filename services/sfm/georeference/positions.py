"""Positions that cannot be right, found before there is a model: by the receiver's habits and by the speed of a flight.

A receiver without a fix writes 0, 0 or its last fix, of yesterday's field; a broken one writes single wild positions.
None of it needs many good photos beside it, so nothing here counts majorities of single photos: tracks are compared.
What may be good is left alone; the model decides about it later. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.georeference.wgs84 import Array, median_position, to_enu
from services.sfm.messages import TaskPhoto
from services.sfm.wording import length

NO_FIX_DEGREES: Final = 0.1  # around 0, 0: open sea
NO_FIX: Final = "latitude and longitude are 0, which receivers write without a fix"
CLOCK_RESOLUTION_S: Final = 1.0  # EXIF's; between two photos the time is uncertain by as much
SPEED_TO_USUAL: Final = 10.0  # of a flight's usual speed, up to which a photo may be the next of the same flight
MIN_TOP_SPEED_M_S: Final = 40.0  # a drone with the wind
MAX_TOP_SPEED_M_S: Final = 300.0  # an aeroplane
STATIONARY_M: Final = 1.0
MIN_REPEATS: Final = 3
MIN_TRAVEL_M: Final = 10.0
MOST_OF_THE_WAY: Final = 0.75
FAR_M: Final = 1_000.0  # from here on photos of one survey show nothing in common
FAR_TO_EXTENT: Final = 5.0

Numbers = NDArray[np.int64]


def photo_positions(photos: Iterable[TaskPhoto]) -> Array:
    """Latitude, longitude, altitude [N,3] of the photos; NaN where unknown."""
    rows = [photo.position or (np.nan, np.nan, np.nan) for photo in photos]
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=float).reshape(-1, 3)


def photo_times(photos: Iterable[TaskPhoto]) -> Array:
    """Seconds [N] by the camera's clock; NaN where unknown."""
    return np.array([np.nan if photo.taken_at is None else photo.taken_at for photo in photos], dtype=float)


def ground_of(positions: Array, wrong: Iterable[int] = ()) -> Array:
    """[N,2] metres east and north of the middle; NaN where the position is unknown or among `wrong`.

    `positions` [N,3] as `find_wrong_positions` takes them.
    """
    level = np.column_stack([positions[:, :2], np.where(np.isfinite(positions[:, 0]), 0.0, np.nan)])
    level[list(wrong)] = np.nan
    located = np.isfinite(level[:, 0])
    return to_enu(level, median_position(level[located]))[:, :2] if located.any() else level[:, :2]


def find_wrong_positions(positions: Array, times: Array, cameras: Sequence[object]) -> dict[int, str]:
    """Numbers of the photos whose position cannot be right, each with the reason.

    Args:
        positions: [N,3] latitude, longitude (degrees, WGS84) and altitude (m), NaN where unknown.
        times: [N] seconds, NaN where unknown; of photos with equal `cameras`, by one clock.
        cameras: [N], equal for photos that one camera took.

    Photos at two places at once are no fault where both move: two drones of one make. After mapping the model tells.
    """
    wrong = _without_fix(positions)
    ground = ground_of(positions, wrong)
    groups: dict[object, list[int]] = {}
    for number in np.flatnonzero(np.isfinite(ground[:, 0]) & np.isfinite(times)):
        groups.setdefault(cameras[int(number)], []).append(int(number))
    for members in groups.values():
        flown = np.array(sorted(members, key=lambda number: (times[number], number)))
        wrong |= _off_the_track(ground[flown], times[flown], flown)
        rest = np.array([number for number in flown if number not in wrong], dtype=np.int64)
        wrong |= _repeated(ground[rest], times[rest], rest)
    rest = np.array([n for n in np.flatnonzero(np.isfinite(ground[:, 0])) if n not in wrong], dtype=np.int64)
    return dict(sorted((wrong | _far_away(ground[rest], rest)).items()))


def _without_fix(positions: Array) -> dict[int, str]:
    """Positions at or near 0, 0; none where all are there."""
    near = (np.abs(positions[:, :2]) < NO_FIX_DEGREES).all(axis=1)
    others = np.isfinite(positions[:, 0]) & ~near
    return {int(number): NO_FIX for number in np.flatnonzero(near)} if others.any() else {}


def _off_the_track(ground: Array, times: Array, numbers: Numbers) -> dict[int, str]:
    """Photos of one camera, in order of time, that no flight through the others can have reached.

    Each photo goes on with the nearest of the tracks that end within reach of it, else it begins another. Beside the
    longest that moves, a track that stands still is a receiver's last fix, or wild.
    """
    if len(numbers) < 3:
        return {}
    steps = np.linalg.norm(np.diff(ground, axis=0), axis=1)
    usual = float(np.percentile(steps / (np.diff(times) + CLOCK_RESOLUTION_S), 25))  # wild ones spoil two steps each
    top_speed = float(np.clip(SPEED_TO_USUAL * usual, MIN_TOP_SPEED_M_S, MAX_TOP_SPEED_M_S))
    tracks = _split_into_tracks(ground, times, top_speed)
    moving = [track for track in tracks if not _is_stationary(ground[track])]
    main = max([track for track in moving if len(track) > 2] or tracks, key=len)
    wrong: dict[int, str] = {}
    for track in tracks:
        if track is main or not _is_stationary(ground[track]):
            continue
        gaps = np.abs(times[main] - times[track[0]])
        nearest = main[int(np.argmin(gaps))]
        off = float(np.linalg.norm(ground[nearest] - ground[track[0]]))
        where = f"{length(off)} from where the flight was {gaps.min():.0f} s before or after"
        several = f"the receiver's last fix: the same place in {len(track)} photos, {where}"
        reason = f"it lies {where}" if len(track) == 1 else several
        wrong |= {int(numbers[index]): reason for index in track}
    return wrong


def _split_into_tracks(ground: Array, times: Array, top_speed: float) -> list[list[int]]:
    """Indices of the photos [N], sorted by time, that one flight can have taken in a row."""
    tracks: list[list[int]] = []
    ends = np.empty((len(times), 3))  # east, north and time of each track's last photo
    for index, (place, time) in enumerate(zip(ground, times, strict=True)):
        last = ends[: len(tracks)]
        distances = np.linalg.norm(last[:, :2] - place, axis=1)
        reached = distances <= top_speed * (time - last[:, 2] + CLOCK_RESOLUTION_S)
        if reached.any():
            number = int(np.argmin(np.where(reached, distances, np.inf)))
        else:
            number = len(tracks)
            tracks.append([])
        tracks[number].append(index)
        ends[number] = (*place, time)
    return tracks


def _is_stationary(places: Array) -> bool:
    return bool(np.ptp(places, axis=0).max() <= STATIONARY_M)


def _repeated(ground: Array, times: Array, numbers: Numbers) -> dict[int, str]:
    """Runs of one and the same position after which the flight goes on from where it would have come to meanwhile.

    Who hovers goes on from where he was, and is left alone.
    """
    if len(numbers) < MIN_REPEATS + 2:
        return {}
    steps = np.linalg.norm(np.diff(ground, axis=0), axis=1)
    moved = steps > 0
    if not moved.any():
        return {}
    usual = float(np.median(steps[moved] / np.maximum(np.diff(times)[moved], CLOCK_RESOLUTION_S)))
    starts = np.flatnonzero(np.r_[True, moved])
    wrong: dict[int, str] = {}
    for start, end in zip(starts, [*starts[1:], len(ground)], strict=True):
        if end - start < MIN_REPEATS or end == len(ground):
            continue
        travelled = usual * (times[end - 1] - times[start])
        if travelled > MIN_TRAVEL_M and steps[end - 1] > MOST_OF_THE_WAY * travelled:
            reason = f"the same position in {end - start} photos in a row, while the flight went on"
            wrong |= {int(numbers[index]): reason for index in range(start, end)}
    return wrong


def _far_away(ground: Array, numbers: Numbers) -> dict[int, str]:
    """Photos alone at one place that is kilometres, and many extents of all others, away from them."""
    if len(numbers) < 4:
        return {}
    from_middle = np.linalg.norm(ground - np.median(ground, axis=0), axis=1)
    extent = 2 * float(np.percentile(from_middle, 60))
    wrong: dict[int, str] = {}
    for index in np.flatnonzero(from_middle > max(FAR_M, FAR_TO_EXTENT * extent)):
        distances = np.linalg.norm(ground - ground[index], axis=1)
        here = distances <= STATIONARY_M
        nearest = float(distances[~here].min(initial=np.inf))
        if here.sum() < len(numbers) / 2 and nearest > max(FAR_M, FAR_TO_EXTENT * extent):
            wrong[int(numbers[index])] = f"it lies {length(nearest)} from all other photos"
    return wrong
