"""A finished job's model in the page's viewer: upright, quiet under the CSP, with controls that have names."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from finished_jobs import add_finished_job
from page_cases import Watched, link_of
from page_models import model_sog
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from waiting import until

from spaceport.local.cloud import EmbeddedCloud

JOB = "tower-0123456789"


@pytest.fixture(scope="session")
def finished(cloud: EmbeddedCloud) -> str:
    """The id of a job that has ended with a model."""
    return add_finished_job(cloud, JOB, "Tower", {"compressed/model.sog": model_sog()})


def opened(page: Page, cloud: EmbeddedCloud, job_id: str) -> None:
    """By its address: jobs of other tests may have moved it off the list's first page."""
    page.goto(link_of(cloud).replace("#", f"?job={job_id}#"))
    expect(page.get_by_role("heading", name="Tower")).to_be_visible()


def rows_of_colours(page: Page) -> tuple[float, float]:
    """The mean row of what is red and of what is blue, in the viewer's picture."""
    png = page.locator("splat-view canvas").screenshot()
    picture: npt.NDArray[np.int64] = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.int64)
    red = np.argwhere(picture[..., 0] - picture[..., 2] > 60)
    blue = np.argwhere(picture[..., 2] - picture[..., 0] > 60)
    return (red[:, 0].mean(), blue[:, 0].mean()) if len(red) > 99 and len(blue) > 99 else (np.nan, np.nan)


def test_the_model_stands_upright_and_can_be_turned_over(page: Page, cloud: EmbeddedCloud, finished: str) -> None:
    watched = Watched.of(page)
    page.set_viewport_size({"width": 800, "height": 700})
    opened(page, cloud, finished)
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()

    def is_red_above() -> bool:
        red, blue = rows_of_colours(page)
        return bool(red < blue)

    until(is_red_above, lambda: f"red and blue are in rows {rows_of_colours(page)}")
    canvas = page.get_by_role("application", name="3D model of Tower")
    canvas.focus()
    page.keyboard.press("Escape")
    expect(canvas).not_to_be_focused()
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture").click()
    assert Image.open(download.value.path()).size == (1920, 1080)
    expect(page.get_by_role("button", name="Orbit")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Fly").click()
    expect(page.get_by_role("button", name="Fly")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Turn over").click()

    def is_blue_above() -> bool:
        red, blue = rows_of_colours(page)
        return bool(blue < red)

    until(is_blue_above, lambda: f"red and blue are in rows {rows_of_colours(page)}")
    assert watched.complaints == []


def test_engine_and_model_are_fetched_while_the_job_is_asked_for(
    page: Page, cloud: EmbeddedCloud, finished: str
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**/jobs/{finished}", hold)
    with page.expect_request("**/assets/open-*.js"), page.expect_request(f"**/jobs/{finished}/model") as asked:
        page.goto(link_of(cloud).replace("#", f"?job={finished}#"))
    again: list[str] = []
    page.on("request", lambda request: again.append(request.url))
    assert len(held) <= 1
    page.unroute(f"**/jobs/{finished}")
    for route in held:
        route.continue_()
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()
    assert asked.value.url not in again


def test_the_engine_is_fetched_before_anybody_is_signed_in(page: Page, cloud: EmbeddedCloud, finished: str) -> None:
    page.route("**/sign-in", lambda _: None)  # no answer, ever
    with page.expect_request("**/assets/open-*.js"), page.expect_request("**/sign-in"):
        page.goto(link_of(cloud).replace("#", f"?job={finished}#"))


def test_the_engine_starts_while_the_model_is_under_way(page: Page, cloud: EmbeddedCloud, finished: str) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/compressed/model.sog?*", hold)
    page.goto(link_of(cloud).replace("#", f"?job={finished}#"))
    canvas = page.locator("splat-view canvas")
    expect(canvas).to_be_attached()
    expect(page.locator("splat-view [role=status]")).to_be_visible()
    assert len(held) == 1, "nor is the model fetched twice"
    full = page.locator("splat-view").evaluate("(view) => view.clientWidth")

    def width() -> int:
        return int(canvas.evaluate("(canvas) => canvas.width"))

    until(lambda: width() == -(-full // 2), lambda: f"the first picture is {width()} of {full} pixels wide")
    held[0].continue_()
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()
    until(lambda: width() == full, lambda: f"the canvas is {width()} of {full} pixels wide")
    assert len(held) == 1


@pytest.mark.parametrize(("width", "height", "most"), [(1280, 800, 220), (390, 844, 300)])
def test_the_model_fills_what_head_and_tabs_leave_of_the_screen(
    page: Page, cloud: EmbeddedCloud, finished: str, width: int, height: int, most: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(link_of(cloud).replace("#", f"?job={finished}#"))
    expect(page.locator("splat-view")).to_be_visible()

    def fills() -> bool:
        box = page.locator("splat-view").bounding_box()
        return box is not None and box["y"] < most and abs(box["y"] + box["height"] - height) <= 1

    until(fills, lambda: page.locator("splat-view").bounding_box())


def test_a_model_that_cannot_be_loaded_is_a_sentence_and_can_be_tried_again(
    page: Page, cloud: EmbeddedCloud, finished: str
) -> None:
    refuse = True

    def model(route: Route) -> None:
        if refuse:
            route.fulfill(status=404, body="gone")
        else:
            route.continue_()

    page.route("**/compressed/model.sog?*", model)
    opened(page, cloud, finished)
    expect(page.get_by_text("The model could not be loaded.")).to_be_visible()
    refuse = False
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()


def test_tabs_are_gone_along_by_keyboard_and_an_address_leads_to_each(
    page: Page, cloud: EmbeddedCloud, finished: str
) -> None:
    page.goto(link_of(cloud))
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    opened(page, cloud, finished)
    look, files = page.get_by_role("tab", name="Look"), page.get_by_role("tab", name="Files")
    expect(look).to_have_attribute("aria-selected", "true")
    look.press("ArrowRight")
    expect(page.get_by_role("tab", name="Report")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Share")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowLeft")
    expect(files).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Files").get_by_role("link")).to_have_count(1)
    expect(page.locator("splat-view")).to_be_hidden()
    assert page.url.endswith(f"?job={finished}&tab=files")
    page.reload()
    expect(files).to_have_attribute("aria-selected", "true")
    expect(page.locator("splat-view")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()


@pytest.mark.slow
def test_without_webgl_it_says_so_and_the_files_are_there(
    cloud: EmbeddedCloud, finished: str, browser: Browser
) -> None:
    without = browser.browser_type.launch(
        executable_path="/usr/bin/chromium", args=["--disable-3d-apis", "--no-sandbox"]
    )
    try:
        page = without.new_page()
        opened(page, cloud, finished)
        expect(page.get_by_text("neither WebGL nor WebGPU")).to_be_visible()
        page.get_by_role("tab", name="Files").click()
        expect(page.get_by_role("link", name="compressed model (SOG)")).to_be_visible()
    finally:
        without.close()
