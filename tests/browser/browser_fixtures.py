"""Debian's Chromium on its software renderer. Without it the tests are skipped, and say so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from clients import HEIGHT, WIDTH
from playwright.sync_api import Browser, Page, sync_playwright
from waiting import PATIENCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SWITCHES = (
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU
    "--force-color-profile=srgb",
    "--disable-background-networking",
    "--no-sandbox",  # CI runs as root
)


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser. Playwright's synchronous interface allows one at a time in a process."""
    if not CHROMIUM:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES), timeout=PATIENCE * 1000)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1)
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    yield page
    context.close()
