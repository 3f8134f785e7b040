"""A link that shows one job, opened by somebody without an account: that job within its scope, and nothing else."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from finished_jobs import add_finished_job
from page_cases import Watched, link_of
from page_models import model_sog
from playwright.sync_api import Page, expect

from spaceport.local.cloud import EmbeddedCloud

JOB, OTHER = "quay-0123456789", "yard-0123456789"
GONE = "This link no longer works. Ask whoever sent it."


@pytest.fixture(scope="module")
def base(cloud: EmbeddedCloud) -> str:
    """Where the page is served; two jobs with models are there."""
    for job_id, name in ((JOB, "Quay"), (OTHER, "Yard")):
        add_finished_job(cloud, job_id, name, {"compressed/model.sog": model_sog()})
    return link_of(cloud).partition("#")[0]


def ask(cloud: EmbeddedCloud, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and answer of a call of the API."""
    link = link_of(cloud)
    page, _, key = link.partition("#key=")
    with urllib.request.urlopen(f"{page}config.json", timeout=60) as config:
        api = page.partition("/_spaceport/")[0] + json.load(config)["api"]
    sent = {name.replace("_", "-"): value for name, value in (headers or {"x_api_key": key}).items()}
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
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0
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


@pytest.mark.parametrize("place", ["", "#", "#key=abc", f"#{JOB}.{'A' * 43}"])
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
    files = {path: path.read_bytes() for path in cloud.state.rglob("*") if path.is_file()}
    assert any(share in path.name for path in files), "the share itself is among them"
    assert any(path.parent.name == "logs" for path in files)
    assert [path for path, body in files.items() if secret[:-4].encode() in body] == []
