"""*Look*: the first view, the flight, the tape and streamed levels, on a model whose sizes are known."""

from __future__ import annotations

import math
import re
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_jobs import add_finished_job
from page_cases import Watched, link_of
from PIL import Image
from playwright.sync_api import Locator, Page, Position, expect
from random_models import gaussians
from waiting import until

from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.reports.viewer import ViewerSettings
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera
from spaceport.splats.metrics import psnr
from spaceport.splats.model import Gaussians
from spaceport.splats.render import SimdRasteriser
from spaceport.splats.sog.attributes.quality import FINEST
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.writer import pack_bundle
from spaceport.splats.sog.lod.writer import write_streamed

STREAMED, SINGLE = "levels-0123456789", "ground-0123456789"
NAMES = {STREAMED: "Levels", SINGLE: "Ground"}
SKY = (11 / 255, 14 / 255, 18 / 255)
POSITION, TARGET, FOV = np.array((1.0, -5.0, 4.0)), np.array((0.2, 0.1, 0.0)), 60.0
PICTURE = (1920, 1080)


def ground() -> Gaussians:
    """A floor of 4 x 4 at z = 0 in many colours, opaque and thin; z is up."""
    side = np.linspace(-2, 2, 81)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    count = len(x)
    colours = np.stack([np.sin(2 * x), np.cos(3 * y), np.sin(x * y)], axis=1)
    return gaussians(
        means=np.stack([x, y, np.zeros(count)], axis=1),
        quats=np.tile((1.0, 0, 0, 0), (count, 1)),
        scales=np.tile(np.log((0.04, 0.04, 0.004)), (count, 1)),
        opacities=np.full(count, 6.0),
        sh0=colours[:, None],
        shN=np.zeros((count, 0, 3)),
    )


@cache
def ground_sog() -> bytes:
    return pack_bundle(encode(ground(), EncoderSettings(FINEST), Silent()).files)


def viewer_file(metric: dict[str, Any]) -> str:
    """Three metres a unit; the flight leads away from the first view and sinks."""
    views = [{"position": list(POSITION - (0, 0, 0.4 * k)), "target": list(TARGET), "fov": FOV} for k in range(5)]
    keys = [{"time": 2.5 * k, **view} for k, view in enumerate(views)]
    tree = {"up": [0, 0, 1], "view": views[0], "flight": {"seconds": 10, "keys": keys}, "metric": metric}
    return ViewerSettings.model_validate(tree).model_dump_json()


@pytest.fixture(scope="session")
def look_jobs(cloud: EmbeddedCloud, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedCloud:
    """The cloud, with two jobs that are `NAMES`."""
    metrics: dict[str, dict[str, Any]] = {
        SINGLE: {"is_metric": True, "unit_m": 3.0, "scale_uncertainty": 0.012},
        STREAMED: {"is_metric": False, "why_not": "The photos hold <no> positions."},
    }
    for job_id, metric in metrics.items():
        folder: Path = tmp_path_factory.mktemp(job_id)
        (folder / "model.sog").write_bytes(ground_sog())
        (folder / "viewer.json").write_text(viewer_file(metric))
        if job_id == STREAMED:
            write_streamed(folder / "lod", ground(), FINEST, Silent())
        files = {f"compressed/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*.*")}
        add_finished_job(cloud, job_id, NAMES[job_id], files)
    return cloud


def opened(page: Page, cloud: EmbeddedCloud, job_id: str) -> Locator:
    """The viewer of a job, ready; nothing moves by itself."""
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": 800, "height": 900})
    page.goto(link_of(cloud))
    page.get_by_role("link").filter(has_text=NAMES[job_id]).click()
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()
    view = page.locator("splat-view")
    view.scroll_into_view_if_needed()
    return view


def place_of(view: Locator, point: tuple[float, float, float]) -> Position:
    x, y = view.evaluate("(view, point) => view.project(point)", list(point))
    return {"x": x, "y": y}


def is_in_the_middle(view: Locator, point: tuple[float, float, float]) -> bool:
    place, size = view.evaluate("(view, point) => view.project(point)", list(point)), view.bounding_box()
    return bool(place and size and math.dist(place, (size["width"] / 2, size["height"] / 2)) < 1)


def click(view: Locator, point: tuple[float, float, float]) -> None:
    """Click where a point of the model is seen, and wait until it is picked."""
    before = len(view.evaluate("view => view.measured.points"))
    view.locator("canvas").click(position=place_of(view, point))
    until(lambda: len(view.evaluate("view => view.measured.points")) > before, lambda: f"{point} was not picked")


