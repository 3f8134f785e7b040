"""The report pages in Chromium: nothing runs out of a phone, legends stay legible, the whole one needs nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from compress_reports import COMPRESSED, OWN
from PIL import Image
from playwright.sync_api import Browser
from waiting import PATIENCE

from services.compress.report_page.inputs import Earlier
from services.compress.report_page.page import build_page as whole_page
from services.sfm.report.page import build_page
from services.sfm.report.plan_drawing import PlanDrawing
from spaceport.pipeline.reports.sfm import CameraReport, SfmReport

REPORT = Path(__file__).parents[1] / "data/sfm_reports/control_points.json"
LENS = CameraReport(
    model="OPENCV", width=4000, height=3000, params=[], name="A camera of a long name", photos=12, focal_source="exif",
    expected_focal_px=2222.0, focal_px=2340.0, focal_std=0.004, reason="12 photos and 5,434 observations determine it",
)  # fmt: skip

LINES = """cells => cells.map(cell => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    return new Set([...text.getClientRects()].map(line => Math.round(line.top))).size;
})"""
"""On how many lines each cell's text stands."""


def page_html() -> str:
    report = SfmReport.model_validate_json(REPORT.read_text()).model_copy(update={"cameras": [LENS]})
    drawing = PlanDrawing("above", np.array([[0.0, 0.0], [40.0, 30.0]]), metric=True)
    drawing.arrow(np.array([10.0, 10.0]), np.array([3.0, 1.0]), "#222222", "a.jpg: 3 cm off its position")
    drawing.add_arrow_key("#222222", 100.0)
    drawing.add_legend("#222222", "from a photo's position to where the model has it, 100 times as long as it is", "→")
    body = build_page(report, drawing, drawing)
    return f'<!doctype html><meta name="viewport" content="width=device-width"><body style="margin:12px">{body}'


@pytest.mark.parametrize("width", [390, 1000])
def test_the_report_fits_phone_and_desk(browser: Browser, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    page.set_content(page_html())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    size = "e => parseFloat(getComputedStyle(e).fontSize)"
    assert page.locator(".legend li").first.evaluate(size) >= 12
    shrink = page.locator("figure svg").first.evaluate("e => e.getBoundingClientRect().width / e.viewBox.baseVal.width")
    assert shrink * page.locator("figure svg text").first.evaluate(size) >= 10
    context.close()


@pytest.mark.parametrize("width", [320, 1000])
def test_the_page_of_the_whole_job_needs_nothing_else(browser: Browser, width: int, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("request", lambda request: heard.append(request.url) if not request.url.startswith("data:") else None)
    out = io.BytesIO()
    Image.new("RGB", (1200, 300), (9, 99, 9)).save(out, "JPEG")
    report = SfmReport.model_validate_json(REPORT.read_text())
    tiles = Image.new("RGB", (1280, 96), (99, 9, 9))
    tiles.save(tmp_path / "thumbs-0.webp")
    photos = [photo.model_copy(update={"thumb": at}) for at, photo in enumerate(report.photos)]
    earlier = Earlier(sfm=report.model_copy(update={"photos": photos}), thumbs=[tmp_path / "thumbs-0.webp"])
    path = tmp_path / "report.html"
    path.write_bytes(whole_page(earlier, COMPRESSED, out.getvalue(), OWN))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert "data:image/webp" in page.locator(".thumb.s0").first.evaluate("e => getComputedStyle(e).backgroundImage")
    assert max(page.locator("td.n, th.n").evaluate_all(LINES)) == 1, "figures stay with their units, headings whole"
    assert heard == [path.as_uri()]
    context.close()
