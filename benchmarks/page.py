"""What the page asks of a device: seconds until it can be used, until a model is drawn, and an upload's memory.

    python benchmarks/page.py --model demo-out/compressed/model.sog [--repeats 3] [--megabytes 1000]

Debian's Chromium at 1280 x 800 on its software renderer, an embedded cloud beside it, nothing in the browser's cache.
"Interactive": the drop zone and the list of jobs are there, at 1.6 Mbit/s, 150 ms a round trip, and a quarter of this
CPU. "Poster": what the stage rendered of the model stands where the model will. "Model": the viewer's first picture
of the model is there, all of its pixels, from the job's address on. Both at 9 Mbit/s and a quarter of this CPU, in
turn with the peer: the page of PlayCanvas' own viewer, as its package brings it, with the same model from the same
machine; it asks no API, and shows nothing but the model. All are counted by the page's own clock from the navigation
on; the median and the worst of the repeats are printed. What lies beside the model (`poster.jpg`, `viewer.json`) is
part of the job.
"Memory": the PSS of the tab's process, ten times a second, while loose files are uploaded. The goals are in the table.
It imports what the page's tests use.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), *(str(TESTS / name) for name in ("unit", "fuzz", "browser", "page"))]

from browser_fixtures import launched  # noqa: E402
from finished_jobs import add_finished_job  # noqa: E402
from http_servers import serving  # noqa: E402
from page_cases import link_of  # noqa: E402
from playwright.sync_api import Browser, Page, expect  # noqa: E402
from tabs import Profile, measured, pss  # noqa: E402
from upload_cases import MEGABYTE, WEB, choose, sparse  # noqa: E402

from spaceport.local.cloud import EmbeddedCloud  # noqa: E402

JOB = "measured-0123456789"
CPU_SLOWER = 4
FILE_MEGABYTES = 25
PEER = WEB / "node_modules/@playcanvas/supersplat-viewer/public"
SETTINGS = {"camera": {"startAnim": "none"}, "background": {"color": [0, 0, 0]}, "animTracks": []}
"""Of the peer: no flight, all of the model in view."""
FIRST_FRAME = """
window.firstFrame = () => {
  const gl = document.querySelector("canvas").getContext("webgl2");
  const end = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  gl.flush();
  const look = () => {
    if (gl.clientWaitSync(end, 0, 0) === gl.TIMEOUT_EXPIRED) setTimeout(look, 10);
    else window.drawn = performance.now() / 1000;
  };
  look();
};"""
"""The engine calls it when it has handed over its first picture; the software renderer works on that for a second."""
NOW = "performance.now() / 1000"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, required=True, help="model.sog, of about 1 MB for the goal to mean something"
    )
    parser.add_argument("--repeats", type=int, default=3, help="of each time (default: 3)")
    parser.add_argument("--megabytes", type=int, default=1000, help="MiB to upload; 0: none (default: 1000)")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        EmbeddedCloud(Path(scratch) / "state") as cloud,
        launched() as browser,
    ):
        model = arguments.model.read_bytes()
        beside = [path for name in ("poster.jpg", "viewer.json") if (path := arguments.model.with_name(name)).is_file()]
        add_finished_job(
            cloud,
            JOB,
            "Measured",
            {"compressed/model.sog": model} | {f"compressed/{path.name}": path.read_bytes() for path in beside},
        )
        print(f"{'':<44}{'median':>9}{'worst':>9}{'goal':>9}")

        def address(query: str = "") -> str:
            return link_of(cloud).replace("#", f"{query}#")  # a link works once

        seconds = [_seconds(browser, address(), 1.6, 150, _can_be_used)[-1] for _ in range(arguments.repeats)]
        _print("interactive, 1.6 Mbit/s, 150 ms, CPU/4", seconds, "2.0 s")
        _measure_model(browser, lambda: address(f"?job={JOB}"), model, arguments.repeats, bool(beside))
        if arguments.megabytes:
            _measure_upload(
                Profile(browser.browser_type, Path(scratch) / "profile"), cloud, arguments.megabytes, scratch
            )


def _print(what: str, seconds: list[float], goal: str) -> None:
    print(f"{what:<44}{statistics.median(seconds):>7.2f} s{max(seconds):>7.2f} s{goal:>9}")


def _measure_model(browser: Browser, address: Callable[[], str], model: bytes, repeats: int, has_poster: bool) -> None:
    steps = [_shows_poster, _shows_model] if has_poster else [_shows_model]
    with _peer(model) as peer:
        pairs = [
            (_seconds(browser, address(), 9, 20, *steps), _seconds(browser, peer, 9, 20, _is_drawn)[-1])
            for _ in range(repeats)
        ]
    ours, theirs = [each[-1] for each, _ in pairs], [each for _, each in pairs]
    if has_poster:
        _print("poster, 9 Mbit/s, CPU/4", [each[0] for each, _ in pairs], "")
    _print(f"model of {len(model) / 1e6:.2f} MB, 9 Mbit/s, CPU/4", ours, "4.0 s")
    _print("the peer's page with it", theirs, "")
    print(f"{'ours to the peer':<44}{statistics.median(ours) / statistics.median(theirs):>7.2f}")


def _seconds(
    browser: Browser, address: str, mbits: float, latency_ms: float, *steps: Callable[[Page], float]
) -> list[float]:
    """What each of the steps returns: seconds from the navigation on, in a context of its own, whose cache is empty."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(120_000)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    bytes_a_second = mbits * 1e6 / 8
    conditions = {"offline": False, "latency": latency_ms, "downloadThroughput": bytes_a_second, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", conditions)
    session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWER})
    page.add_init_script(FIRST_FRAME)
    page.goto(address, wait_until="commit")
    seconds = [step(page) for step in steps]
    context.close()
    return seconds


