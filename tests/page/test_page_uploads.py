"""Files dropped on the page arrive whole: as one zip, after a reload too, and not before somebody wants the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from page_cases import Watched, link_of
from playwright.sync_api import Page, Route, expect
from upload_cases import MEGABYTE, choose, job_ids, made, under_way, uploaded
from waiting import until

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return made(tmp_path, 70_001, 20_002, 3)


@pytest.fixture
def large_photos(tmp_path: Path) -> list[Path]:
    """Of 43 MB in all, which is three parts."""
    return made(tmp_path, 17 * MEGABYTE + 1, 21 * MEGABYTE, 3 * MEGABYTE)


def test_photos_become_a_job_when_somebody_wants_it(
    page: Page, cloud: EmbeddedCloud, photos: list[Path], jobs: list[str], tmp_path: Path
) -> None:
    watched, others = Watched.of(page), under_way(cloud)
    page.goto(link_of(cloud))
    choose(page, photos)
    expect(page.locator("p.sentence")).to_have_text("All is uploaded")
    expect(page.get_by_text("3 photos are few")).to_be_visible()
    (key,) = (key for upload, key in under_way(cloud).items() if upload not in others)
    assert Path(key).stem not in job_ids(cloud), "nobody has said that all is chosen"
    page.get_by_label("draft").check()
    page.get_by_text("All options").click()
    iterations = page.get_by_label("Most iterations")
    iterations.fill("0")
    expect(page.get_by_text("At least 1.")).to_be_visible()
    expect(page.get_by_role("button", name="Make the model")).to_be_disabled()
    iterations.fill("123")
    page.get_by_role("button", name="Make the model").click()
    expect(page.get_by_role("list", name="Stages")).to_be_visible()
    job_id = page.url.partition("job=")[2]
    assert job_id == Path(key).stem
    until(lambda: job_id in job_ids(cloud), lambda: "there is no job")
    jobs.append(job_id)
    request = deployment_of(cloud.access).bucket.read_manifest(f"jobs/{job_id}/request/manifest.json")
    assert request
    options: Any = request.manifest.request.options
    assert (options.preset, options.train.max_iterations) == ("draft", 123)
    assert uploaded(cloud, job_id, tmp_path) == {file.name: file.read_bytes() for file in photos}
    assert watched.complaints == []


@pytest.mark.slow
def test_what_a_reload_has_ended_goes_on_with_the_same_files(
    page: Page, cloud: EmbeddedCloud, large_photos: list[Path], jobs: list[str], tmp_path: Path
) -> None:
    sent: list[int] = []
    refuses = True

    def put(route: Route) -> None:
        number = int(route.request.url.partition("partNumber=")[2].partition("&")[0])
        if route.request.method == "PUT" and refuses and number != 1:
            route.abort("internetdisconnected")
        else:
            sent.append(number)
            route.continue_()

    page.context.route("**/*partNumber=*", put)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(link_of(cloud))
    choose(page, large_photos)
    expect(page.get_by_text("No connection. The upload goes on by itself.")).to_be_visible()
    until(lambda: 1 in sent, lambda: "the first part was not sent")
    page.wait_for_timeout(500)
    page.goto(page.url.partition("?")[0])
    expect(page.get_by_role("heading", name="Interrupted uploads")).to_be_visible()
    expect(page.get_by_text("of 43 MB is there")).to_be_visible()
    interrupted = page.get_by_role("listitem").filter(has_text="is there")
    interrupted.get_by_label("Choose files").set_input_files(large_photos[:2])
    expect(page.get_by_role("alert")).to_contain_text("DJI_2.JPG")
    refuses, sent = False, []
    interrupted.get_by_label("Choose files").set_input_files(large_photos)
    expect(page.locator("p.sentence")).to_have_text("All is uploaded")
    assert sorted(set(sent)) == [2, 3], "the first part was there"
    page.get_by_role("button", name="Make the model").click()
    expect(page.get_by_role("list", name="Stages")).to_be_visible()
    job_id = page.url.partition("job=")[2]
    jobs.append(job_id)
    table = deployment_of(cloud.access).table
    until(lambda: table.get(job_id) is not None, lambda: "there is no job")
    assert uploaded(cloud, job_id, tmp_path) == {file.name: file.read_bytes() for file in large_photos}


def test_a_cancelled_upload_leaves_nothing(page: Page, cloud: EmbeddedCloud, photos: list[Path]) -> None:
    others = under_way(cloud)
    page.goto(link_of(cloud))
    choose(page, photos)
    expect(page.locator("p.sentence")).to_have_text("All is uploaded")
    page.get_by_role("button", name="Cancel the upload").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the upload").click()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    until(lambda: under_way(cloud).keys() <= others.keys(), lambda: "parts are left")
    page.reload()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    expect(page.get_by_role("heading", name="Interrupted uploads")).to_have_count(0)


def test_files_of_no_use_are_a_sentence(page: Page, cloud: EmbeddedCloud, tmp_path: Path) -> None:
    (tmp_path / "notes.docx").write_bytes(b"notes")
    page.goto(link_of(cloud))
    choose(page, [tmp_path / "notes.docx"])
    expect(page.get_by_role("alert")).to_contain_text("None of these files")
