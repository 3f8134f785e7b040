"""A model whose file says that z is up stands upright wherever `spaceport convert` takes it: as a page of its own, as
GLB in PlayCanvas, as SPZ in Spark. Both engines take y for up.

Decided by numbers: a screenshot must be far more like our picture of the model than like the same picture turned over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clients import FIELD, HEIGHT, NPM, WIDTH, camera, made, opened, picture_psnr, served, wait_until_still
from playwright.sync_api import Page

from services.compress.convert import ConvertOptions, convert
from services.compress.proving.views import look_at
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera
from spaceport.splats.formats.table import read_model
from spaceport.splats.frame import Z_UP
from spaceport.splats.metrics import Array
from spaceport.splats.render import render
from spaceport.splats.sog.attributes.quality import FINEST
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.writer import write_bundle

pytestmark = pytest.mark.slow  # two engines on a software renderer
BACKGROUND = (0.05, 0.06, 0.07)  # of the page
Y_UP = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
"""Where an engine whose y is up has what lies at a place whose z is up."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SOG that says that z is up, and what it was converted to."""
    folder = tmp_path_factory.mktemp("models")
    files = encode(replace(made(), frame=Z_UP), EncoderSettings(FINEST), Silent()).files
    write_bundle(folder / "model.sog", files)
    for name in ("model.html", "model.glb", "model.spz"):
        convert(folder / "model.sog", folder / name, ConvertOptions(), Silent())
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with served(folder) as address:
        yield address


def assert_upright(
    shown: Array, folder: Path, view: Camera, background: tuple[float, float, float] = (0, 0, 0)
) -> None:
    """`view` has z up."""
    model, _ = read_model(folder / "model.sog")
    expected = np.clip(render(model, view, background=background), 0, 1).astype(np.float64)
    upright, over = picture_psnr(shown, expected), picture_psnr(shown, expected[::-1, ::-1])
    assert upright >= 30 and upright >= over + 10, f"{upright:.1f} dB upright, {over:.1f} dB turned over"


def test_a_page_is_upright(page: Page, folder: Path) -> None:
    page.goto((folder / "model.html").as_uri())
    page.wait_for_selector("#loading", state="hidden")
    page.add_style_tag(content="#name, #hint, #tools { visibility: hidden }")
    eye, target = (first_view(folder / "model.html", name) for name in ("eye", "target"))
    focal = HEIGHT / 2 / np.tan(np.radians(FIELD) / 2)
    view = look_at(eye, target, np.array([0.0, 0.0, 1.0]), (WIDTH, HEIGHT), focal)
    assert_upright(wait_until_still(page), folder, view, BACKGROUND)


def first_view(path: Path, name: str) -> Array:
    numbers = re.search(rf'"{name}":(\[[^]]+])', path.read_text())
    assert numbers
    return np.array(json.loads(numbers[1]))


@pytest.mark.skipif(
    not all((NPM / name).is_dir() for name in ("playcanvas", "three", "@sparkjsdev/spark")),
    reason="needs playcanvas, three and @sparkjsdev/spark in .venv/npm: make .venv/npm/.ready",
)
@pytest.mark.parametrize(("client", "name"), [("playcanvas", "model.glb"), ("spark", "model.spz")])
def test_a_file_is_upright_where_y_is_up(page: Page, server: str, folder: Path, client: str, name: str) -> None:
    there = replace(camera(), world_to_camera=camera().world_to_camera @ np.linalg.inv(Y_UP))
    assert_upright(opened(page, server, client, name, view=there), folder, camera())
