"""What people drop, and what befalls them meanwhile: folders, a zip, a lost connection, a refused key, a phone."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from page_cases import Watched, api_key_of, link_of
from pipeline_cases import photo_zip
from playwright.sync_api import Browser, Page, Route, expect
from upload_cases import MEGABYTE, choose, download, drop, job_made, made, uploaded
from waiting import PATIENCE, until

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud

HOSTILE = '<img src=x onerror="document.title=1">.JPG'


def test_a_folder_and_files_beside_it_are_dropped(
    page: Page, cloud: EmbeddedCloud, jobs: list[str], tmp_path: Path
) -> None:
    desktop = tmp_path / "desktop"
    inner = desktop / "Mill" / "second battery"
    inner.mkdir(parents=True)
    photos = {"Mill/DJI_0.JPG": b"1" * 999, "Mill/second battery/DJI_0.JPG": b"2" * 99, HOSTILE: b"3"}
    ignored = {"Mill/.DS_Store": b"4", "Mill/notes.docx": b"5", "Mill/empty.jpg": b""}
    for name, data in (photos | ignored).items():
        (desktop / name).write_bytes(data)
    watched = Watched.of(page)
    page.goto(link_of(cloud))
    drop(page, desktop / "Mill", desktop / HOSTILE)
    expect(page.get_by_text("3 photos, ")).to_be_visible()
    page.get_by_text("3 files left out").click()
    for text in ("hidden file of a system", "no photo or video", "empty"):
        expect(page.get_by_text(text).first).to_be_visible()
    job_id = job_made(page, jobs)
    until(lambda: uploaded(cloud, job_id, tmp_path) == photos)
    assert watched.complaints == []


@pytest.mark.slow
def test_a_zip_goes_as_it_is(page: Page, cloud: EmbeddedCloud, jobs: list[str], tmp_path: Path) -> None:
    path = tmp_path / "Quarry.zip"
    path.write_bytes(photo_zip())
    page.goto(link_of(cloud))
    drop(page, path)
    expect(page.get_by_role("heading", name="Quarry")).to_be_visible()
    expect(page.get_by_text("One zip")).to_be_visible()
    job_id = job_made(page, jobs)
    assert download(cloud, job_id, tmp_path).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_without_a_connection_an_upload_waits_and_goes_on_by_itself(
    page: Page, cloud: EmbeddedCloud, jobs: list[str], tmp_path: Path
) -> None:
    files = made(tmp_path, 200_000, 100_000)
    is_cut: list[bool] = []

    def put(route: Route) -> None:
        if not is_cut:
            is_cut.append(True)
            page.context.set_offline(True)
            route.abort("internetdisconnected")
        else:
            route.continue_()

    page.context.route("**/*partNumber=*", put)
    page.goto(link_of(cloud))
    choose(page, files)
    expect(page.get_by_text("No connection. The upload goes on by itself.")).to_be_visible()
    page.context.set_offline(False)
    job_id = job_made(page, jobs)
    assert uploaded(cloud, job_id, tmp_path) == {file.name: file.read_bytes() for file in files}


def test_a_key_refused_amid_an_upload_is_asked_for_and_the_upload_goes_on(
    page: Page, cloud: EmbeddedCloud, jobs: list[str], tmp_path: Path
) -> None:
    gateway = cloud.access.client("apigateway")
    link, key = link_of(cloud), api_key_of(cloud)
    key_id = deployment_of(cloud.access).api_key_id
    files = made(tmp_path, 200_000, 100_000)
    is_first = True

    def put(route: Route) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            enable(False)
            route.fulfill(status=503)  # S3 wants it sent again, and signed anew
        else:
            route.continue_()

    def enable(is_enabled: bool) -> None:
        operation: Any = {"op": "replace", "path": "/enabled", "value": str(is_enabled).lower()}
        gateway.update_api_key(apiKey=key_id, patchOperations=[operation])

    page.context.route("**/*partNumber=*", put)
    page.goto(link)
    try:
        choose(page, files)
        expect(page.get_by_role("alert")).to_contain_text("not accepted")
    finally:
        enable(True)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Open").click()
    job_id = job_made(page, jobs)
    assert uploaded(cloud, job_id, tmp_path) == {file.name: file.read_bytes() for file in files}


@pytest.mark.slow
def test_a_phone_uploads_by_touch(browser: Browser, cloud: EmbeddedCloud, jobs: list[str], tmp_path: Path) -> None:
    files = made(tmp_path, 3 * MEGABYTE, 70_000)
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=3
    )
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    try:
        page.goto(link_of(cloud))
        expect(page.locator("p.sentence")).to_have_text("Choose drone photos, a video or a zip")
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose files").tap()
        chooser.value.set_files(files)
        expect(page.locator("p.sentence")).to_have_text("All is uploaded")
        page.get_by_label("draft").tap()
        begin = page.get_by_role("button", name="Make the model")
        expect(begin).to_be_in_viewport()
        begin.tap()
        expect(page.get_by_role("list", name="Stages")).to_be_visible()
        jobs.append(page.url.partition("job=")[2])
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        with zipfile.ZipFile(download(cloud, jobs[-1], tmp_path)) as archive:
            assert archive.testzip() is None
    finally:
        context.close()
