"""An ended job's report: of hostile names, of thousands of photos, on paper, and from the map to the model."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from page_cases import Watched, link_of
from PIL import Image
from pipeline_cases import ended, requested, staged
from playwright.sync_api import Page, expect
from test_page_axe import CONTRAST, RULES, faults
from waiting import until

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.contract import AnyManifest, Artefact, JobState, StageName

JOB = "quarry-0123456789"
HOSTILE = '<img src=x onerror="document.title=1">.jpg'
PHOTOS = 2000
LEFT_OUT = "it shares too little with the photos that were placed"


def photo(number: int) -> dict[str, Any]:
    name = HOSTILE if number == 0 else f"DJI_{number:04}.JPG"
    place = {"position": [50 + number // 50 * 1e-4, -5 + number % 50 * 1e-4, 90.0], "thumb": number}
    reason = LEFT_OUT if number in {1, 2} else None
    return {"name": name, "dense_name": name, "registered": reason is None, "reason": reason, "points": 9, **place}


def camera(each: dict[str, Any]) -> dict[str, Any]:
    """Looking straight down, where the model's frame has its origin at the first photo."""
    east = (each["position"][1] + 5) * 111_320 * 0.6428
    north = (each["position"][0] - 50) * 111_320
    pose = [[1, 0, 0, -east], [0, -1, 0, north], [0, 0, -1, 40], [0, 0, 0, 1]]
    return {"name": each["name"], "width": 400, "height": 300, "fy": 300.0, "world_to_camera": pose}


def files() -> dict[str, bytes]:
    """What the stages have written, by path below the job."""
    photos = [photo(number) for number in range(PHOTOS)]
    georeference = {
        "metric": True,
        "axes": "x east, y north, z up, metres",
        "origin": {"latitude": 50, "longitude": -5},
    }
    findings = [{"level": "warn", "sentence": f"{HOSTILE} is blurred."}]
    sfm = {"photos": photos, "apart": [], "findings": findings, "georeference": georeference}
    views = [
        {"name": HOSTILE, "held_out": True, "psnr": 21.5},
        {"name": "DJI_0003.JPG", "held_out": False, "psnr": 30.0},
    ]
    train = {"views": views, "preview": [HOSTILE], "quality": {"psnr_held_out": 21.5, "psnr_train": 30.0}}
    compress = {
        "attribute_bytes": {"means": 600, "quats": 300, "<b>": 100}, "sog_psnr": 40.0, "sog_psnr_worst": 36.5,
        "views": [{"kind": "photo"}, {"kind": "below"}, {"kind": "photo"}],
        "kinds": {"photo": {"mean": 41.75, "worst": 41.5}, "below": {"mean": 36.5, "worst": 36.5}},
    }  # fmt: skip
    reports = {"colmap": sfm, "gaussian": train, "compressed": compress}
    made = {f"{folder}/report.json": json.dumps(report).encode() for folder, report in reports.items()}
    cameras = [camera(each) for each in photos if each["registered"]]
    made["gaussian/cameras.json"] = json.dumps({"version": 1, "cameras": cameras}).encode()
    return made | {
        "colmap/thumbs-0.webp": picture("WEBP", 1280, 960),
        "gaussian/preview.jpg": picture("JPEG", 900, 200),
    }


def picture(kind: str, width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 80, 40)).save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="module")
def reported(cloud: EmbeddedCloud) -> str:
    """The id of a job that has failed in its last stage: all is there but a model."""
    deployment, made = deployment_of(cloud.access), files()
    folders = {StageName.SFM: "colmap", StageName.TRAIN: "gaussian", StageName.COMPRESS: "compressed"}
    for path, content in made.items():
        deployment.bucket.put_small(f"jobs/{JOB}/{path}", content)
    manifests: list[AnyManifest] = [requested(JOB, name=HOSTILE)]
    for stage, folder in folders.items():
        artefacts = [
            Artefact(key=f"jobs/{JOB}/{path}", bytes=len(content))
            for path, content in made.items()
            if path.startswith(folder)
        ]
        manifest = staged(stage, JOB, name=HOSTILE).model_copy(update={"artefacts": artefacts})
        deployment.bucket.put_manifest(f"jobs/{JOB}/{folder}/manifest.json", manifest)
        manifests.append(manifest)
    for each in [*manifests, ended(JobState.COMPLETED, JOB)]:
        deployment.table.record(each)
    return JOB


