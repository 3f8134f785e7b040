"""An upload whose tab or browser is killed goes on where it was, and what arrives is the zip that the page laid out."""

from __future__ import annotations

import filecmp
import random
import zipfile
from pathlib import Path

import pytest
from page_cases import link_of
from playwright.sync_api import Page, Request, Route, expect
from tabs import Profile, measured
from upload_cases import MEGABYTE, choose, download, job_made, made, sparse, under_way, virtual_zip
from waiting import until

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.jobs.multipart import PART_BYTES

LANES = 3
"""As `web/src/upload/engine.ts` has it."""


class PartCounter:
    def __init__(self) -> None:
        self.parts = 0

    def count(self, request: Request) -> None:
        self.parts += "partNumber=" in request.url


def part_of(request: Request | Route) -> int:
    request = request.request if isinstance(request, Route) else request
    return int(request.url.partition("partNumber=")[2].partition("&")[0])


def stored_parts(cloud: EmbeddedCloud, others: dict[str, str]) -> int:
    """Of the only upload that is under way besides others."""
    new = [(upload, key) for upload, key in under_way(cloud).items() if upload not in others]
    if not new:
        return 0
    ((upload, key),) = new
    uploads = deployment_of(cloud.access).uploads
    return len(uploads.client.list_parts(Bucket=uploads.name, Key=key, UploadId=upload).get("Parts", []))


def resumed(tab: Page, cloud: EmbeddedCloud, files: list[Path]) -> None:
    """A new tab, which asks for the same files."""
    tab.goto(link_of(cloud))
    expect(tab.get_by_role("heading", name="Interrupted uploads")).to_be_visible()
    tab.get_by_role("listitem").filter(has_text="is there").get_by_label("Choose files").set_input_files(files)


def is_virtual_zip(cloud: EmbeddedCloud, job_id: str, folder: Path, files: list[Path]) -> None:
    """The zip in the bucket is byte for byte the one that the page's module lays out, and Python's zipfile opens it."""
    arrived = download(cloud, job_id, folder)
    assert filecmp.cmp(arrived, virtual_zip(folder, files), shallow=False)
    with zipfile.ZipFile(arrived) as archive:
        assert archive.namelist() == [path.name for path in files]
        assert archive.testzip() is None


@pytest.mark.slow
def test_a_killed_tab_goes_on_and_sends_what_is_missing(
    profile: Profile, cloud: EmbeddedCloud, jobs: list[str], tmp_path: Path
) -> None:
    files, others = made(tmp_path, 17 * MEGABYTE + 1, 21 * MEGABYTE, 3 * MEGABYTE), under_way(cloud)
    sent: list[int] = []

    def put(route: Route) -> None:
        if part_of(route) == 1:  # the others stay where they are, half-way
            route.continue_()

    profile.context.route("**/*partNumber=*", put)
    tab = profile.tab()
    tab.goto(link_of(cloud))
    choose(tab, files)
    until(lambda: tab.evaluate("1") and stored_parts(cloud, others) == 1, lambda: "the first part is not there")
    profile.kill_tab()
    profile.context.unroute("**/*partNumber=*")

    profile.context.on("request", lambda each: sent.append(part_of(each)) if "partNumber=" in each.url else None)
    again = profile.tab()
    resumed(again, cloud, files)
    is_virtual_zip(cloud, job_made(again, jobs), tmp_path, files)
    assert sorted(set(sent)) == [2, 3], "the first part was there"


def test_a_part_of_which_a_bit_has_flipped_is_refused_and_sent_again(
    page: Page, cloud: EmbeddedCloud, jobs: list[str], tmp_path: Path
) -> None:
    files = made(tmp_path, 300_000, 400_000)
    answers: list[int] = []

    def flip(route: Route) -> None:
        body = virtual.read_bytes()
        route.continue_(post_data=bytes([body[0], body[1] ^ 4]) + body[2:] if not answers else body)

    virtual = virtual_zip(tmp_path, files)
    page.context.route("**/*partNumber=*", flip)
    page.context.on("response", lambda each: answers.append(each.status) if each.request.method == "PUT" else None)
    page.goto(link_of(cloud))
    choose(page, files)
    is_virtual_zip(cloud, job_made(page, jobs), tmp_path, files)
    assert answers == [400, 200]


@pytest.mark.slow
def test_a_gigabyte_is_killed_three_times_and_arrives(
    profile: Profile, cloud: EmbeddedCloud, jobs: list[str], tmp_path: Path
) -> None:
    files, others = sparse(tmp_path, 40, 25 * MEGABYTE + 1), under_way(cloud)
    count = -(-sum(file.stat().st_size for file in files) // PART_BYTES)
    kills = sorted(random.sample(range(1, count - LANES), 3))  # any place will do
    counter = PartCounter()

    def sent_until(tab: Page, parts: int) -> None:
        """Wait for so many parts; no tab may take more than 150 MB meanwhile."""
        tab.on("request", counter.count)
        expect(tab.locator("p.sentence")).to_have_text("Uploading")
        with measured(profile.renderer()) as peak:
            until(lambda: tab.evaluate("1") and stored_parts(cloud, others) >= parts, lambda: f"{parts} of {kills}")
        assert peak.bytes < 150_000_000, f"killed after parts {kills}"

    tab = profile.tab()
    tab.goto(link_of(cloud))
    choose(tab, files)
    for kill, parts in zip((profile.kill_tab, profile.kill_browser, profile.kill_tab), kills, strict=True):
        sent_until(tab, parts)
        kill()
        tab = profile.tab()
        resumed(tab, cloud, files)
    sent_until(tab, count)
    is_virtual_zip(cloud, job_made(tab, jobs), tmp_path, files)
    assert count <= counter.parts <= count + len(kills) * LANES, "what was there is not sent again"
