"""axe finds nothing to mend in any state of the page, light and dark, on a desktop and on a narrow phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_cases import Watched
from page_scene import Scene, add_jobs
from page_states import STATES
from playwright.sync_api import Browser, Page
from upload_cases import WEB, made
from waiting import PATIENCE, until

from spaceport.local.cloud import EmbeddedCloud

AXE = WEB / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
"""All that the second theme can change."""
QUICK = {"key", "key-refused", "job-retry", "look", "report", "shared"}
"""In the normal run; the others are slow together."""
NARROW = (390, 320)
"""Phones; the second is also what is left of 1280 pixels at 400 %."""


@pytest.fixture(scope="module")
def scene(
    cloud: EmbeddedCloud, browser: Browser, finished: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    add_jobs(cloud)
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE * 1000)
    photos = made(tmp_path_factory.mktemp("photos"), 70_001, 20_002)
    yield Scene(context.new_page(), cloud, photos, finished)
    context.close()


def faults(page: Page, options: dict[str, Any]) -> list[str]:
    """What axe finds: the rule, and the elements."""
    if not AXE.is_file():
        pytest.skip("needs axe-core: make web")
    if not page.evaluate("'axe' in window"):
        page.evaluate(Path(AXE).read_text())
    result = page.evaluate("options => axe.run(document, {resultTypes: ['violations'], ...options})", options)
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


def beside(page: Page) -> list[str]:
    """What sticks out to the right of the screen."""
    found: list[str] = page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('*')]
            .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
            .map(each => each.outerHTML.slice(0, 150)).slice(0, 5)"""
    )
    return found


def broken(page: Page) -> list[str]:
    """Words of headers, buttons and labels that go on in the next line."""
    words: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('th, button, label, legend, h2')].flatMap(element => {
            const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), words = [];
            for (let text; (text = walker.nextNode());) for (const word of text.data.matchAll(/[^\\s-]+/g)) {
                const range = document.createRange();
                range.setStart(text, word.index);
                range.setEnd(text, word.index + word[0].length);
                if (new Set([...range.getClientRects()].map(({top}) => Math.round(top))).size > 1) words.push(word[0]);
            }
            return words;
        })"""
    )
    return words


def test_axe_is_heard(scene: Scene) -> None:
    scene.home()
    scene.page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    assert [fault.partition(":")[0] for fault in faults(scene.page, {})] == ["image-alt"]


@pytest.mark.parametrize(
    "state", [state if state in QUICK else pytest.param(state, marks=pytest.mark.slow) for state in STATES]
)
def test_nothing_is_to_be_mended(scene: Scene, state: str) -> None:
    page = scene.page
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")
    watched = Watched.of(page)
    STATES[state](scene)
    assert faults(page, {"runOnly": {"type": "tag", "values": RULES}}) == []
    page.emulate_media(color_scheme="dark")
    assert faults(page, CONTRAST) == []
    for width in NARROW:
        page.set_viewport_size({"width": width, "height": 700})
        until(lambda: not beside(page), lambda: beside(page))  # what follows the window's size does so a frame later
        until(lambda: not broken(page), lambda: broken(page))
    assert watched.complaints == []