def _can_be_used(page: Page) -> float:
    page.get_by_role("button", name="Choose files").first.wait_for()
    page.locator("ul.jobs a").first.wait_for()
    return float(page.evaluate(NOW))


def _shows_model(page: Page) -> float:
    page.get_by_role("toolbar", name="Viewer").wait_for()
    return _is_drawn(page)


def _shows_poster(page: Page) -> float:
    page.locator("splat-view img.poster, [role=toolbar]").first.wait_for()
    page.evaluate("document.querySelector('splat-view img.poster')?.decode()")
    return float(page.evaluate(NOW))


def _is_drawn(page: Page) -> float:
    page.wait_for_function("window.drawn")
    return float(page.evaluate("window.drawn"))


@contextmanager
def _peer(model: bytes) -> Iterator[str]:
    """The peer's page on a free port, with gzip as the embedded cloud serves ours. Yields the address that shows it."""
    texts = {path.name: path.read_bytes() for path in PEER.iterdir() if path.suffix in {".html", ".css", ".js"}}
    texts["settings.json"] = json.dumps(SETTINGS).encode()
    types = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".json": "application/json"}
    bodies = {name: (types[Path(name).suffix], "gzip", gzip.compress(body)) for name, body in texts.items()}
    bodies["model.sog"] = ("application/octet-stream", "identity", model)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, encoding, body = bodies.get(self.path.partition("?")[0].strip("/"), ("text/plain", "identity", b""))
            self.send_response(200 if body else 404)
            for header, value in ("Content-Type", kind), ("Content-Encoding", encoding), ("Content-Length", len(body)):
                self.send_header(header, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as (_, address):
        yield f"{address}/index.html?content=model.sog&settings=settings.json"


def _measure_upload(profile: Profile, cloud: EmbeddedCloud, megabytes: int, scratch: str) -> None:
    files = sparse(Path(scratch), -(-megabytes // FILE_MEGABYTES), FILE_MEGABYTES * MEGABYTE)
    tab = profile.tab()
    tab.goto(link_of(cloud))
    expect(tab.get_by_role("heading", name="Your jobs")).to_be_visible()
    tab.evaluate("for (const end = Date.now() + 300; Date.now() < end;);")  # the tab is the renderer that works most
    renderer = profile.renderer()
    before = pss(renderer)
    with measured(renderer) as peak:
        choose(tab, files)
        expect(tab.locator("p.sentence")).to_have_text("All is uploaded", timeout=600_000)
        seconds = tab.evaluate("performance.now()") / 1000
    profile.close()
    print(f"{f'upload of {megabytes} MiB: the tab, MB':<44}{before / 1e6:>9.0f}{peak.bytes / 1e6:>9.0f}{'150':>9}")
    print(f"(before it, and at most; {seconds:.0f} s)")


if __name__ == "__main__":
    main()
