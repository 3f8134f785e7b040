"""The tables of a report page: lenses, control points, photos."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import numpy as np

from services.sfm.wording import count, length
from spaceport.pipeline.reports.sfm import CameraReport, ControlPointReport, Georeference, PhotoReport

MOST_ROWS: Final = 2000
_SOURCES: Final = {"calibration": "the drone's own calibration", "exif": "EXIF", "unknown": "not known beforehand"}
_DIRECTIONS: Final = ("east", "north", "up")


def camera_table(cameras: Sequence[CameraReport]) -> str:
    """What is known of each lens, and from where; empty for a report that does not say."""
    rows = [_camera_row(camera) for camera in cameras if camera.focal_px is not None]
    if not rows:
        return ""
    names = ["Known (px)", "In the model (px)"]
    head = _head(["Camera"], ["Photos"], ["Lens model", "Focal length known from"], names, [""])
    return f'<h3>Lenses</h3><div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _camera_row(camera: CameraReport) -> str:
    focal, expected = camera.focal_px or 0.0, camera.expected_focal_px
    exact = f" ± {100 * camera.focal_std:.2g}%" if camera.focal_std is not None else ""
    change = f" ({focal / expected - 1:+.1%})" if expected else ""
    held = "focal length held: the views do not determine it" if camera.held else ""
    notes = "; ".join(note for note in (held, camera.reason) if note)
    cells = [
        _text(f"{camera.name or 'unknown'}, {camera.width} × {camera.height}"),
        _number(f"{camera.photos:,}"),
        _text(camera.model),
        _text(_SOURCES[camera.focal_source]),
        _number(f"{expected:,.0f}" if expected else ""),
        _number(f"{focal:,.0f}{exact}{change}"),
        _text(notes),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def control_point_table(georeference: Georeference) -> str:
    """Control and check points with what they miss the model by; empty where there are none."""
    points = georeference.control_points or []
    if not points:
        return ""
    names = [*(f"Off {direction} (m)" for direction in _DIRECTIONS), "Marks off (px)"]
    head = _head(["Point", "Role"], ["Photos", *names], [""])
    known = [abs(metres) for point in points for metres in (point.east_m, point.north_m, point.up_m) if metres]
    rows = [_point_row(point, _decimals(known)) for point in sorted(points, key=lambda point: point.role == "check")]
    lines = [_rms("Control points", points, "control"), _rms("Check points, which decided nothing", points, "check")]
    summary = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
    return f'<h3>Control points</h3>{summary}<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _point_row(point: ControlPointReport, decimals: int) -> str:
    offsets = [point.east_m, point.north_m, point.up_m]
    pixels = point.reprojection_px
    notes = [f"not used: {point.reason}"] if point.reason else []
    if point.left_out:
        notes.append(f"mark left out in {', '.join(point.left_out)}")
    cells = [
        _text(point.name),
        _text(point.role),
        _number(f"{point.photos:,}"),
        *(_number(_signed(metres, decimals)) for metres in offsets),
        _number("" if pixels is None else f"{pixels:.2f}"),
        _text("; ".join(notes)),
    ]
    lost = ' class="lost"' if notes else ""
    return f"<tr{lost}>{''.join(cells)}</tr>"


def _rms(what: str, points: Sequence[ControlPointReport], role: str) -> str:
    rows = [(point.east_m, point.north_m, point.up_m) for point in points if point.role == role]
    known = np.array([row for row in rows if None not in row], dtype=np.float64)
    if not len(known):
        return ""
    ground, up = np.sqrt(np.square(known[:, :2]).sum(axis=1).mean()), np.sqrt(np.square(known[:, 2]).mean())
    return f"{what}: {length(float(ground))} on the ground, {length(float(up))} in height (rms of {len(known)})."


def photo_table(photos: Sequence[PhotoReport]) -> str:
    """A row for each photo, those that are not in the model first."""
    order = sorted(photos, key=lambda photo: photo.registered)[:MOST_ROWS]
    known = [abs(metres) for photo in photos for metres in photo.gps_offset_m or () if metres]
    names = [f"Off {direction} (m)" for direction in _DIRECTIONS] if known else []
    rows = [_photo_row(photo, _decimals(known) if known else None) for photo in order]
    left = f"<p>…and {count(len(photos) - MOST_ROWS)} more.</p>" if len(photos) > MOST_ROWS else ""
    head = _head(["Photo"], ["Features", "Matched", "Points", *names], [""])
    note = "<p>Off: from a photo's position to where the model has it.</p>" if known else ""
    return f'<h2>Photo by photo</h2>{note}<div class="wide"><table>{head}{"".join(rows)}</table></div>{left}'


def left_out_table(left_out: Mapping[str, str]) -> str:
    """Files other than photos that are not used, by name; empty where there are none."""
    rows = [f"<tr>{_text(name)}{_text(reason)}</tr>" for name, reason in sorted(left_out.items())[:MOST_ROWS]]
    more = f"<p>…and {count(len(left_out) - MOST_ROWS, 'file')} more.</p>" if len(left_out) > MOST_ROWS else ""
    title = f"<summary>{count(len(left_out), 'other file')} not used</summary>"
    return f'<details>{title}<div class="wide"><table>{"".join(rows)}</table></div>{more}</details>' if rows else ""


def _photo_row(photo: PhotoReport, decimals: int | None) -> str:
    """`decimals` is None where no photo has an offset."""
    numbers = ["" if number is None else f"{number:,}" for number in (photo.features, photo.matches, photo.points)]
    if decimals is not None:
        numbers += [_signed(metres, decimals) for metres in photo.gps_offset_m or (None, None, None)]
    note = "placed" if photo.registered else f"left out: {photo.reason}"
    if photo.gps_outlier:
        note += f"; position not used: {photo.gps_outlier}"
    lost = "" if photo.registered and not photo.gps_outlier else ' class="lost"'
    return f"<tr{lost}>{_text(photo.name)}{''.join(map(_number, numbers))}{_text(note)}</tr>"


def _decimals(metres: Sequence[float]) -> int:
    """Digits behind the point that tell the typical of these lengths with two digits, 1 to 4."""
    typical = float(np.median(metres)) if len(metres) else 1.0
    return int(np.clip(1 - math.floor(math.log10(max(typical, 1e-4))), 1, 4))


def _signed(metres: float | None, decimals: int) -> str:
    return "" if metres is None else f"{metres:+,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _head(*groups: Sequence[str]) -> str:
    """Groups of texts and numbers in turn, texts first."""
    cells = [
        f'<th class="n">{escape(name)}</th>' if number % 2 else f"<th>{escape(name)}</th>"
        for number, names in enumerate(groups)
        for name in names
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _text(words: str) -> str:
    return f"<td>{escape(words)}</td>"


def _number(words: str) -> str:
    return f'<td class="n">{escape(words)}</td>'
