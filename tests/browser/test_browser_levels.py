"""Levels of detail in PlayCanvas' engine: which ones it takes, and that it fetches no more than it shows.

Engine 2.22 buys detail by the errors of the leaves, where it is told to; 2.23 goes by distance alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from clients import NPM, WEB, served
from playwright.sync_api import Page
from random_models import gaussians

from spaceport.progress import Silent
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.quality import STANDARD
from spaceport.splats.sog.lod.tree import LodSizes
from spaceport.splats.sog.lod.writer import write_streamed

SIDE = 64
TILE = SIDE * SIDE  # Gaussians of a tile of 2 x 2
CORNERS = [(x, y) for x in (-2, 0) for y in (-2, 0)]
PLAIN, DETAILED = 0, 1


def tiles(*kinds: int) -> Gaussians:
    """Four tiles of ground around the origin, seen alike from above: plain ones, of Gaussians that overlap, so that
    fewer show the same, and ones of black and white points, of which fewer do not."""
    random = np.random.default_rng(1)
    steps = (np.arange(SIDE) + 0.5) * 2 / SIDE
    cell = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    means = np.concatenate([cell + corner for corner in CORNERS])
    plain, detailed = np.full(TILE, 0.3), random.choice([-1.7, 1.7], TILE)
    colours = np.concatenate([detailed if kind == DETAILED else plain for kind in kinds])
    widths = np.repeat([0.014 if kind == DETAILED else 0.06 for kind in kinds], TILE)
    count = len(means)
    return gaussians(
        means=np.column_stack([means, np.zeros(count)]),
        quats=np.tile([1.0, 0, 0, 0], (count, 1)),
        scales=np.log(np.column_stack([widths, widths, np.full(count, 0.002)])),
        opacities=np.full(count, 5.0),
        sh0=np.repeat(colours, 3).reshape(count, 1, 3),
        shN=np.zeros((count, 0, 3)),
    )


SIZES = LodSizes(smallest_leaf=TILE, largest_leaf=TILE, file=1)  # a leaf a tile, and a file a leaf and level
SCENES = {"one": (PLAIN, PLAIN, PLAIN, DETAILED), "other": (DETAILED, PLAIN, PLAIN, PLAIN)}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`SCENES`, and `one` again without its errors."""
    folder = tmp_path_factory.mktemp("levels")
    for name, kinds in SCENES.items():
        write_streamed(folder / name, tiles(*kinds), STANDARD, Silent(), sizes=SIZES)
    meta = json.loads((folder / "one/lod-meta.json").read_text()) | {"lodErrors": False}
    (folder / "one/counts").mkdir()
    meta["filenames"] = [f"../{name}" for name in meta["filenames"]]
    (folder / "one/counts/lod-meta.json").write_text(json.dumps(meta))
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[str]:
    with served(models) as address:
        yield address


def streamed(page: Page, server: str, model: str, mode: str, budget: int) -> tuple[list[int], dict[str, Any]]:
    """The levels of the leaves that SuperSplat's viewer shows from above, and how it chose them."""
    camera = json.dumps({"position": [0, 0, -6], "target": [0, 0, 0], "fov": 50})
    page.goto(
        f"{server}/pages/supersplat.html?model=/models/{model}/lod-meta.json&mode={mode}&budget={budget}&camera={quote(camera)}"
    )
    page.wait_for_function("document.title === 'ready'")
    return page.evaluate("levels"), page.evaluate("choice")


def leaves_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "lods" in node:
        yield node
    for child in node.get("children", []):
        yield from leaves_of(child)


supersplat = pytest.mark.skipif(
    not (WEB / "@playcanvas/supersplat-viewer").is_dir(), reason="needs @playcanvas/supersplat-viewer: make web"
)


COARSE, FINE = 2, 0
BUDGET = 3 * TILE // 4 + TILE + TILE // 5
"""Gaussians: for one tile at its finest, all others at a quarter, and the engine's rounding up to rows of a texture."""


@supersplat
@pytest.mark.parametrize("model", ["one", pytest.param("other", marks=pytest.mark.slow)])
def test_the_engine_buys_detail_where_the_errors_are(page: Page, server: str, models: Path, model: str) -> None:
    leaves = list(leaves_of(json.loads((models / model / "lod-meta.json").read_text())["tree"]))
    detailed = int(np.argmax([leaf["errors"][-1] for leaf in leaves]))
    levels, choice = streamed(page, server, model, "error", BUDGET)
    assert choice == {"source": "file", "mode": "error"}
    assert levels == [FINE if at == detailed else COARSE for at in range(len(CORNERS))]


@pytest.mark.slow
@supersplat
@pytest.mark.parametrize(("model", "mode", "source"), [("one/counts", "error", "derived"), ("one", "distance", "file")])
def test_without_errors_it_does_not(page: Page, server: str, models: Path, model: str, mode: str, source: str) -> None:
    """By numbers of Gaussians, or by distance, all tiles are the same to it."""
    levels, choice = streamed(page, server, model, mode, BUDGET)
    assert choice == {"source": source, "mode": mode}
    assert FINE not in levels


@pytest.mark.skipif(not (NPM / "playcanvas").is_dir(), reason="needs playcanvas in .venv/npm: make .venv/npm/.ready")
def test_the_engine_of_today_fetches_each_file_once_and_no_level_that_it_does_not_show(
    page: Page, server: str, models: Path
) -> None:
    meta = json.loads((models / "one/lod-meta.json").read_text())
    requests: Counter[str] = Counter()
    page.on("request", lambda request: requests.update([request.url.partition("/models/one/")[2]]))
    view = quote(json.dumps({"pose": [1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0.5, 0.5, -1, 1], "fov": 50}))
    page.goto(f"{server}/pages/playcanvas.html?model=/models/one/lod-meta.json&budget={BUDGET}&camera={view}")
    page.wait_for_function("document.title === 'ready'")
    page.wait_for_timeout(500)
    del requests[""]
    assert requests and set(requests.values()) == {1}, requests
    sets = {name for name in meta["filenames"] if name in requests}
    shown = [
        min(level for level in range(4) if meta["filenames"][leaf["lods"][str(level)]["file"]] in sets)
        for leaf in leaves_of(meta["tree"])
    ]
    assert min(shown) < max(shown), "near ones are finer"
    counts = [TILE >> level for level in shown]
    assert sum(counts) <= BUDGET
