"""Streamed SOG: our own reader and PlayCanvas' tool read what we write; coarse levels look like the model from afar."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_models import gaussians

from spaceport.pipeline.errors import Stopped
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.formats.table import STREAMED_SOG, read_model
from spaceport.splats.metrics import psnr
from spaceport.splats.model import Gaussians
from spaceport.splats.render import render
from spaceport.splats.sog.attributes.quality import STANDARD
from spaceport.splats.sog.codec.errors import BrokenSog
from spaceport.splats.sog.lod import merge, writer
from spaceport.splats.sog.lod.reader import check_streamed, read_level
from spaceport.splats.sog.lod.tree import LOD_LEVELS, LodSizes

TOOL = Path(__file__).parents[2] / ".venv/npm/node_modules/@playcanvas/splat-transform/bin/cli.mjs"
NODE = shutil.which("node")


def field(count: int, width: float = 60.0, coefficients: int = 3) -> Gaussians:
    """Rolling ground with patches of colour: flat Gaussians that cover it."""
    random = np.random.default_rng(0)
    ground = random.uniform(-width / 2, width / 2, (count, 2))
    height = np.sin(ground[:, :1] / 5) * np.cos(ground[:, 1:] / 7)
    sigma = np.log(0.7 * width / np.sqrt(count))
    waves = np.sin(ground @ random.normal(0, 0.4, (2, 3)))
    return gaussians(
        means=np.concatenate([ground, height], axis=1),
        quats=np.tile([1.0, 0, 0, 0], (count, 1)) + random.normal(0, 0.05, (count, 4)),
        scales=np.stack([np.full(count, sigma), np.full(count, sigma), np.full(count, sigma - 2)], axis=1),
        opacities=random.normal(2, 1, count),
        sh0=(waves + random.normal(0, 0.1, (count, 3)))[:, None],
        shN=random.normal(0, 0.03, (count, coefficients, 3)),
    )


def from_above(height: float, pixels: int) -> Camera:
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = (0, 0, height)
    return Camera("above", pixels, pixels, pixels, pixels, pixels / 2, pixels / 2, pose)


SMALL = LodSizes(smallest_leaf=50, largest_leaf=700, file=1500)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """What the writer says of the model that is `written`."""
    return {}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, figures: dict[str, Any]) -> Path:
    folder = tmp_path_factory.mktemp("levels") / "lod"
    figures |= writer.write_streamed(folder, field(6000), STANDARD, Silent(), sizes=SMALL)
    return folder


@pytest.fixture
def written(tmp_path: Path, once: Path) -> Path:
    """A copy for a test to damage."""
    return Path(shutil.copytree(once, tmp_path / "lod"))


def meta_of(folder: Path) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((folder / "lod-meta.json").read_text())
    return meta


def test_levels_hold_what_they_say_inside_their_bounds(written: Path) -> None:
    meta = meta_of(written)
    assert meta["lodLevels"] == LOD_LEVELS and meta["counts"][0] == 6000
    for level, count in enumerate(meta["counts"]):
        assert len(read_level(written, level)) == count
        assert count == pytest.approx(6000 / 2**level, rel=0.03)
    assert len(meta["filenames"]) > LOD_LEVELS
    assert {path.parent.name for path in written.glob("*/meta.json")} == {n.split("/")[0] for n in meta["filenames"]}


def test_what_the_writer_says_is_what_it_wrote(written: Path, figures: dict[str, Any]) -> None:
    meta = meta_of(written)
    assert figures["lod_counts"] == meta["counts"] and figures["lod_files"] == len(meta["filenames"])
    sizes = [sum(path.stat().st_size for path in written.glob(f"{level}_*/*")) for level in range(LOD_LEVELS)]
    assert figures["lod_bytes"] == sizes
    assert figures["lod_meta_bytes"] == (written / "lod-meta.json").stat().st_size
    all_leaves = list(leaves_of(meta["tree"]))
    assert figures["lod_leaves"] == len(all_leaves)
    assert np.allclose(figures["lod_errors"], np.mean([leaf["errors"] for leaf in all_leaves], axis=0))


def test_every_leaf_says_how_far_its_levels_are_from_the_finest(written: Path) -> None:
    meta = meta_of(written)
    assert meta["lodErrors"] is True
    for leaf in leaves_of(meta["tree"]):
        assert leaf["errors"][0] == 0 and 0 < leaf["errors"][1] < leaf["errors"][2] < leaf["errors"][3] < 1


def test_palettes_are_shares_of_the_whole_models(tmp_path: Path) -> None:
    quality = replace(STANDARD, palette_size=640)
    writer.write_streamed(tmp_path, field(6000), quality, Silent(), sizes=SMALL)
    for path in tmp_path.glob("*/meta.json"):
        meta = json.loads(path.read_text())
        assert 0 < meta["shN"]["count"] <= 640 * meta["count"] / 6000 + 64
    assert writer.palette_entries(640, 6000, 6000) == 640 and writer.palette_entries(640, 1, 6000) == 64
    assert writer.palette_entries(None, 1, 2) is None


def leaves_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "lods" in node:
        yield node
    for child in node.get("children", []):
        yield from leaves_of(child)


def test_the_finest_level_is_the_model(written: Path) -> None:
    model, finest = field(6000), read_level(written, 0)
    near = np.abs(np.sort(model.means, axis=0) - np.sort(finest.means, axis=0)).max()
    assert near < 0.1 and finest.sh_degree == model.sh_degree
    camera = from_above(60, 256)
    assert psnr(render(model, camera).clip(0, 1), render(finest, camera).clip(0, 1)) > 35


def test_a_coarse_level_looks_better_from_afar_than_leaving_out_the_least_significant(written: Path) -> None:
    model = field(6000)
    weight = np.exp(model.scales.sum(axis=1)) / (1 + np.exp(-model.opacities))
    for level, pixels, least in ((1, 64, 27), (2, 48, 22), (3, 32, 19)):
        camera = from_above(60, pixels)
        truth = render(model, camera).clip(0, 1)
        coarse = read_level(written, level)
        kept = model.subset(np.sort(np.argsort(-weight)[: len(coarse)]))
        ours, dropped = (psnr(truth, render(each, camera).clip(0, 1)) for each in (coarse, kept))
        assert ours > max(least, dropped + 4), (level, ours, dropped)


@pytest.mark.skipif(not (NODE and TOOL.exists()), reason="needs node and @playcanvas/splat-transform in .venv/npm")
def test_playcanvas_tool_reads_each_level(written: Path, tmp_path: Path) -> None:
    for level, count in enumerate(meta_of(written)["counts"]):
        target = tmp_path / f"{level}.ply"
        command = [str(NODE), str(TOOL), "-w", "-L", str(level), str(written / "lod-meta.json"), str(target)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"element vertex {count}\n".encode() in target.read_bytes()[:400]


def test_merging_keeps_the_middle_the_spread_and_the_colour() -> None:
    model = field(4000)
    coarse = merge.halve(model)
    assert len(coarse) == 2000
    for one, other in ((model.means, coarse.means), (model.sh0, coarse.sh0)):
        assert np.abs(one.mean(axis=0) - other.mean(axis=0)).max() < 0.25 * one.std()
    fine, merged = (np.cov(each.means.T) + merge.covariances(each).mean(axis=0) for each in (model, coarse))
    assert np.allclose(fine, merged, rtol=0.1, atol=0.1 * np.diag(fine).min())


def test_two_equal_gaussians_become_the_same_one() -> None:
    one = field(1)
    merged = merge.halve(one.subset(np.zeros(2, np.intp)))
    assert len(merged) == 1
    assert np.allclose(merged.means, one.means, atol=1e-6)
    assert np.allclose(merge.covariances(merged), merge.covariances(one), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tiny_models_have_all_levels(count: int, tmp_path: Path) -> None:
    writer.write_streamed(tmp_path, field(count), STANDARD, Silent())
    assert [len(read_level(tmp_path, level)) for level in range(LOD_LEVELS)][-1] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda meta: meta["counts"].__setitem__(0, 6001), "not the 6001 it says"),
        (lambda meta: meta["counts"].pop(), "every level"),
        (lambda meta: meta.update(lodLevels=99), "lodlevels|lodLevels"),
        (lambda meta: meta.update(version=2), "version"),
        (lambda meta: meta["filenames"].__setitem__(0, "../../meta.json"), "filenames.0"),
        (lambda meta: meta["filenames"].__setitem__(0, "http://x/meta.json"), "filenames.0"),
        (lambda meta: meta.update(filenames=meta["filenames"][:1]), "names file"),
        (lambda meta: meta["filenames"].__setitem__(0, "nowhere/meta.json"), "missing"),
        (lambda meta: first_leaf(meta)["lods"]["0"].update(offset=1), "gap or overlap"),
        (lambda meta: first_leaf(meta)["lods"]["0"].update(count=-1), "count"),
        (lambda meta: first_leaf(meta)["bound"].update(min=[1e9] * 3, max=[2e9] * 3), "outside the bound"),
        (lambda meta: first_leaf(meta).pop("bound"), "bound"),
        (lambda meta: first_leaf(meta).pop("errors"), "one has none"),
        (lambda meta: first_leaf(meta)["errors"].pop(), "one error for each level"),
        (lambda meta: first_leaf(meta)["errors"].__setitem__(1, -0.5), "errors"),
        (lambda meta: first_leaf(meta)["errors"].__setitem__(1, float("nan")), "errors"),
    ],
)
def test_damage_is_named(written: Path, change: Callable[[dict[str, Any]], object], words: str) -> None:
    meta = meta_of(written)
    change(meta)
    (written / "lod-meta.json").write_text(json.dumps(meta))
    with pytest.raises(BrokenSog, match=words):
        check_streamed(written)


def first_leaf(meta: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = meta["tree"]
    while "lods" not in node:
        node = node["children"][0]
    return node


def test_a_tree_without_end_and_a_file_cut_short_are_refused(written: Path) -> None:
    bound = '{"bound":{"min":[0,0,0],"max":[1,1,1]},"children":['
    start = '{"lodLevels":1,"filenames":["0_0/meta.json"],"tree":'
    for text in ("{", start + bound * 5000, start + bound * 5000 + "]}" * 5000 + "}"):
        (written / "lod-meta.json").write_text(text)
        with pytest.raises(BrokenSog, match=r"breaks the format|nested too deeply"):
            read_level(written)


def test_a_lie_about_the_number_of_gaussians_costs_no_memory(written: Path) -> None:
    meta = meta_of(written)
    meta["counts"][0] = first_leaf(meta)["lods"]["0"]["count"] = 50_000_000
    meta["tree"] = first_leaf(meta)
    (written / "lod-meta.json").write_text(json.dumps(meta))
    with pytest.raises(BrokenSog, match="50000000 Gaussians"):
        read_level(written)


@pytest.mark.skipif(not (NODE and TOOL.exists()), reason="needs node and @playcanvas/splat-transform in .venv/npm")
def test_we_read_what_playcanvas_tool_writes(tmp_path: Path) -> None:
    models = [field(1500, coefficients=0), field(700, coefficients=0)]
    command = [str(NODE), str(TOOL), "-g", "cpu"]
    for level, model in enumerate(models):
        write_ply(tmp_path / f"{level}.ply", model)
        command += [str(tmp_path / f"{level}.ply"), "-l", str(level)]
    subprocess.run([*command, str(tmp_path / "lod/lod-meta.json")], check=True, capture_output=True, timeout=300)
    check_streamed(tmp_path / "lod")
    for level, model in enumerate(models):
        near = read_level(tmp_path / "lod", level)
        assert np.abs(np.sort(model.means, axis=0) - np.sort(near.means, axis=0)).max() < 0.1
    assert read_model(tmp_path / "lod/lod-meta.json")[1] is read_model(tmp_path / "lod")[1] is STREAMED_SOG


def test_a_stop_passes_and_leaves_no_meta(tmp_path: Path) -> None:
    class Stop(Silent):
        calls = 0

        def check(self) -> None:
            self.calls += 1
            if self.calls > 5:
                raise Stopped

    with pytest.raises(Stopped):
        writer.write_streamed(tmp_path, field(6000), STANDARD, Stop(), sizes=SMALL)
    assert not (tmp_path / "lod-meta.json").exists()
