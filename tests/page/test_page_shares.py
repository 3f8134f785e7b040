"""A link that shows one job, opened by somebody without an account: that job within its scope, and nothing else."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from finished_jobs import add_finished_job
from http_servers import serving
from page_cases import Watched, api_key_of, link_of
from page_models import model_sog, poster
from playwright.sync_api import Browser, Page, expect
from waiting import until

from spaceport.local.cloud import EmbeddedCloud
from spaceport.local.mailbox import mails
from spaceport.local.page import PREFIX

JOB, OTHER = "quay-0123456789", "yard-0123456789"
HOSTILE = '<img src=x onerror="document.title=1">'
REPORT = {"ratio": 20.0, "sog_bytes": 100_000, "sog_psnr": 44.1, "options": {"dropped": 0.5}}
GONE = "This link no longer works. Ask whoever sent it."


@pytest.fixture(scope="module")
def base(cloud: EmbeddedCloud) -> str:
    """Where the page is served; two jobs with models are there."""
    for job_id, name in ((JOB, "Quay"), (OTHER, "Yard")):
        files = {"compressed/model.sog": model_sog(), "compressed/report.json": json.dumps(REPORT).encode()}
        add_finished_job(cloud, job_id, name, files)
    return link_of(cloud).partition("#")[0]


def ask(cloud: EmbeddedCloud, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and answer of a call of the API."""
    with urllib.request.urlopen(f"{cloud.access.endpoint}{PREFIX}config.json", timeout=60) as config:
        api = cloud.access.endpoint + json.load(config)["api"]
    sent = {name.replace("_", "-"): value for name, value in (headers or {"x_api_key": api_key_of(cloud)}).items()}
    raw = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(api + path, raw, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def new_link(cloud: EmbeddedCloud, **body: Any) -> tuple[str, str]:
    """A token, and the id of its share."""
    status, answer = ask(cloud, "POST", f"/jobs/{JOB}/shares", body)
    assert status == 201
    return answer["token"], answer["share"]["id"]


def test_a_link_shows_one_job_until_it_is_withdrawn(page: Page, cloud: EmbeddedCloud, base: str) -> None:
    token, share = new_link(cloud, may="look", label="a private note")
    watched = Watched.of(page)
    page.goto(f"{base}share.html#{token}")
    expect(page.get_by_role("heading", name="Quay")).to_be_visible()
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()
    text = page.locator("body").inner_text()
    assert not any(word in text for word in ("Report", "Files", "pilot@example.com", "$", "a private note", "Yard"))
    page.reload()
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()
    secret = token.partition(".")[2]
    assert not any(secret in address for address in watched.addresses)
    assert secret not in page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
    for route in (
        "/jobs",
        "/options",
        *(f"/jobs/{job}{end}" for job in (JOB, OTHER) for end in ("", "/model", "/shares")),
    ):
        assert ask(cloud, "GET", route, x_share_token=token)[0] == 403, route
    assert ask(cloud, "DELETE", f"/jobs/{JOB}/shares/{share}")[0] == 200
    for route in ("/shared", "/shared/model"):
        assert ask(cloud, "GET", route, x_share_token=token)[0] == 404
    assert watched.complaints == []
    page.reload()
    expect(page.get_by_text(GONE)).to_be_visible()
    expect(page.locator("splat-view")).to_have_count(0)


def test_a_link_that_lets_download_has_the_files(page: Page, cloud: EmbeddedCloud, base: str) -> None:
    token, _ = new_link(cloud, may="download")
    page.goto(f"{base}share.html#{token}")
    page.get_by_role("tab", name="Files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="compressed model (SOG)").click()
    assert download.value.path().read_bytes() == model_sog()
    assert download.value.suggested_filename == "Quay.sog"


def test_a_link_to_the_report_shows_it_without_files_and_costs(page: Page, cloud: EmbeddedCloud, base: str) -> None:
    token, _ = new_link(cloud, may="report")
    watched = Watched.of(page)
    page.goto(f"{base}share.html#{token}")
    page.get_by_role("tab", name="Report").click()
    expect(page.get_by_text("Compressed to 100 kB, 20 times smaller")).to_be_visible()
    expect(page.get_by_role("tab", name="Files")).to_have_count(0)
    text = page.locator("body").inner_text()
    assert "$" not in text and "pilot@example.com" not in text
    assert watched.complaints == []


@pytest.mark.parametrize("place", ["", "#", "#code=abc", f"#{JOB}.{'A' * 43}"])
def test_what_is_no_link_is_a_sentence(page: Page, base: str, place: str) -> None:
    page.goto(f"{base}share.html{place}")
    expect(page.get_by_text(GONE)).to_be_visible()


def test_the_secret_of_a_link_is_in_no_log_and_no_file(page: Page, cloud: EmbeddedCloud, base: str) -> None:
    token, share = new_link(cloud)
    secret = token.partition(".")[2]
    page.goto(f"{base}share.html#{token}")
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()
    page.goto(f"{base}share.html#{token[:-4]}AAAA")  # only the part behind the sign changes: nothing is loaded anew
    expect(page.get_by_text(GONE)).to_be_visible()
    files = files_of(cloud.state)
    assert any(share in path.name for path in files), "the share itself is among them"
    assert any(path.parent.name == "logs" for path in files)
    assert [path for path, body in files.items() if secret[:-4].encode() in body] == []


def files_of(folder: Path) -> dict[Path, bytes]:
    """All files below a folder in which a cloud is at work: some go while they are listed."""
    paths = [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]
    files = {}
    for path in paths:
        with suppress(FileNotFoundError):
            files[path] = path.read_bytes()
    return files


def open_tab(page: Page, cloud: EmbeddedCloud, base: str) -> None:
    """The owner's *Share*, signed in."""
    page.goto(link_of(cloud))
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    page.goto(f"{base}?job={JOB}&tab=share")
    expect(page.get_by_role("heading", name="Links that work")).to_be_visible()


def test_the_owner_makes_copies_and_withdraws_a_link(
    page: Page, cloud: EmbeddedCloud, base: str, browser: Browser
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    watched = Watched.of(page)
    open_tab(page, cloud, base)
    expect(page.get_by_text("This Spaceport runs on this machine alone")).to_be_visible()
    expect(page.get_by_label("Where on the earth")).to_be_disabled()
    page.get_by_role("radio", name="Report").check()
    page.get_by_label("Where on the earth").check()
    page.get_by_label("Days until it ends").fill("7")
    page.get_by_label("Note for you").fill(f"{HOSTILE} for Ann")
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_label("Link", exact=True)).to_be_focused()
    page.get_by_role("button", name="Copy the link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    address = page.evaluate("navigator.clipboard.readText()")
    assert address == page.get_by_label("Link", exact=True).input_value()
    expect(page.get_by_text("make a link of the kind Look")).to_be_visible()
    entry = page.get_by_role("listitem").filter(has_text=f"{HOSTILE} for Ann")
    expect(entry).to_contain_text("Report, with positions")
    with browser.new_context() as stranger:
        visit = stranger.new_page()
        visit.goto(address)
        expect(visit.get_by_role("heading", name="Quay")).to_be_visible()
        assert "Ann" not in visit.locator("body").inner_text()
        entry.get_by_role("button", name="Withdraw").click()
        expect(page.get_by_role("button", name="Keep it")).to_be_focused()
        page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
        expect(entry).to_have_count(0)
        expect(page.get_by_label("Link", exact=True)).to_have_count(0)
        visit.reload()
        expect(visit.get_by_text(GONE)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Links that work")).to_be_visible()
    expect(entry).to_have_count(0)
    assert watched.complaints == []


@contextmanager
def another_site(*bodies: str) -> Iterator[str]:
    """Somebody's web server on another port: `/0` is the first body, and so on."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>Theirs</title>{bodies[int(self.path[1:])]}".encode())

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as (_, address):
        yield address


def test_the_model_in_somebodys_page_comes_with_a_click(page: Page, cloud: EmbeddedCloud, base: str) -> None:
    open_tab(page, cloud, base)
    page.get_by_role("button", name="Make a link").click()
    code = page.get_by_label("For a web page").input_value()
    watched = Watched.of(page)
    with another_site(code) as site:
        page.goto(f"{site}/0")
        frame = page.frame_locator("iframe[title=Quay]")
        button = frame.get_by_role("button", name="Look around in 3D")
        expect(button).to_be_visible()
        assert not any("model.sog" in address for address in watched.addresses), "only the poster until then"
        button.click()
        expect(frame.get_by_role("toolbar", name="Viewer")).to_be_visible()
    assert watched.complaints == []


@pytest.mark.parametrize("name", ["", "index.html", "share.html"])
def test_no_other_page_of_ours_is_framed(page: Page, base: str, name: str) -> None:
    with another_site(f'<iframe src="{base}{name}"></iframe>') as site:
        page.goto(f"{site}/0")

        def is_refused() -> bool:
            page.wait_for_timeout(50)  # what becomes of frames is heard only meanwhile
            return len(page.frames) == 2 and page.frames[1].url.startswith("chrome-error:")

        until(is_refused, lambda: [frame.url for frame in page.frames])


def test_the_mail_of_a_finished_job_opens_it_without_a_key(page: Page, cloud: EmbeddedCloud, base: str) -> None:
    job_id, files = "pier-0123456789", {"compressed/model.sog": model_sog(), "compressed/poster.jpg": poster()}
    add_finished_job(cloud, job_id, "Pier", files, email="ann@example.com")

    def mail() -> dict[str, Any] | None:
        return next((each for each in mails(cloud.access) if each["To"] == ["ann@example.com"]), None)

    until(lambda: mail() is not None, lambda: "no mail has come")
    body = str((mail() or {})["BodyHtml"])
    assert "cid:" in body and f"{base}?job={job_id}" in body
    address = re.findall(r'href="([^"]+share.html#[^"]+)"', body)[0]
    page.goto(address)
    expect(page.get_by_role("heading", name="Pier")).to_be_visible()
    expect(page.get_by_role("toolbar", name="Viewer")).to_be_visible()
    share = ask(cloud, "GET", f"/jobs/{job_id}/shares")[1]["shares"]
    assert [each["label"] for each in share] == ["In the mail at the job's end"]
