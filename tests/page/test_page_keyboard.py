"""Whoever uses no pointer gets everywhere, and stops a job."""

from __future__ import annotations

import pytest
from page_cases import Watched, link_of
from playwright.sync_api import Locator, Page, expect
from surveys import shared_survey
from upload_cases import row_of
from waiting import until

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.contract import JobState
from spaceport.pipeline.jobs.state import JobRecord

MOST_TABS = 60


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until `target` has the focus, which is seen on the way."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate("element => getComputedStyle(element).outlineStyle !== 'none'")
            return
    raise AssertionError(f"not within {MOST_TABS} presses of Tab: {target}")


def job_named(cloud: EmbeddedCloud, name: str) -> JobRecord:
    row = row_of(cloud, name)
    assert row, f"there is no job {name}"
    return row


@pytest.mark.slow
def test_a_job_is_stopped_by_keyboard_alone(page: Page, cloud: EmbeddedCloud, jobs: list[str]) -> None:
    deployment = deployment_of(cloud.access)
    survey = shared_survey(12, 512, 384)
    deployment.uploads.client.upload_file(str(survey.zip_path), deployment.uploads.name, "uploads/Keys.zip")
    until(lambda: row_of(cloud, "Keys"), lambda: "there is no job")
    jobs.append(job_named(cloud, "Keys").job_id)
    watched = Watched.of(page)
    page.goto(link_of(cloud))
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    tab_to(page, page.get_by_role("link", name="Skip to content"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    row = page.get_by_role("link").filter(has_text="Keys")
    expect(row).to_be_visible()
    tab_to(page, row)
    page.keyboard.press("Enter")
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_visible()
    tab_to(page, stop)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Stop Keys?")
    expect(dialog.get_by_role("button", name="Keep going")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(stop).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, dialog.get_by_role("button", name="Stop"))
    page.keyboard.press("Enter")
    expect(page.locator("p.sentence")).to_have_text("Processing stopped, finished work kept")
    until(lambda: job_named(cloud, "Keys").state is JobState.STOPPED)
    assert watched.complaints == []
