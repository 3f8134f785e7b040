"""The part of a job's report page about its photos: one self-contained HTML section."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Final

from services.sfm.report.build import missing_photo_warnings
from spaceport.pipeline.reports.sfm import (
    CaptureReport,
    Georeference,
    MatchingReport,
    PhotoReport,
    ReconstructionReport,
    SfmReport,
)

MOST_ROWS: Final = 2000
_STYLE: Final = """
<style>
.sfm{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:860px}
.sfm h2{font-size:1.25em;margin:1.4em 0 .4em}
.sfm figure{margin:1em 0}.sfm figcaption{color:#555;font-size:.9em}
.sfm svg{max-width:100%;height:auto;border:1px solid #ddd;border-radius:6px}
.sfm ul{padding-left:1.2em}.sfm li.warn{color:#a04d00}
.sfm dl{display:grid;grid-template-columns:max-content 1fr;gap:.15em 1.2em}.sfm dt{color:#555}.sfm dd{margin:0}
.sfm table{border-collapse:collapse;width:100%;font-size:.9em}
.sfm th,.sfm td{text-align:left;padding:.25em .6em;border-bottom:1px solid #e5e5e5}
.sfm .n{text-align:right;font-variant-numeric:tabular-nums}
.sfm tr.lost{color:#a04d00}
</style>"""


_MAP_CAPTION: Final = (
    "The ground that each photo shows, as height and gimbal tell it: the darker, the more photos show it. The dashed"
    " line joins the photos as they were taken."
)
_STRAIGHT_DOWN: Final = -80  # degrees of pitch, below which nobody sees a tilt


def build_page(report: SfmReport, capture_map: str | None, top_view: str) -> str:
    """An HTML `<section>` out of the stage's report and its two drawings (SVG)."""
    return "\n".join(
        [
            '<section class="sfm">',
            _STYLE.strip(),
            f"<h2>{_headline(report)}</h2>",
            f"<p>{escape(report.given.sentence)}</p>" if report.given else "",
            _findings(report),
            _figures(report),
            _drawing(top_view, "From above: the points that were reconstructed, and where each photo was taken."),
            _drawing(capture_map, _MAP_CAPTION),
            _photos(report.photos),
            "</section>",
            "",
        ]
    )


def _headline(report: SfmReport) -> str:
    return f"{report.model.photos} of {len(report.photos)} photos placed"


def _findings(report: SfmReport) -> str:
    sentences = [("warn", sentence) for sentence in missing_photo_warnings(report)]
    sentences += [(finding.level.value, finding.sentence) for finding in report.capture.findings]
    if report.rolling_shutter.advice:
        sentences.append(("go", report.rolling_shutter.advice))
    items = [f'<li class="{escape(level)}">{escape(sentence)}</li>' for level, sentence in sentences]
    return f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing to complain about.</p>"


def _figures(report: SfmReport) -> str:
    model, capture = report.model, report.capture
    overlap, sampling, area = capture.figures.overlap, capture.ground_sampling_cm, capture.area_m2
    error = model.reprojection_error_px
    rows = {
        "Points": _points(model),
        "Reprojection error": f"{error:.2f} pixels" if error is not None else None,
        "Cameras": ", ".join(f"{name} ({number})" for name, number in capture.cameras.items()),
        "Drone": ", ".join(report.rolling_shutter.drones),
        "Taken": _taken(capture),
        "Height above take-off": _height(capture),
        "Camera looks": _view(capture.gimbal_pitch),
        "Ground covered": _area(area) if area is not None else None,
        "Ground in a pixel": f"{sampling:.1f} cm" if sampling is not None else None,
        "Overlap with the best neighbour": f"{overlap:.0%}" if overlap is not None else None,
        "Pairs of photos": _pairs(report.matching),
        "Place on the earth": _place(report.georeference),
    }
    cells = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items() if value]
    return f"<dl>{''.join(cells)}</dl>"


def _taken(capture: CaptureReport) -> str | None:
    if not capture.begun or not capture.ended:
        return None
    begun, ended = datetime.fromisoformat(capture.begun), datetime.fromisoformat(capture.ended)
    return f"{begun:%Y-%m-%d %H:%M} to {ended:{'%H:%M' if begun.date() == ended.date() else '%Y-%m-%d %H:%M'}}"


def _height(capture: CaptureReport) -> str | None:
    if capture.height_m is None or capture.height_range_m is None:
        return None
    low, high = capture.height_range_m
    return f"{capture.height_m:.1f} m ({low:.1f} to {high:.1f})"


def _view(pitch: float | None) -> str | None:
    if pitch is None:
        return None
    return "straight down" if pitch < _STRAIGHT_DOWN else f"{-pitch:.0f}° below the horizon in the median"


def _area(square_metres: float) -> str:
    return f"{square_metres / 10_000:.1f} ha" if square_metres >= 10_000 else f"{square_metres:,.0f} m²"


def _pairs(matching: MatchingReport) -> str | None:
    if not matching.pairs:
        return None
    return f"{matching.pairs:,} compared ({matching.method}), {matching.verified:,} show the same"


def _points(model: ReconstructionReport) -> str:
    seen = f", each seen by {model.track_length:.1f} photos in the mean" if model.track_length else ""
    return f"{model.points:,}{seen}"


def _place(georeference: Georeference) -> str:
    if not georeference.aligned:
        return f"not known: {georeference.reason}"
    accuracy = "in metres" if georeference.metric else "not exact enough to be called metric"
    if georeference.scale_error:
        accuracy += f", lengths to about {max(georeference.scale_error, 0.0001):.2%}"
    if not georeference.metric and georeference.unit_m is not None:
        accuracy = f"a unit of the model is {georeference.unit_m:.3g} m"
    what = "control points" if georeference.control_points is not None else "photos"
    return f"{accuracy}; {what} are {georeference.median_residual_m:.2f} m off their positions in the median"


def _drawing(svg: str | None, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" if svg else ""


def _photos(photos: list[PhotoReport]) -> str:
    rows = [_row(photo) for photo in sorted(photos, key=lambda photo: photo.registered)[:MOST_ROWS]]
    left = f"<p>…and {len(photos) - MOST_ROWS} more.</p>" if len(photos) > MOST_ROWS else ""
    names = ("Features", "Matched", "Points", "Off its position")
    numbers = "".join(f'<th class="n">{name}</th>' for name in names)
    head = f"<tr><th>Photo</th>{numbers}<th></th></tr>"
    return f"<h2>Photo by photo</h2><table>{head}{''.join(rows)}</table>{left}"


def _row(photo: PhotoReport) -> str:
    residual = photo.gps_residual_m
    numbers = [photo.features, photo.matches, photo.points]
    cells = [f'<td class="n">{"" if number is None else f"{number:,}"}</td>' for number in numbers]
    off = f'<td class="n">{f"{residual:.2f} m" if residual is not None else ""}</td>'
    note = "placed" if photo.registered else f"left out: {photo.reason}"
    lost = "" if photo.registered else ' class="lost"'
    return f"<tr{lost}><td>{escape(photo.name)}</td>{''.join(cells)}{off}<td>{escape(note)}</td></tr>"
