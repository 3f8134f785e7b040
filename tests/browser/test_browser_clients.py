"""PlayCanvas and Spark, as npm has them, open what we write and show what our renderer shows: 35 dB or more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import NPM, made, opened, ours, picture_psnr, served
from playwright.sync_api import Page

from spaceport.progress import Silent
from spaceport.splats.formats import gltf
from spaceport.splats.formats.table import format_of, read_model
from spaceport.splats.sog.attributes.quality import FINEST
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.writer import write_bundle, write_folder
from spaceport.splats.sog.lod.reader import read_level
from spaceport.splats.sog.lod.tree import LodSizes
from spaceport.splats.sog.lod.writer import write_streamed

pytestmark = pytest.mark.skipif(
    not all((NPM / name).is_dir() for name in ("playcanvas", "three", "@sparkjsdev/spark")),
    reason="needs playcanvas, three and @sparkjsdev/spark in .venv/npm: make .venv/npm/.ready",
)
ENOUGH_DB = 35.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model in every format."""
    folder = tmp_path_factory.mktemp("models")
    files = encode(made(), EncoderSettings(FINEST), Silent()).files
    write_bundle(folder / "model.sog", files)
    write_folder(folder / "set", files)
    for name in ("model.spz", "model.splat", "model.compressed.ply", "model.ply"):
        write = format_of(folder / name).write
        assert write is not None
        write(folder / name, made())
    gltf.write(folder / "model.glb", made(), up=(0, 1, 0))
    sizes = LodSizes(smallest_leaf=50, largest_leaf=700, file=1500)  # several places and files, as in a large scene
    write_streamed(folder / "lod", made(), FINEST, Silent(), sizes=sizes)
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[str]:
    with served(models) as address:
        yield address


@pytest.mark.parametrize(
    ("client", "model"),
    [
        ("playcanvas", "model.sog"),
        ("playcanvas", "set/meta.json"),
        ("playcanvas", "model.compressed.ply"),
        ("spark", "model.sog"),  # Spark 2.2 opens no unbundled sets
        ("spark", "model.spz"),
        ("spark", "model.splat"),
    ],
)
def test_a_client_shows_what_we_show(page: Page, server: str, models: Path, client: str, model: str) -> None:
    decoded, _ = read_model(models / model)
    assert picture_psnr(opened(page, server, client, model), ours(decoded)) >= ENOUGH_DB


def test_playcanvas_shows_our_gltf(page: Page, server: str) -> None:
    assert picture_psnr(opened(page, server, "playcanvas", "model.glb"), ours(made())) >= ENOUGH_DB


@pytest.mark.parametrize("level", [0, 1, 3])
def test_playcanvas_streams_each_level_of_detail(page: Page, server: str, models: Path, level: int) -> None:
    meta = json.loads((models / "lod/lod-meta.json").read_text())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    shown = opened(page, server, "playcanvas", "lod/lod-meta.json", level)
    assert picture_psnr(shown, ours(read_level(models / "lod", level))) >= ENOUGH_DB
    sets = {"/".join(url.split("/")[-2:]) for url in asked if url.endswith("/meta.json")}
    assert sets == {name for name in meta["filenames"] if name.startswith(f"{level}_")}
    if level == 0:
        assert len(sets) > 1 and picture_psnr(shown, ours(made())) >= ENOUGH_DB


def test_the_comparison_notices_missing_sh_bands(page: Page, server: str, models: Path) -> None:
    flat, _ = read_model(models / "model.splat")
    assert picture_psnr(opened(page, server, "spark", "model.sog"), ours(flat)) < ENOUGH_DB - 5
