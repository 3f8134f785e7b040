"""The link of `spaceport up`, opened in Chromium: signed in, quiet, and nothing of the key left behind."""

from __future__ import annotations

import fcntl
import json
from urllib.parse import urlsplit

import pytest
from clients import ROOT
from page_cases import Watched, api_key_of, link_of
from pipeline_cases import requested, staged
from playwright.sync_api import Page, expect
from typer.testing import CliRunner

from spaceport.cli import app
from spaceport.cli.connect import deployment_of, job_line
from spaceport.local.cloud import EmbeddedCloud
from spaceport.local.daemon import USERS
from spaceport.pipeline.contract import Figure, StageName, now
from spaceport.pipeline.jobs.state import Beat

HOSTILE = '<img src=x onerror="document.title=1">'


def add_job(cloud: EmbeddedCloud, job_id: str, name: str) -> None:
    """A job whose photos are placed and that is 20 % through its training."""
    table = deployment_of(cloud.access).table
    table.record(requested(job_id, name=name))
    table.record(staged(StageName.SFM, job_id, name=name))
    beat(cloud, job_id, 0.2)


def beat(cloud: EmbeddedCloud, job_id: str, fraction: float, **counts: Figure) -> None:
    """A heartbeat of the training: `fraction` of 25 to 90 percent."""
    event = Beat(StageName.TRAIN, fraction, "Training at half size", counts, now())
    assert deployment_of(cloud.access).table.record(event, job_id)


def test_the_link_opens_the_jobs_signed_in(page: Page, cloud: EmbeddedCloud) -> None:
    link = link_of(cloud)
    add_job(cloud, "beach-0123456789", HOSTILE)
    watched = Watched.of(page)
    page.goto(link)
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    expect(page.get_by_role("link", name="Running").filter(has_text=HOSTILE)).to_be_visible()
    assert page.url == link.partition("#")[0]
    page.reload()
    expect(page.get_by_role("link", name="Running").filter(has_text=HOSTILE)).to_be_visible()
    assert page.evaluate("history.length") <= 2
    secrets = (api_key_of(cloud), link.rpartition("=")[2])
    assert not any(secret in address for address in watched.addresses for secret in secrets)
    assert {urlsplit(address).netloc for address in watched.addresses} == {urlsplit(link).netloc}
    assert watched.complaints == []


def test_a_link_opens_once_and_a_new_one_in_the_same_tab(page: Page, cloud: EmbeddedCloud) -> None:
    link = link_of(cloud)
    page.goto(link)
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    with page.context.browser.new_context() as other:  # type: ignore[union-attr]  # it has a browser
        again = other.new_page()
        again.goto(link)
        expect(again.get_by_role("alert")).to_have_text("This link was used already, or is too old.")
        expect(again.get_by_text("Type “spaceport link” in a terminal")).to_be_visible()
        assert again.url == link.partition("#")[0]
        printed = CliRunner().invoke(app, ["link", "--state", str(cloud.state)])
        again.goto(printed.output.strip())
        expect(again.get_by_role("heading", name="Your jobs")).to_be_visible()
        assert again.url == link.partition("#")[0]
    page.goto(link)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()


def test_a_command_ends_with_the_job_s_link_where_the_cloud_stays_up(page: Page, cloud: EmbeddedCloud) -> None:
    link_of(cloud)
    add_job(cloud, "barn-0123456789", "Barn")
    deployment = deployment_of(cloud.access)
    assert job_line(None, cloud.state, deployment, "barn-0123456789") is None
    with (cloud.state / USERS).open("a") as up:
        fcntl.flock(up, fcntl.LOCK_SH)
        line = job_line(None, cloud.state, deployment, "barn-0123456789")
    assert line
    page.goto(line.removeprefix("In a browser: "))
    expect(page.get_by_role("heading", name="Barn")).to_be_visible()
    assert page.url.endswith("/?job=barn-0123456789"), "the key is gone from the address"


def test_a_job_is_watched_and_its_link_can_be_opened_again(page: Page, cloud: EmbeddedCloud) -> None:
    add_job(cloud, "roof-0123456789", "Roof")
    watched = Watched.of(page)
    page.goto(link_of(cloud))
    page.get_by_role("link").filter(has_text="Roof").click()
    expect(page.locator("p.sentence")).to_have_text("Training advanced neural 3D representation")
    line = page.get_by_role("progressbar", name="Progress")
    expect(line).to_have_attribute("aria-valuenow", "38")
    expect(page.get_by_text("Training at half size")).to_be_visible()
    beat(cloud, "roof-0123456789", 0.42, seconds_left=360, gaussians=41200, psnr=24.12)
    expect(line).to_have_attribute("aria-valuenow", "52")
    expect(page).to_have_title("52 % · Roof")
    expect(page.get_by_text("about 6 min left · 41,200 Gaussians · 24.1 dB")).to_be_visible()
    page.reload()
    expect(line).to_have_attribute("aria-valuenow", "52")
    page.go_back()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    assert watched.complaints == []


def test_whoever_has_no_key_sees_the_form_and_a_wrong_one_is_refused(page: Page, cloud: EmbeddedCloud) -> None:
    page.goto(link_of(cloud).partition("#")[0])
    expect(page.get_by_text("Type “spaceport link” in a terminal")).to_be_visible()
    page.get_by_label("API key").fill("a-wrong-key-that-is-long-enough")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("not accepted")
    page.get_by_label("API key").fill(api_key_of(cloud))
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_stopping_is_asked_about_and_the_answer_that_changes_nothing_has_the_focus(
    page: Page, cloud: EmbeddedCloud
) -> None:
    add_job(cloud, "mill-0123456789", "Mill")
    page.goto(link_of(cloud))
    page.get_by_role("link").filter(has_text="Mill").click()
    page.get_by_role("button", name="Stop").press("Enter")
    expect(page.get_by_role("button", name="Keep going")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, cloud: EmbeddedCloud, width: int) -> None:
    add_job(cloud, "long-0123456789", "W" * 180)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(link_of(cloud))
    row = page.get_by_role("link").filter(has_text="W" * 180)
    expect(row).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    row.click()
    expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_files_weigh_what_the_build_says(page: Page, cloud: EmbeddedCloud) -> None:
    loaded: list[str] = []
    page.on("response", lambda response: loaded.append(urlsplit(response.url).path))
    page.goto(link_of(cloud))
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    scripts = [path for path in loaded if path.endswith(".js")]
    budgets = json.loads((ROOT / "spaceport/web/static/sizes.json").read_text())
    assert budgets["sizes"]["js"] <= budgets["budgets"]["js"]
    assert len(scripts) == 1, "the page in one piece; the viewer's engine comes with a model, not with the list"
