"""What is done to a job in the page: watched while it trains, gone on from, deleted; and lists of many."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from page_cases import Watched, api_key_of, link_of
from PIL import Image
from pipeline_cases import ended, key_of, requested, staged
from playwright.sync_api import Page, expect
from test_page_on_a_laptop import HOSTILE, add_job, beat
from waiting import until

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.contract import JobState, Outcome, StageName, now
from spaceport.pipeline.layout import live_key, request_key
from spaceport.pipeline.live import LIVE_JSON, LIVE_PICTURE, Live, LivePicture, LiveScore


def opened(page: Page, cloud: EmbeddedCloud, job_id: str) -> None:
    base, _, code = link_of(cloud).partition("#")
    page.goto(f"{base}?job={job_id}#{code}")
    expect(page.locator("p.sentence")).to_be_visible()


def show(
    cloud: EmbeddedCloud,
    job_id: str,
    iteration: int,
    *scores: float,
    photo: str = "DJI_7.JPG",
    picture: Image.Image | None = None,
) -> None:
    """What a training shows after so many iterations: a grey photo and a darker model, or another picture."""
    bucket = deployment_of(cloud.access).bucket
    pixels = Image.new("RGB", (96, 64), (200, 200, 200))
    pixels.paste((90, 120, 90), (48, 0, 96, 64))
    buffer = io.BytesIO()
    (picture or pixels).save(buffer, "JPEG")
    bucket.put_small(live_key(job_id, StageName.TRAIN, LIVE_PICTURE), buffer.getvalue(), "image/jpeg")
    series = [LiveScore(iteration=50 * (number + 1), psnr=score) for number, score in enumerate(scores)]
    live = Live(series=series, picture=LivePicture(at=now(), iteration=iteration, photo=photo, held_out=True))
    bucket.put_small(live_key(job_id, StageName.TRAIN, LIVE_JSON), live.model_dump_json().encode())


def test_a_training_shows_a_photo_beside_the_model_and_its_curve(page: Page, cloud: EmbeddedCloud) -> None:
    add_job(cloud, "live-0123456789", "Live")
    watched = Watched.of(page)
    opened(page, cloud, "live-0123456789")
    expect(page.get_by_role("list", name="Stages")).to_contain_text("20 %")
    expect(page.locator("figure.live")).to_have_count(0)
    show(cloud, "live-0123456789", 140, 18.25, 22.5, photo=HOSTILE)
    picture = page.get_by_role("img", name=f"Left: Held-out photo {HOSTILE}. Right: the model")
    expect(picture).to_be_visible()
    until(lambda: picture.evaluate("image => image.naturalWidth") == 96)
    expect(page.get_by_text("Model after 140 iterations")).to_be_visible()
    curve = page.get_by_role(
        "img", name="Curve of the PSNR: 18.3 dB after 50 iterations, 22.5 dB after 100 iterations."
    )
    expect(curve).to_be_visible()
    beat(cloud, "live-0123456789", 0.4)
    expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute("aria-valuenow", "51")
    fetched = [address for address in watched.addresses if LIVE_PICTURE in address]
    assert len(fetched) == 1, "a picture that is there is not fetched again"
    show(cloud, "live-0123456789", 280, 18.25, 22.5, 24.1)
    expect(page.get_by_text("Model after 280 iterations")).to_be_visible()
    deployment = deployment_of(cloud.access)
    for name in (LIVE_JSON, LIVE_PICTURE):
        deployment.bucket.erase(live_key("live-0123456789", StageName.TRAIN, name))
    deployment.table.record(staged(StageName.TRAIN, "live-0123456789", name="Live"))
    expect(page.locator("p.sentence")).to_have_text("Compressing with PlayCanvas SOGS algorithm")
    expect(page.get_by_text("Model after 280 iterations")).to_be_visible()
    expect(page.get_by_role("img", name="Curve of the PSNR")).to_be_visible()
    assert watched.complaints == []


def test_a_button_asks_again_as_soon_as_its_dialog_is_gone(page: Page, cloud: EmbeddedCloud) -> None:
    """Before the next task of the browser, which tells that it is closed."""
    add_job(cloud, "asks-0123456789", "Asks")
    opened(page, cloud, "asks-0123456789")
    page.get_by_role("button", name="Stop").click()
    page.evaluate(
        """async () => {
            document.querySelector("dialog").close("keep");
            for (let turn = 0; turn < 50; turn += 1) await null;
            document.activeElement.click();
        }"""
    )
    expect(page.get_by_role("dialog", name="Stop Asks?")).to_be_visible()


@pytest.fixture
def failed(cloud: EmbeddedCloud) -> str:
    """A job that has failed in its training, with its manifests: those of an ended job wake nobody."""
    deployment, job_id = deployment_of(cloud.access), "again-0123456789"
    begun = requested(job_id, name="Again")
    end = ended(JobState.FAILED, job_id).model_copy(update={"stage": StageName.TRAIN, "request": begun.request})
    for manifest in (end, begun, staged(StageName.SFM, job_id, name="Again")):
        deployment.bucket.put_manifest(key_of(manifest), manifest)
        deployment.table.record(manifest)
    return job_id


def test_a_job_goes_on_from_a_finished_stage_with_changed_options_and_is_deleted(
    page: Page, cloud: EmbeddedCloud, failed: str
) -> None:
    deployment = deployment_of(cloud.access)
    opened(page, cloud, failed)
    expect(page.get_by_role("list", name="Stages").locator("li.failed")).to_contain_text("Train")
    page.get_by_role("button", name="Go on from Train").click()
    dialog = page.get_by_role("dialog", name="Go on with Again")
    expect(dialog.get_by_role("radio", name="Train")).to_be_checked()
    expect(dialog.get_by_text("Placed photos are kept.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Go on from Train")).to_be_focused()
    page.get_by_role("button", name="Go on from…").click()
    expect(dialog.get_by_role("radio", name="Place photos")).to_be_checked()
    dialog.get_by_label("How much work").select_option("draft")
    dialog.get_by_text("All options").click()
    dialog.get_by_label("Most iterations").fill("0")
    expect(dialog.get_by_role("button", name="Go on")).to_be_disabled()
    dialog.get_by_label("Most iterations").fill("123")
    dialog.get_by_label("Most iterations").press("Enter")
    expect(page).to_have_url(re.compile(rf"job={failed}-r[0-9a-f]{{8}}$"))
    again = page.url.partition("job=")[2]
    stored = deployment.bucket.read_manifest(request_key(again))
    assert stored
    options = stored.manifest.request.options
    assert (options.preset, options.train.max_iterations, stored.manifest.request.continues) == ("draft", 123, failed)

    deployment.stop(again)  # it would fail for want of its upload, once a stage has been started for that
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete Again?")
    expect(question).to_contain_text("18 photos")
    expect(question.get_by_role("button", name="Keep it")).to_be_focused()
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    assert deployment.table.get(again) is None or deployment.table.get(again).deleted_at  # type: ignore[union-attr]


def test_a_job_that_another_is_built_on_is_not_deleted_and_the_sentence_names_it(
    page: Page, cloud: EmbeddedCloud
) -> None:
    table = deployment_of(cloud.access).table
    for manifest in (requested("base-0123456789", name="Base"), ended(JobState.STOPPED, "base-0123456789")):
        table.record(manifest)
    table.record(requested("built-0123456789", name="Built", continues="base-0123456789"))
    opened(page, cloud, "base-0123456789")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("alert")).to_contain_text("built-0123456789")
    table.record(ended(JobState.STOPPED, "built-0123456789"))
    opened(page, cloud, "built-0123456789")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    expect(page.get_by_role("link").filter(has_text="Built")).to_have_count(0)


@pytest.fixture
def many(cloud: EmbeddedCloud) -> Iterator[None]:
    """More jobs than a page holds, the first of them failed; other tests of this cloud look for theirs on the first."""
    table = deployment_of(cloud.access).table
    ids = [f"many-{number:02}-0123456789" for number in range(34)]
    for number, job_id in enumerate(ids):
        table.record(requested(job_id, name=f"Many {number:02}"))
        table.record(ended(JobState.STOPPED if number else JobState.FAILED, job_id))
    yield
    for job_id in ids:
        table.erase(job_id)


@pytest.mark.usefixtures("many")
def test_chips_ask_the_server_and_a_long_list_goes_on(page: Page, cloud: EmbeddedCloud) -> None:
    page.goto(link_of(cloud))
    rows = page.locator("ul.jobs > li")
    expect(rows.nth(29)).to_be_visible()
    expect(rows).to_have_count(30)
    page.get_by_role("button", name="Show more").click()
    expect(rows.nth(33)).to_be_visible()
    page.get_by_role("button", name="Failed").click()
    expect(page.get_by_role("link").filter(has_text="Many 00")).to_be_visible()
    expect(page.get_by_role("link").filter(has_text="Many 01")).to_have_count(0)
    page.get_by_role("button", name="Mine").click()
    expect(page.get_by_role("button", name="Mine")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("link").filter(has_text="Many")).to_have_count(0)


def test_a_ready_job_has_a_picture_in_the_list_that_is_loaded_once(page: Page, cloud: EmbeddedCloud) -> None:
    add_job(cloud, "bare-0123456789", "Bare")
    add_job(cloud, "seen-0123456789", "Seen")
    deployment, manifest = deployment_of(cloud.access), staged(StageName.COMPRESS, "seen-0123456789", name="Seen")
    picture = io.BytesIO()
    Image.new("RGB", (256, 144), (20, 120, 60)).save(picture, "JPEG")
    deployment.bucket.put_small("jobs/seen-0123456789/compressed/thumb.jpg", picture.getvalue(), "image/jpeg")
    outcome = Outcome(message="done", counts={"thumb_bytes": len(picture.getvalue())})
    deployment.table.record(manifest.model_copy(update={"outcome": outcome}))
    watched = Watched.of(page)
    page.goto(link_of(cloud))
    row = page.get_by_role("link").filter(has_text="Seen")
    until(lambda: row.locator("img").evaluate("image => image.naturalWidth") == 256)
    expect(page.get_by_role("link").filter(has_text="Bare").locator("img")).to_have_count(0)
    sizes = page.locator(".job .preview").evaluate_all("all => all.map((each) => each.getBoundingClientRect().width)")
    assert len(set(sizes)) == 1, "with a picture or without, names stand in one line"
    page.get_by_role("button", name="Running").click()
    expect(row.locator("img")).to_be_visible()
    assert len([address for address in watched.addresses if "thumb.jpg" in address]) == 1
    assert watched.complaints == []


def test_the_end_is_told_to_whoever_asked_for_it(page: Page, cloud: EmbeddedCloud) -> None:
    add_job(cloud, "bell-0123456789", "Bell")
    page.add_init_script(
        "window.rung = [];"
        "window.Notification = class { constructor(title, {body}) { rung.push(title + ': ' + body) }"
        " static requestPermission() { return Promise.resolve('granted') } }"
    )
    opened(page, cloud, "bell-0123456789")
    page.get_by_role("button", name="Tell me").click()
    expect(page.get_by_text("You will be told when it ends")).to_be_visible()
    deployment_of(cloud.access).table.record(ended(JobState.STOPPED, "bell-0123456789"))
    expect(page.locator("p.sentence")).to_have_text("Processing stopped, finished work kept")
    assert page.evaluate("rung") == ["Bell: Processing stopped, finished work kept"]


def test_whoever_refuses_notifications_is_not_asked_again_and_reads_why(page: Page, cloud: EmbeddedCloud) -> None:
    add_job(cloud, "mute-0123456789", "Mute")
    page.add_init_script(
        "window.Notification = class { static requestPermission() { return Promise.resolve('denied') } }"
    )
    opened(page, cloud, "mute-0123456789")
    page.get_by_role("button", name="Tell me").click()
    expect(page.get_by_role("alert")).to_contain_text("Allow notifications")


def test_a_key_that_is_refused_is_asked_for_over_the_page(page: Page, cloud: EmbeddedCloud) -> None:
    add_job(cloud, "veil-0123456789", "Veil")
    opened(page, cloud, "veil-0123456789")
    page.route("**/jobs/veil-0123456789*", lambda route: route.fulfill(status=403, json={"message": "Forbidden"}))
    expect(page.get_by_role("dialog", name="Your key")).to_be_visible()
    expect(page.get_by_label("API key")).to_be_focused()
    expect(page.get_by_text("Training at half size")).to_be_visible()
    page.unroute("**/jobs/veil-0123456789*")
    page.get_by_label("API key").fill(api_key_of(cloud))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()
