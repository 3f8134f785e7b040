"""Puts `report.html` together: findings, plan, photos, strips, bytes, costs; whatever is missing is left out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar
from xml.etree.ElementTree import Element

from services.compress.report_page import plan, tables
from services.compress.report_page.inputs import Earlier
from services.compress.report_page.markup import Content, document, element
from services.compress.report_page.pictures import sheet_addresses, strip_address
from services.compress.report_page.tables import SoFar
from services.compress.report_page.words import LEVELS, decibels, findings
from spaceport.pipeline.costs import Kept
from spaceport.pipeline.pricing import instance_type
from spaceport.pipeline.reports.compress import CompressReport
from spaceport.pipeline.text import visible

UNNAMED: Final = "3D model"
STRIP: Final = (
    "From left to right: the photo, the model from the same place, and their difference four times as strong. Black is"
    " the same."
)

Made = TypeVar("Made")

log = logging.getLogger(__name__)


def build_page(earlier: Earlier, report: CompressReport, preview: bytes, own: SoFar) -> bytes:
    """The page, in UTF-8.

    Args:
        earlier: what the stages before have left.
        report: of this stage.
        preview: the JPEG of original, decoded and their difference.
        own: what this stage has taken so far.
    """
    sfm = earlier.sfm
    sheets = _made(lambda: sheet_addresses(earlier.thumbs)) or []
    style = (files("services.compress.report_page") / "page.css").read_text("utf-8")
    style += "".join(f".s{number}{{background-image:url({address})}}\n" for number, address in enumerate(sheets))
    manifests = earlier.manifests
    title = visible(manifests[0].request.name, 200) if manifests else UNNAMED
    begun = manifests[0].request.received_at.strftime("%d %B %Y").lstrip("0") if manifests else None
    figure = plan.draw(plan.marks_of(sfm, earlier), metric=sfm.georeference.metric) if sfm else None
    photos = len(sfm.photos) if sfm else 0
    return document(
        title,
        style,
        element("h1", title),
        element("p", begun, class_="muted") if begun else None,
        _section("Findings", _findings(earlier, report)),
        _section("Where the photos were taken", figure),
        _section("Photos", *(tables.photo_table(sfm, earlier, len(sheets)) if sfm and sfm.photos else ())),
        _section("Photo, model, difference", *_strips(earlier, report, preview)),
        _section("Where the bytes go", *tables.bytes_parts(report.attribute_bytes, report.mb_per_million)),
        _section("Time and cost", *tables.cost_parts(manifests, photos, own)),
    )


def _section(title: str, *content: Content) -> Element | None:
    shown = [part for part in content if part is not None]
    return element("section", element("h2", title), *shown) if shown else None


def _findings(earlier: Earlier, report: CompressReport) -> Element:
    items = []
    for finding in findings(earlier, report):
        mark, words = LEVELS[finding.level]
        label = element("span", mark, role="img", aria_label=words, class_="mark")
        items.append(element("li", label, element("span", finding.sentence), class_=finding.level.value))
    return element("ul", *items, class_="findings")


def _strips(earlier: Earlier, report: CompressReport, preview: bytes) -> list[Element]:
    parts: list[Element | None] = []
    source = earlier.preview
    if source:
        parts.append(_strip(_made(lambda: strip_address(source)), "Rows of photo, model and difference", STRIP))
    if earlier.train:
        parts.append(tables.view_table(earlier.train))
    caption = (
        f"The full model, the compressed one, and their difference ten times as strong: {decibels(report.sog_psnr)} in"
        " the mean."
    )
    label = "Full model, compressed model, difference"
    parts.append(_strip(_made(lambda: strip_address(preview)), label, caption))
    parts.extend(tables.proof_parts(report))
    return [part for part in parts if part is not None]


def _strip(address: str | None, label: str, caption: str) -> Element | None:
    if address is None:
        return None
    return element("figure", element("img", src=address, alt=label), element("figcaption", caption), class_="strip")


def _made(make: Callable[[], Made]) -> Made | None:
    """None for a picture that cannot be read: the page goes without it."""
    try:
        return make()
    except Exception as error:  # what decoders raise on broken files
        log.warning("the report goes without a picture: %s", type(error).__name__)
        return None


def write_page(path: Path, earlier: Earlier, report: CompressReport, preview: bytes, seconds: float) -> None:
    """Write the page; where that fails, go without it, since the model is what people wait for.

    Args:
        path: in the folder of all that this stage keeps, which is there but for the page.
        seconds: how long this stage has been at work.
    """
    try:
        sizes = [file.stat().st_size for file in path.parent.rglob("*") if file.is_file()]
        own = SoFar(instance_type(), seconds, Kept(len(sizes), 0, sum(sizes)))
        page = build_page(earlier, report, preview, own)
    except Exception:
        log.exception("there is no report page")
        return
    path.write_bytes(page)
