"""Every state that the page can be in: for axe, for narrow screens, and for the pictures of `docs/page_pictures.py`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from page_cases import link_of
from pipeline_cases import ended, requested, staged
from playwright.sync_api import Error, Page, Route, expect
from test_page_shares import ask
from upload_cases import choose

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.contract import AnyManifest, EndManifest, Failure, Figure, JobState, StageName
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.state import Beat

HOSTILE = '<img src=x onerror="document.title=1">'
FEW = Refused(Slug.TOO_FEW_REGISTERED, count=4, total=30)
UNSAFE = Refused(Slug.UNSAFE_PATH, name=f"../{HOSTILE}.JPG")
BROKEN = Refused(Slug.COMPRESSION_BROKEN, detail="31.2 dB")


@dataclass(frozen=True)
class Scene:
    """A tab on a cloud with jobs in all states, photos to drop, and the id of a job with a model."""

    page: Page
    cloud: EmbeddedCloud
    photos: list[Path]
    finished: str

    def home(self) -> None:
        self.page.goto("about:blank")  # else only the part after # changes, and nothing is loaded
        self.page.goto(link_of(self.cloud))
        expect(self.page.get_by_role("heading", name="Your jobs")).to_be_visible()

    def job(self, job_id: str, query: str = "") -> None:
        base, _, code = link_of(self.cloud).partition("#")
        self.page.goto("about:blank")
        self.page.goto(f"{base}?job={job_id}{query}#{code}")
        expect(self.page.locator("p.sentence")).to_be_visible()


def end_of(job_id: str, state: JobState, stage: StageName | None = None, error: Refused | None = None) -> EndManifest:
    failure = Failure(slug=error.slug, sentence=str(error)) if error else None
    message = str(error) if error else "over"
    return ended(state, job_id).model_copy(update={"failure": failure, "stage": stage, "message": message})


def add_jobs(cloud: EmbeddedCloud) -> None:
    """One job in each state that has no model to look at."""
    deployment = deployment_of(cloud.access)

    def add(job_id: str, name: str, *stages: StageName, end: EndManifest | None = None) -> None:
        now = datetime.now(UTC)
        manifests: list[AnyManifest] = [requested(job_id, name=name, received_at=now - timedelta(minutes=9))]
        manifests += [staged(stage, job_id, name=name) for stage in stages]
        manifests += [end] if end else []
        for number, manifest in enumerate(manifests):
            when = now - timedelta(minutes=9 - number)
            deployment.table.record(manifest.model_copy(update={"created_at": when}))

    sfm, train, compress = StageName
    add("state-received", "Vineyard")
    add("state-running", "Lighthouse", sfm)
    add("state-silent", "Silo", sfm)
    for job_id, ago in (("state-running", 0), ("state-silent", 130)):
        figures: dict[str, Figure] = {"seconds_left": 360, "gaussians": 41_200, "psnr": 24.1}
        when = datetime.now(UTC) - timedelta(seconds=ago)
        deployment.table.record(Beat(train, 0.2, "Training at half size", figures, when), job_id)
    ends = {
        "stopped": ("Quarry", [sfm], end_of("state-stopped", JobState.STOPPED, train)),
        "failed": ("Reservoir", [], end_of("state-failed", JobState.FAILED, sfm, FEW)),
        "rejected": (HOSTILE, [], end_of("state-rejected", JobState.REJECTED, None, UNSAFE)),
        "degraded": ("Chapel", [sfm, train], end_of("state-degraded", JobState.COMPLETED_DEGRADED, compress, BROKEN)),
    }
    for state, (name, stages, end) in ends.items():
        add(f"state-{state}", name, *stages, end=end)


def key_form(scene: Scene) -> None:
    scene.page.goto("about:blank")
    scene.page.goto(link_of(scene.cloud).partition("#")[0])
    scene.page.evaluate("sessionStorage.clear()")
    scene.page.reload()
    expect(scene.page.get_by_label("API key")).to_be_visible()


def key_refused(scene: Scene) -> None:
    key_form(scene)
    scene.page.get_by_label("API key").fill("a-wrong-key-that-is-long-enough")
    scene.page.get_by_role("button", name="Open").click()
    expect(scene.page.get_by_role("alert")).to_contain_text("not accepted")


def home(scene: Scene) -> None:
    scene.home()
    expect(scene.page.get_by_role("link").filter(has_text="Lighthouse")).to_be_visible()


def home_empty(scene: Scene) -> None:
    def no_jobs(route: Route) -> None:
        route.fulfill(json={"jobs": []})

    scene.page.route("**/jobs?*", no_jobs)
    scene.home()
    expect(scene.page.get_by_text("No job yet.")).to_be_visible()
    scene.page.unroute("**/jobs?*")


def home_offline(scene: Scene) -> None:
    scene.home()
    scene.page.route("**/jobs?*", lambda route: route.abort("internetdisconnected"))
    scene.page.evaluate("dispatchEvent(new Event('online'))")  # it asks at once
    expect(scene.page.get_by_text("No connection. Going on by itself.")).to_be_visible()
    scene.page.unroute("**/jobs?*")


def new_job(scene: Scene) -> None:
    scene.home()
    choose(scene.page, scene.photos)
    expect(scene.page.locator("p.sentence")).to_have_text("All is uploaded")
    expect(scene.page.get_by_label("standard")).to_be_visible()


def new_job_options(scene: Scene) -> None:
    new_job(scene)
    scene.page.get_by_text("All options").click()
    scene.page.get_by_label("Most iterations").fill("0")
    expect(scene.page.get_by_text("At least 1.")).to_be_visible()


def cancel_dialog(scene: Scene) -> None:
    new_job(scene)
    scene.page.get_by_role("button", name="Cancel the upload").click()
    expect(scene.page.get_by_role("dialog")).to_be_visible()


def interrupted(scene: Scene) -> None:
    new_job(scene)
    scene.page.on("dialog", _leave)
    scene.home()
    expect(scene.page.get_by_role("heading", name="Interrupted uploads")).to_be_visible()


def _leave(dialog: Any) -> None:
    with suppress(Error):
        dialog.accept()


def stop_dialog(scene: Scene) -> None:
    scene.job("state-running")
    scene.page.get_by_role("button", name="Stop").click()
    expect(scene.page.get_by_role("dialog")).to_be_visible()


def looked_at(scene: Scene) -> None:
    scene.job(scene.finished)
    expect(scene.page.get_by_role("toolbar", name="Viewer")).to_be_visible()


def tab(name: str) -> Callable[[Scene], None]:
    def open_tab(scene: Scene) -> None:
        scene.job(scene.finished, f"&tab={name}")
        expect(scene.page.locator(f"#panel-{name}:not([hidden])")).to_have_count(1)

    return open_tab


def shared(name: str, may: str) -> Callable[[Scene], None]:
    """`share.html` or `embed.html` with a link of that scope."""

    def open_link(scene: Scene) -> None:
        status, answer = ask(scene.cloud, "POST", f"/jobs/{scene.finished}/shares", {"may": may})
        assert status == 201
        scene.page.goto("about:blank")
        scene.page.goto(f"{link_of(scene.cloud).partition('#')[0]}{name}.html#{answer['token']}")
        expect(scene.page.get_by_role("button").first).to_be_visible()

    return open_link


def embed_opened(scene: Scene) -> None:
    shared("embed", "look")(scene)
    scene.page.get_by_role("button", name="Look around in 3D").click()
    expect(scene.page.get_by_role("toolbar", name="Viewer")).to_be_visible()


def share_gone(scene: Scene) -> None:
    scene.page.goto("about:blank")
    scene.page.goto(f"{link_of(scene.cloud).partition('#')[0]}share.html#nothing")
    expect(scene.page.get_by_text("This link no longer works.")).to_be_visible()


def share_made(scene: Scene) -> None:
    tab("share")(scene)
    scene.page.get_by_role("button", name="Make a link").click()
    expect(scene.page.get_by_label("Link", exact=True)).to_be_visible()


def withdraw_dialog(scene: Scene) -> None:
    share_made(scene)
    scene.page.get_by_role("button", name="Withdraw").first.click()
    expect(scene.page.get_by_role("dialog")).to_be_visible()


def job(job_id: str) -> Callable[[Scene], None]:
    return lambda scene: scene.job(job_id)


def no_such_job(scene: Scene) -> None:
    base, _, code = link_of(scene.cloud).partition("#")
    scene.page.goto("about:blank")
    scene.page.goto(f"{base}?job=nowhere-0123456789#{code}")
    expect(scene.page.get_by_role("heading", name="No such job")).to_be_visible()


STATES: dict[str, Callable[[Scene], None]] = {
    "key": key_form,
    "key-refused": key_refused,
    "home-empty": home_empty,
    "home": home,
    "home-offline": home_offline,
    "interrupted": interrupted,
    "new": new_job,
    "new-options": new_job_options,
    "new-cancel": cancel_dialog,
    "job-received": job("state-received"),
    "job-running": job("state-running"),
    "job-silent": job("state-silent"),
    "job-stop": stop_dialog,
    "job-stopped": job("state-stopped"),
    "job-failed": job("state-failed"),
    "job-rejected": job("state-rejected"),
    "job-degraded": job("state-degraded"),
    "job-missing": no_such_job,
    "look": looked_at,
    "report": tab("report"),
    "files": tab("files"),
    "share": tab("share"),
    "share-made": share_made,
    "share-withdraw": withdraw_dialog,
    "shared": shared("share", "download"),
    "shared-gone": share_gone,
    "embed": shared("embed", "look"),
    "embed-opened": embed_opened,
}
