"""Every state that the page can be in: for axe, for narrow screens, and for the pictures of `docs/page_pictures.py`."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from finished_jobs import add_finished_job
from page_cases import link_of
from page_scene import Scene, beat
from PIL import Image
from playwright.sync_api import Error, Route, expect
from test_page_actions import show
from test_page_look import click, ground_sog, viewer_file
from test_page_shares import ask
from upload_cases import choose

from spaceport.cli.connect import deployment_of

MEASURED = "state-measured"
PREVIEW, MAX_PREVIEW = "gaussian/preview.jpg", 2_000_000


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


def live(scene: Scene) -> None:
    """With the first strip of the finished job's preview: a photo and the model beside it."""
    preview = deployment_of(scene.cloud.access).bucket.read_small(f"jobs/{scene.finished}/{PREVIEW}", MAX_PREVIEW)
    strip = Image.open(io.BytesIO(preview)).crop((8, 18, 816, 224)) if preview else None
    show(scene.cloud, "state-live", 1400, 17.2, 20.9, 22.4, 23.3, 23.8, 24.1, picture=strip)
    running("state-live")(scene)
    expect(scene.page.get_by_text("Model after 1,400 iterations")).to_be_visible()


def running(job_id: str) -> Callable[[Scene], None]:
    def watch(scene: Scene) -> None:
        beat(scene.cloud, job_id)
        scene.job(job_id)

    return watch


def silent(scene: Scene) -> None:
    """Its last heartbeat is two minutes old; the table takes each at its own clock's time."""

    def age(route: Route) -> None:
        answer = route.fetch()
        if answer.status != 200:
            route.fulfill(response=answer)
            return
        body = answer.json()
        body["job"]["heartbeat_at"] = (datetime.now(UTC) - timedelta(seconds=130)).isoformat()
        route.fulfill(response=answer, json=body)

    scene.page.route("**/jobs/state-silent*", age)
    scene.job("state-silent")
    expect(scene.page.get_by_text("No word for 2 min; it is being looked after.")).to_be_visible()
    scene.page.unroute("**/jobs/state-silent*", age)


def dialog(job_id: str, button: str) -> Callable[[Scene], None]:
    """A question about a job, which a button opens."""

    def ask_it(scene: Scene) -> None:
        scene.job(job_id)
        scene.page.get_by_role("button", name=button, exact=True).click()
        expect(scene.page.get_by_role("dialog")).to_be_visible()

    return ask_it


def retry_options(scene: Scene) -> None:
    dialog("state-stopped", "Go on from…")(scene)
    scene.page.get_by_text("All options").click()
    scene.page.get_by_label("Most iterations").fill("0")
    expect(scene.page.get_by_text("At least 1.")).to_be_visible()


def key_over(scene: Scene) -> None:
    """A key that is refused while a job is watched."""
    scene.job("state-silent")
    scene.page.route("**/jobs/state-silent*", lambda route: route.fulfill(status=403, json={"message": "Forbidden"}))
    expect(scene.page.get_by_role("dialog", name="Your key")).to_be_visible()
    scene.page.unroute("**/jobs/state-silent*")


def tape(scene: Scene) -> None:
    looked_at(scene)
    scene.page.get_by_role("button", name="Tape").click()
    expect(scene.page.locator(".tape")).to_be_visible()


def measured(scene: Scene) -> None:
    """Lengths and an area of a model in metres, and the buttons that take points back."""
    if deployment_of(scene.cloud.access).table.get(MEASURED) is None:
        settings = viewer_file({"is_metric": True, "unit_m": 3.0, "scale_uncertainty": 0.012}).encode()
        files = {"compressed/model.sog": ground_sog(), "compressed/viewer.json": settings}
        add_finished_job(scene.cloud, MEASURED, "Field", files)
    scene.job(MEASURED)
    scene.page.get_by_role("button", name="Tape").click()
    view = scene.page.locator("splat-view")
    for x, y in ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0)):
        click(view, (x, y, 0.0))
    expect(view.get_by_role("status")).to_contain_text("m² enclosed")


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
    "job-running": running("state-running"),
    "job-silent": silent,
    "job-live": live,
    "job-stop": dialog("state-running", "Stop"),
    "job-retry": dialog("state-stopped", "Go on from…"),
    "job-retry-options": retry_options,
    "job-delete": dialog("state-stopped", "Delete"),
    "job-key": key_over,
    "job-stopped": job("state-stopped"),
    "job-failed": job("state-failed"),
    "job-rejected": job("state-rejected"),
    "job-degraded": job("state-degraded"),
    "job-missing": no_such_job,
    "look": looked_at,
    "look-tape": tape,
    "look-measured": measured,
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
