"""The tables of `report.html`: photos, views, bytes, costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from services.compress.report_page.inputs import Earlier
from services.compress.report_page.markup import Content, element, name_of
from services.compress.report_page.pictures import THUMB_HEIGHT, THUMB_WIDTH
from services.compress.report_page.plan import apart_of, fate_of
from services.compress.report_page.words import ATTRIBUTES, KINDS, decibels, dollars, duration, sentence_of, size
from spaceport.pipeline.contract import StageManifest, StageName
from spaceport.pipeline.costs import Kept, actual_cost, estimate_costs, stage_cost
from spaceport.pipeline.pricing import LOCAL, cost_usd
from spaceport.pipeline.reports.compress import CompressReport
from spaceport.pipeline.reports.sfm import THUMB_COLUMNS, THUMB_ROWS, PhotoReport, SfmReport
from spaceport.pipeline.reports.train import TrainReport, TrainView
from spaceport.pipeline.text import visible

MOST_PHOTOS: Final = 500
"""Rows; those that are not placed come first."""
LEAST_PSNR, MOST_PSNR = 10.0, 40.0
MARKS: Final = {"placed": "●", "left": "✕", "apart": "□"}
STAGES: Final = {StageName.SFM: "Place photos", StageName.TRAIN: "Train", StageName.COMPRESS: "Compress"}
PER_SHEET: Final = THUMB_COLUMNS * THUMB_ROWS
_BAR: Final = "width:{:.1f}%"
SO_FAR: Final = (
    "Compression is counted until this page was written: fetching and publishing files come on top. The job's page has"
    " the whole, and the sum."
)


class SoFar(NamedTuple):
    """This stage, until the page is written."""

    machine: str
    """As `pricing` names it."""
    seconds: float
    kept: Kept


def photo_table(sfm: SfmReport, earlier: Earlier, sheets: int) -> list[Element]:
    """What became of each photo. `sheets`: of small pictures that the page has."""
    views = {view.name: view for view in earlier.train.views} if earlier.train else {}
    apart = apart_of(sfm)
    photos = sorted(sfm.photos, key=lambda photo: photo.registered)
    rows = [
        element(
            "tr",
            element("td", _thumb(photo, sheets)),
            element("td", element("b", name_of(photo.name)), element("br"), _fate(photo, fate_of(photo, apart))),
            element("td", *_likeness(views.get(photo.dense_name or photo.name))),
        )
        for photo in photos[:MOST_PHOTOS]
    ]
    made = [_table([("", ""), ("Photo", ""), ("Likeness", "psnr-column")], rows)]
    if len(photos) > MOST_PHOTOS:
        made.append(
            element("p", f"And {len(photos) - MOST_PHOTOS:,} photos more, which are placed; the job's page has all.")
        )
    hint = (
        "How like its photo the model is, as PSNR from 10 to 40 dB: the longer, the better. Hatched: held out, so"
        " training never saw it. Not every photo is measured."
    )
    return [*made, element("p", hint, class_="muted")]


def _thumb(photo: PhotoReport, sheets: int) -> Element:
    if photo.thumb is None or photo.thumb // PER_SHEET >= sheets:
        return element("span", class_="thumb")
    row, column = divmod(photo.thumb % PER_SHEET, THUMB_COLUMNS)
    place = f"background-position:{-column * THUMB_WIDTH}px {-row * THUMB_HEIGHT}px"
    return element("span", class_=f"thumb s{photo.thumb // PER_SHEET}", style=place)


def _fate(photo: PhotoReport, fate: str) -> Element:
    seen = f"Placed; sees {photo.points:,} points." if photo.points else "Placed."
    words = seen if fate == "placed" else sentence_of(photo.reason or "left out")
    outlier = f" Its position was not used: {photo.gps_outlier}." if photo.gps_outlier else ""
    return element("span", f"{MARKS[fate]} {words}{outlier}", class_=f"fate {fate}")


def _likeness(view: TrainView | None) -> list[Content]:
    if view is None:
        return [element("span", "not measured", class_="muted")]
    share = min(1.0, max(0.0, (view.psnr - LEAST_PSNR) / (MOST_PSNR - LEAST_PSNR)))
    bar = element("i", style=_BAR.format(100 * share), class_="held" if view.held_out else "")
    words = f"{decibels(view.psnr)}, held out" if view.held_out else decibels(view.psnr)
    return [element("span", bar, class_="psnr"), words]


def view_table(train: TrainReport) -> Element | None:
    """The photos of the strips above it."""
    views = {view.name: view for view in train.views}
    shown = [views[name] for name in train.preview or [] if name in views]
    rows = [
        element(
            "tr",
            element("td", name_of(view.name)),
            element("td", "held out" if view.held_out else "trained on"),
            element("td", decibels(view.psnr), class_="n"),
        )
        for view in shown
    ]
    return _table([("Photo", ""), ("Use", ""), ("Likeness", "n")], rows) if rows else None


def proof_parts(report: CompressReport) -> list[Element]:
    """The views of the proof by where they look from, and all of them."""
    if not report.kinds:
        return []
    count = Counter(view.kind for view in report.views)
    rows = [(KINDS[kind], count[kind], psnr.mean, psnr.worst) for kind, psnr in report.kinds.items()]
    rows.append(("All", len(report.views), report.sog_psnr, report.sog_psnr_worst))
    table = _table(
        [("Seen from", ""), ("Views", "n"), ("Mean", "n"), ("Worst", "n")],
        [_row(element("td", name), f"{views:,}", decibels(mean), decibels(worst)) for name, views, mean, worst in rows],
    )
    hint = "How like the full model the compressed one looks, as PSNR: the higher, the better."
    return [table, element("p", hint, class_="muted")]


def bytes_parts(attribute_bytes: dict[str, int], mb_per_million: float | None) -> list[Element]:
    """One bar, and its table with the same patterns."""
    parts = {name: count for name, count in attribute_bytes.items() if count}
    total = sum(parts.values())
    if not total:
        return []
    bar = [
        element("i", class_=f"pattern-{at % 7}", style=_BAR.format(100 * count / total))
        for at, count in enumerate(parts.values())
    ]
    rows = [
        element(
            "tr",
            element(
                "td", element("span", class_=f"swatch pattern-{at % 7}"), f" {ATTRIBUTES.get(name, visible(name, 40))}"
            ),
            element("td", size(count), class_="n"),
            element("td", f"{100 * count / total:.0f} %" if count >= 0.005 * total else "under 1 %", class_="n"),
        )
        for at, (name, count) in enumerate(parts.items())
    ]
    rows.append(element("tr", element("th", "All"), element("td", size(total), class_="n"), element("td")))
    if mb_per_million is not None:
        per_million = element("td", f"{mb_per_million:.1f} MB", class_="n")
        rows.append(element("tr", element("th", "By a million Gaussians"), per_million, element("td")))
    label = f"Bar of {size(total)}, divided by attribute as in the table below"
    return [
        element("div", *bar, class_="bytes", role="img", aria_label=label),
        _table([("Attribute", ""), ("Size", "n"), ("Share", "n")], rows),
    ]


def cost_parts(manifests: Sequence[StageManifest], photos: int, own: SoFar) -> list[Element]:
    """What the stages took and cost, against the estimate; of this one `own` is what is known of it."""
    if not manifests:
        return []
    estimates = estimate_costs(manifests[0].request.options.train, photos)
    machine, seconds, kept = own
    so_far = stage_cost(machine, cost_usd(machine, seconds), seconds, kept).total
    stages = [
        *((each.stage, each.instance_type, each.seconds, actual_cost(each).total) for each in manifests),
        (StageName.COMPRESS, machine, seconds, so_far),
    ]
    rows = [
        _row(
            element("th", STAGES[stage]),
            duration(seconds),
            dollars(usd),
            dollars(0.0 if machine == LOCAL else estimates[stage].total),
        )
        for stage, machine, seconds, usd in stages
    ]
    table = _table([("Stage", ""), ("Time", "n"), ("Cost", "n"), ("Estimate", "n")], rows)
    return [table, element("p", SO_FAR, class_="muted")]


def _row(first: Element, *figures: str) -> Element:
    """A row of a table: its first cell, and figures."""
    return element("tr", first, *(element("td", figure, class_="n") for figure in figures))


def _table(columns: Sequence[tuple[str, str]], rows: Sequence[Element]) -> Element:
    """Columns: heading and class."""
    head = element("tr", *(element("th", words, scope="col", class_=kind) for words, kind in columns))
    return element("table", element("thead", head), element("tbody", *rows))
