"""The report page of structure from motion in Chromium: nothing runs out of a phone, and legends stay legible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser
from waiting import PATIENCE

from services.sfm.report.page import build_page
from services.sfm.report.plan_drawing import PlanDrawing
from spaceport.pipeline.reports.sfm import CameraReport, SfmReport

REPORT = Path(__file__).parents[1] / "data/sfm_reports/control_points.json"
LENS = CameraReport(
    model="OPENCV", width=4000, height=3000, params=[], name="A camera of a long name", photos=12, focal_source="exif",
    expected_focal_px=2222.0, focal_px=2340.0, focal_std=0.004, reason="12 photos and 5,434 observations determine it",
)  # fmt: skip


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
