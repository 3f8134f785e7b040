"""Keys, tokens and signed addresses stay where they belong, and what people call their files and jobs is text."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import piexif
from page_cases import Watched, api_key_of, link_of
from PIL import Image
from playwright.sync_api import Page, Request, expect
from upload_cases import drop
from waiting import until

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud

HOSTILE = '<img src=x onerror="document.body.remove()">'
SIGNED = "X-Amz-Signature"


def collect(page: Page, secrets: set[str]) -> list[str]:
    """Take down the signature of every signed address. Returns what the page has told others of where it was."""
    referrers: list[str] = []

    def look(request: Request) -> None:
        signature = request.url.partition(f"{SIGNED}=")[2].partition("&")[0]
        if signature:
            secrets.add(signature)
        referrers.extend(request.headers[name] for name in request.headers if name.lower() == "referer")

    page.on("request", look)
    return referrers


def photos(folder: Path) -> list[Path]:
    """With HTML in their names and in what the cameras say they are."""
    folder.mkdir()
    exif = {"0th": {piexif.ImageIFD.Make: HOSTILE.encode()}}
    paths = [folder / f"{number} {HOSTILE}.JPG" for number in range(3)]
    for number, path in enumerate(paths):
        exif["0th"][piexif.ImageIFD.Model] = f"X{number}".encode()
        Image.new("RGB", (64, 48), (50 * number, 9, 9)).save(path, exif=piexif.dump(exif))
    (folder / f"{HOSTILE}.docx").write_bytes(b"notes")
    return paths


def test_a_whole_flow_leaves_no_secret_and_runs_no_name(
    page: Page, cloud: EmbeddedCloud, jobs: list[str], tmp_path: Path
) -> None:
    link = link_of(cloud)
    secrets = {api_key_of(cloud), link.rpartition("=")[2]}
    folder = tmp_path / HOSTILE
    photos(folder)
    watched = Watched.of(page)
    referrers = collect(page, secrets)
    page.goto(link)
    drop(page, folder)
    expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    expect(page.get_by_text(f"Photos of 3 cameras: {HOSTILE} X0")).to_be_visible()
    page.get_by_text("1 file left out").click()
    expect(page.get_by_text(f"{HOSTILE}/{HOSTILE}.docx: no photo or video")).to_be_visible()
    expect(page.locator("p.sentence")).to_have_text("All is uploaded")
    page.get_by_role("button", name="Make the model").click()
    expect(page.get_by_role("list", name="Stages")).to_be_visible()
    jobs.append(page.url.partition("job=")[2])
    until(lambda: deployment_of(cloud.access).table.get(jobs[0]), lambda: "there is no job")
    expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    page.get_by_role("link", name="Spaceport").click()
    expect(page.get_by_role("link").filter(has_text=HOSTILE).first).to_be_visible()
    assert len(secrets) > 2, "parts were sent to signed addresses"
    no_history_of(page, secrets)
    no_log_of(cloud, secrets)
    assert {address for address in referrers if urlsplit(address).path.strip("/")} == set()
    assert watched.complaints == []


def no_history_of(page: Page, secrets: set[str]) -> None:
    session = page.context.new_cdp_session(page)
    entries = session.send("Page.getNavigationHistory")["entries"]
    assert len(entries) > 2
    assert [entry["url"] for entry in entries if any(secret in entry["url"] for secret in secrets)] == []


def no_log_of(cloud: EmbeddedCloud, secrets: set[str]) -> None:
    logs = {path: path.read_text(errors="replace") for path in (cloud.state / "logs").rglob("*") if path.is_file()}
    assert any("functions" in path.name and text for path, text in logs.items())
    for secret in {*secrets, SIGNED, "X-Amz-Security-Token"}:
        assert [path.name for path, text in logs.items() if secret in text] == []