def test_the_first_view_is_what_our_renderer_draws_and_one_stands_where_the_report_says(
    page: Page, look_jobs: EmbeddedCloud, tmp_path: Path
) -> None:
    watched = Watched.of(page)
    view = opened(page, look_jobs, SINGLE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture").click()
    download.value.save_as(tmp_path / "picture.png")
    seen = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB"), np.float32) / 255
    ahead = (TARGET - POSITION) / np.linalg.norm(TARGET - POSITION)
    right = np.cross(ahead, (0, 0, 1)) / np.linalg.norm(np.cross(ahead, (0, 0, 1)))
    pose = np.eye(4)
    pose[:3, :3] = right, np.cross(ahead, right), ahead
    pose[:3, 3] = -pose[:3, :3] @ POSITION
    width, height = PICTURE
    focal = width / 2 / math.tan(math.radians(FOV / 2))
    camera = Camera("view", width, height, focal, focal, width / 2, height / 2, pose)
    ours = np.clip(SimdRasteriser().render(ground().arrays(), camera, background=SKY), 0, 1)
    assert psnr(ours, seen) > 35
    view.evaluate("view => view.standAt({position: [0, 0, 5], target: [1, 1, 0], fov: 40})")
    until(lambda: is_in_the_middle(view, (1, 1, 0)), lambda: "it stands elsewhere")
    view.evaluate("view => view.standAt({position: [0, 0, 'x'], target: [1, 1], fov: 1e9})")
    page.wait_for_timeout(100)
    assert is_in_the_middle(view, (1, 1, 0)), "that is no pose"
    assert watched.complaints == []


def test_the_tape_measures_what_is_known(page: Page, look_jobs: EmbeddedCloud) -> None:
    view = opened(page, look_jobs, SINGLE)
    page.get_by_role("button", name="Tape").click()
    status = view.get_by_role("status")
    expect(status).to_contain_text("Click two points")
    before = place_of(view, (0, 0, 0))
    click(view, (-1.5, -1, 0))
    click(view, (1.5, -1, 0))
    measured = view.evaluate("view => view.measured")
    assert measured["length"]["value"] == pytest.approx(9.0, rel=0.02)
    assert measured["length"]["uncertainty"] == pytest.approx(0.012 * measured["length"]["value"])
    expect(status).to_contain_text(re.compile(r"[89]\.\d\d ± 0\.11 m long"))
    assert place_of(view, (0, 0, 0)) == pytest.approx(before, abs=0.5), "a click that picks moves no camera"
    click(view, (1.5, 1, 0))
    click(view, (-1.5, 1, 0))
    measured = view.evaluate("view => view.measured")
    assert measured["area"]["value"] == pytest.approx(54.0, rel=0.02)
    assert measured["length"]["value"] == pytest.approx(24.0, rel=0.02)
    expect(status).to_contain_text("m² enclosed")
    page.get_by_role("button", name="Undo").click()
    assert len(view.evaluate("view => view.measured.points")) == 3
    page.get_by_role("button", name="Clear").click()
    expect(status).to_contain_text("Click two points")
    canvas = page.get_by_role("application", name="3D model of Ground")
    canvas.focus()
    page.keyboard.press("Enter")
    until(lambda: view.evaluate("view => view.measured.points.length") == 1, lambda: "nothing was picked")
    np.testing.assert_allclose(view.evaluate("view => view.measured.points[0]"), TARGET, atol=0.1)
    page.keyboard.press("Backspace")
    assert view.evaluate("view => view.measured.points.length") == 0
    view.evaluate("view => view.standAt({position: [0, 0, 3], target: [0, 30, 20], fov: 60})")
    until(lambda: is_in_the_middle(view, (0, 30, 20)), lambda: "it does not stand there")
    canvas.focus()
    page.keyboard.press("Enter")
    expect(view.get_by_role("status")).to_contain_text("Nothing of the model is there.")
    page.get_by_role("button", name="Tape").press("Enter")
    expect(status).to_have_count(0)


def test_the_flight_runs_by_itself_until_somebody_touches_it(page: Page, look_jobs: EmbeddedCloud) -> None:
    page.set_viewport_size({"width": 500, "height": 700})
    page.goto(link_of(look_jobs))
    page.get_by_role("link").filter(has_text=NAMES[SINGLE]).click()
    flight, orbit = (page.get_by_role("button", name=name) for name in ("Flight", "Orbit"))
    expect(flight).to_have_attribute("aria-pressed", "true")
    page.locator("splat-view canvas").hover()
    page.mouse.down()
    page.mouse.up()
    expect(flight).to_have_attribute("aria-pressed", "false")
    expect(orbit).to_have_attribute("aria-pressed", "true")
    flight.click()
    expect(flight).to_have_attribute("aria-pressed", "true")
    flight.click()
    expect(orbit).to_have_attribute("aria-pressed", "true")


def test_levels_are_streamed_signed_and_where_lengths_are_no_metres_the_tape_says_why(
    page: Page, look_jobs: EmbeddedCloud
) -> None:
    watched = Watched.of(page)
    view = opened(page, look_jobs, STREAMED)

    def is_fine() -> bool:
        page.wait_for_timeout(50)
        return any("/lod/0_0/sh0.webp" in address for address in watched.addresses)

    def is_quiet() -> bool:
        before = len(watched.addresses)
        page.wait_for_timeout(500)
        return len(watched.addresses) == before

    until(is_fine, lambda: "the finest level never came")
    until(is_quiet, lambda: "files are asked for without end")
    files = [address for address in watched.addresses if f"{STREAMED}/compressed/" in address]
    assert any("/lod/lod-meta.json?" in address for address in files)
    sets = [address for address in files if re.search(r"/lod/\d+_\d+/\w+\.webp\?", address)]
    assert len(sets) >= 5
    paths = [address.partition("?")[0] for address in files]
    assert len(paths) == len(set(paths)), "each file comes once"
    levels = {address.rpartition("/lod/")[2].partition("_")[0] for address in sets}
    assert levels == {"0", "3"}, "the coarsest first, then what the budget buys, and nothing between"
    assert not any("model.sog" in address for address in files), "the whole is not loaded too"
    assert all("X-Amz-Signature=" in address for address in files)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(sets[0].partition("?")[0])
    page.get_by_role("button", name="Tape").click()
    expect(view.get_by_role("status")).to_contain_text("The photos hold <no> positions.")
    view.locator("canvas").click(position=place_of(view, (0, 0, 0)))
    page.wait_for_timeout(200)
    assert view.evaluate("view => view.measured.points") == []
    assert watched.complaints == []