@pytest.fixture
def report(page: Page, cloud: EmbeddedCloud, reported: str) -> Page:
    """The page at the report."""
    link = link_of(cloud)
    page.goto(link)
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    page.goto(f"{link.partition('#')[0]}?job={reported}&tab=report")
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
    return page


def test_names_are_text_and_of_thousands_of_photos_few_are_drawn(
    page: Page, cloud: EmbeddedCloud, reported: str, request: pytest.FixtureRequest
) -> None:
    watched = Watched.of(page)
    request.getfixturevalue("report")
    expect(page.get_by_text(f"{HOSTILE} is blurred.")).to_be_visible()
    expect(page.get_by_text("1,998 of 2,000 photos were placed.")).to_be_visible()
    table = page.get_by_role("region", name="Photos")
    expect(table.get_by_text(HOSTILE, exact=True)).to_be_visible()
    expect(table.get_by_text("21.5 dB, held out")).to_be_visible()
    assert page.locator("tr.photo").count() < 40
    table.evaluate("element => element.scrollTo(0, element.scrollHeight)")
    expect(table.get_by_text("DJI_1999.JPG")).to_be_visible()
    assert page.locator("tr.photo").count() < 40
    page.get_by_role("button", name="Left out 2").click()
    expect(table.get_by_role("row")).to_have_count(3)
    expect(table.get_by_text("It shares too little with the photos that were placed.").first).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Positions")).to_contain_text("60 %")
    expect(page.get_by_role("row").filter(has_text="Where photos were taken")).to_contain_text("41.5 dB")
    assert page.title().startswith(HOSTILE)
    assert watched.complaints == []


def test_axe_finds_nothing_in_a_full_report(report: Page) -> None:
    expect(report.get_by_role("heading", name="Where the bytes go")).to_be_visible()
    assert faults(report, {"runOnly": {"type": "tag", "values": RULES}}) == []
    report.emulate_media(color_scheme="dark")
    assert faults(report, CONTRAST) == []


def test_a_photo_on_the_map_is_opened_and_the_viewer_stands_there(report: Page) -> None:
    report.evaluate("""addEventListener("stand", (event) => (window.poses ??= []).push(event.detail))""")
    plan = report.get_by_role("img", name="Plan of the photos")
    plan.scroll_into_view_if_needed()
    box = plan.bounding_box()
    assert box
    circle = report.locator(".map svg g").filter(has_text=HOSTILE).bounding_box()
    assert circle
    plan.click(position={"x": circle["x"] - box["x"] + circle["width"] / 2, "y": circle["y"] - box["y"] + 6})
    card = report.locator(".chosen.card")
    expect(card).to_contain_text(HOSTILE)
    expect(card.locator("img")).to_have_attribute(
        "src", report.locator("tr.photo img").first.get_attribute("src") or ""
    )
    (pose,) = report.evaluate("window.poses")
    assert pose["position"] == pytest.approx([0, 0, 40], abs=0.01)
    assert pose["target"][2] < 40 and pose["fov"] == pytest.approx(67.38, abs=0.01)
    card.get_by_role("button", name="Look from here").click()
    expect(report.get_by_role("tab", name="Look")).to_have_attribute("aria-selected", "true")
    expect(report.locator("splat-view")).to_be_visible()


@pytest.mark.parametrize("width", [320, pytest.param(1280, marks=pytest.mark.slow)])
def test_it_fits_the_screen_and_goes_on_paper(report: Page, width: int) -> None:
    report.set_viewport_size({"width": width, "height": 844})
    wide = (
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.thumb, .tabs')"
        " && e.getBoundingClientRect().right > innerWidth + 1)"
    )
    until(
        lambda: report.evaluate("document.documentElement.scrollWidth") <= width,
        lambda: report.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 80))"),
    )
    report.evaluate("dispatchEvent(new Event('beforeprint'))")
    report.emulate_media(media="print")
    expect(report.locator("tr.photo")).to_have_count(300)
    expect(report.get_by_text("And 1,700 photos more.")).to_be_visible()
    expect(report.get_by_role("tab", name="Report")).to_be_hidden()
    expect(report.locator(".print .title")).to_have_text(HOSTILE)
    report.evaluate("dispatchEvent(new Event('afterprint'))")
    assert report.locator("tr.photo").count() < 40
