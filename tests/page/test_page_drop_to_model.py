"""The whole way, as people go it: photos dropped, the job watched, the model looked at, measured and shared."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_length import METRES, poses_of_ends
from page_cases import Watched
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from surveys import shared_survey
from upload_cases import drop
from waiting import until

from spaceport.demo import Survey, load_truth
from spaceport.web import is_built

LONGEST_SECONDS = 1500.0
"""A job of 30 small photos takes a minute on two cores that do nothing else."""


@pytest.fixture
def link(tmp_path: Path) -> Iterator[str]:
    """What `spaceport up` prints to open in a browser; it runs until Ctrl-C."""
    if not is_built():
        pytest.skip("needs the page: make web")
    command = [sys.executable, "-m", "spaceport", "up", "--state", str(tmp_path / "state")]
    printed = tmp_path / "up.txt"
    with printed.open("w") as output:
        environment = os.environ | {"COLUMNS": "300"}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        until(lambda: process.poll() is not None or "#code=" in printed.read_text(), printed.read_text)
        yield next(word for word in printed.read_text().split() if "#code=" in word)
    finally:
        process.terminate()
        process.wait()


def photos_of(survey: Survey, folder: Path) -> list[Path]:
    with zipfile.ZipFile(survey.zip_path) as archive:
        archive.extractall(folder)
    return sorted(folder.rglob("*.JPG"))


def colours(page: Page) -> int:
    """How many different ones the viewer's picture has."""
    png = page.locator("splat-view canvas").screenshot()
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.int64)
    return len(np.unique(picture.reshape(-1, 3), axis=0))


def make_model(page: Page, iterations: int) -> None:
    page.get_by_label("draft").check()
    page.get_by_text("All options").click()
    page.get_by_label("Most iterations").fill(str(iterations))
    page.get_by_role("button", name="Make the model").click()


def watch(page: Page) -> None:
    """The job to its end: its line never goes back."""
    line = page.get_by_role("progressbar", name="Progress")
    expect(page.get_by_role("list", name="Stages")).to_be_visible()
    shown: list[int] = []

    def has_ended() -> bool:
        if line.count():
            shown.append(int(line.get_attribute("aria-valuenow") or 0))
        return page.locator("p.sentence").inner_text() == "Your compressed 3D model is ready!"

    until(has_ended, lambda: page.locator("main").inner_text()[:500], seconds=LONGEST_SECONDS)
    assert shown == sorted(shown)
    assert len(set(shown)) > 4


def measure(page: Page, ends: list[dict[str, Any]]) -> float:
    """Metres between what is in the middle of two views, by the tape and the keyboard."""
    view = page.locator("splat-view")
    page.get_by_role("button", name="Tape").click()
    for number, pose in enumerate(ends, 1):
        view.evaluate("(view, pose) => view.standAt(pose)", pose)
        until(partial(is_in_the_middle, view, pose["target"]), lambda: "it does not stand there")
        page.get_by_role("application").focus()
        page.keyboard.press("Enter")
        expect(view.locator(".drawing circle")).to_have_count(number)
    expect(view.get_by_role("status")).to_contain_text("m long")
    return float(view.evaluate("view => view.measured.length.value"))


def is_in_the_middle(view: Locator, point: list[float]) -> bool:
    box, place = view.bounding_box(), view.evaluate("(view, point) => view.project(point)", point)
    return bool(box and place and abs(place[0] - box["width"] / 2) < 1.5 and abs(place[1] - box["height"] / 2) < 1.5)


def share(page: Page) -> str:
    """The address of a new link for looking."""
    page.get_by_role("tab", name="Share").click()
    page.get_by_role("button", name="Make a link").click()
    return page.get_by_label("Link", exact=True).input_value()


def withdraw(page: Page) -> None:
    page.get_by_role("listitem").get_by_role("button", name="Withdraw").click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("listitem").get_by_role("button", name="Withdraw")).to_have_count(0)


def sees_model(page: Page) -> None:
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()
    until(lambda: colours(page) > 5000, lambda: f"the picture has {colours(page)} colours")


@pytest.mark.slow
@pytest.mark.timeout(2 * LONGEST_SECONDS)
def test_photos_are_dropped_and_become_a_model_that_is_measured_and_shared(
    page: Page, browser: Browser, link: str, tmp_path: Path
) -> None:
    survey = shared_survey(30, 640, 480)
    watched = Watched.of(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(reduced_motion="reduce")  # without a GPU the flight leaves no time for anything else
    page.goto(link)
    drop(page, *photos_of(survey, tmp_path))
    expect(page.get_by_text("30 photos, ")).to_be_visible()
    expect(page.get_by_role("img", name="30 photos over")).to_be_visible()
    make_model(page, 300)
    watch(page)
    sees_model(page)
    cameras = next((tmp_path / "state").rglob("gaussian/cameras.json"))
    ends = poses_of_ends(load_truth(survey.truth_path), cameras)
    assert measure(page, ends) == pytest.approx(METRES, rel=0.02)
    address = share(page)
    with browser.new_context(reduced_motion="reduce") as context:
        visit = context.new_page()
        visit.goto(address)
        sees_model(visit)
        withdraw(page)
        visit.reload()
        expect(visit.get_by_text("This link no longer works. Ask whoever sent it.")).to_be_visible()
    assert watched.complaints == []
