"""The HTML page, opened from the disk as people will: it shows what our renderer shows, and obeys mouse and keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from clients import EYE, HEIGHT, TARGET, UP, WIDTH, Picture, made, ours, picture_psnr, wait_until_still
from playwright.sync_api import Browser, Page
from waiting import PATIENCE, until

from spaceport.progress import Silent
from spaceport.splats.formats import html
from spaceport.splats.sog.attributes.quality import FINEST
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.reader import read_sog
from spaceport.splats.sog.codec.writer import write_folder

TITLE = 'A <b>ball</b> & "floor"'
VIEW = html.FirstView((3.0, 0.5, 1.5), TARGET, UP)


@pytest.fixture(scope="module", params=[0, 3])
def files(request: pytest.FixtureRequest) -> dict[str, bytes]:
    return encode(made(request.param), EncoderSettings(FINEST), Silent()).files


@pytest.fixture
def url(files: dict[str, bytes], tmp_path: Path) -> str:
    html.write(tmp_path / "model.html", files, VIEW, TITLE, background=(0, 0, 0))
    return (tmp_path / "model.html").as_uri()


def show(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("#loading", state="hidden")
    page.add_style_tag(content="#name, #hint, #tools { visibility: hidden }")


def like(expected: Picture, least_db: float) -> Callable[[Picture], bool]:
    return lambda picture: picture_psnr(picture, expected) >= least_db


def unlike(before: Picture) -> Callable[[Picture], bool]:
    return lambda picture: picture_psnr(picture, before) < 30


def test_it_shows_what_we_show(page: Page, url: str, files: dict[str, bytes], tmp_path: Path) -> None:
    write_folder(tmp_path / "set", files)
    eye, target = (",".join(map(str, point)) for point in (EYE, TARGET))
    show(page, f"{url}#eye={eye}&target={target}")
    wait_until_still(page, like(ours(read_sog(tmp_path / "set")), 40))


@pytest.mark.parametrize("files", [0], indirect=True)
def test_it_draws_antialiased_models_so(page: Page, files: dict[str, bytes], tmp_path: Path) -> None:
    meta = json.loads(files["meta.json"]) | {"antialias": True}
    files = files | {"meta.json": json.dumps(meta).encode()}
    write_folder(tmp_path / "set", files)
    html.write(tmp_path / "m.html", files, html.FirstView(EYE, TARGET, UP), TITLE, background=(0, 0, 0))
    show(page, (tmp_path / "m.html").as_uri())
    decoded = read_sog(tmp_path / "set")
    assert decoded.antialiased
    shown = wait_until_still(page, like(ours(decoded), 40))
    assert picture_psnr(shown, ours(replace(decoded, antialiased=False))) < picture_psnr(shown, ours(decoded))


@pytest.mark.parametrize("files", [3], indirect=True)
def test_it_obeys_mouse_wheel_keys_and_buttons(page: Page, url: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    show(page, url)
    first = wait_until_still(page)
    assert page.title() == TITLE and page.locator("#name").text_content() == TITLE
    page.mouse.move(WIDTH / 2, HEIGHT / 2)
    page.mouse.down()
    page.mouse.move(WIDTH / 2 + 60, HEIGHT / 2 + 10)
    page.mouse.up()
    turned = wait_until_still(page, unlike(first))
    until(lambda: "#eye=" in page.evaluate("location.hash"))
    page.mouse.wheel(0, 300)
    further = wait_until_still(page, unlike(turned))
    page.keyboard.press("f")
    wait_until_still(page, unlike(further))
    page.keyboard.press("Home")
    wait_until_still(page, like(first, 50))
    until(lambda: "#eye=" not in page.evaluate("location.hash"))
    assert all(each.startswith(("file:", "blob:")) for each in asked)


@pytest.mark.parametrize("files", [0], indirect=True)
def test_fingers_turn_and_pinch(browser: Browser, url: str) -> None:
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, has_touch=True)
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    show(page, url)
    first = wait_until_still(page)
    touch = context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    fingers("touchStart", (100, 120))
    fingers("touchMove", (180, 120))
    fingers("touchEnd")
    turned = wait_until_still(page, unlike(first))
    fingers("touchStart", (140, 120), (180, 120))
    fingers("touchMove", (60, 120), (260, 120))
    fingers("touchEnd")
    wait_until_still(page, unlike(turned))
    context.close()


@pytest.mark.parametrize("files", [0], indirect=True)
def test_a_damaged_page_says_so(page: Page, files: dict[str, bytes], tmp_path: Path) -> None:
    html.write(tmp_path / "broken.html", files | {"quats.webp": files["quats.webp"][:40]}, VIEW, TITLE)
    page.goto((tmp_path / "broken.html").as_uri())
    page.wait_for_selector("text=The model cannot be shown")
