"""What the page asks of a device: seconds until it can be used, until a model is drawn, and an upload's memory.

    python benchmarks/page.py --model demo-out/compressed/model.sog [--repeats 3] [--megabytes 1000]

Debian's Chromium at 1280 x 800 on its software renderer, an embedded cloud beside it, nothing in the browser's cache.
"Interactive": the drop zone and the list of jobs are there, at 1.6 Mbit/s, 150 ms a round trip, and a quarter of this
CPU. "Model": the viewer's first picture of the model, from the job's address on, at 9 Mbit/s and a quarter of this CPU.
Both are counted by the page's own clock from the navigation on; the median and the worst of the repeats are printed.
"Memory": the PSS of the tab's process, ten times a second, while loose files are uploaded. The goals are in the table;
there is no peer to run beside it. It imports what the page's tests use.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), *(str(TESTS / name) for name in ("unit", "fuzz", "browser", "page"))]

from browser_fixtures import launched  # noqa: E402
from finished_jobs import add_finished_job  # noqa: E402
from page_cases import link_of  # noqa: E402
from playwright.sync_api import Browser, Page, expect  # noqa: E402
from tabs import Profile, measured, pss  # noqa: E402
from upload_cases import MEGABYTE, choose, sparse  # noqa: E402

from spaceport.local.cloud import EmbeddedCloud  # noqa: E402

JOB = "measured-0123456789"
CPU_SLOWER = 4
FILE_MEGABYTES = 25


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
        add_finished_job(cloud, JOB, "Measured", {"compressed/model.sog": model})
        print(f"{'':<44}{'median':>9}{'worst':>9}{'goal':>9}")
        seconds = [_seconds(browser, cloud, "", 1.6, 150, _can_be_used) for _ in range(arguments.repeats)]
        _print("interactive, 1.6 Mbit/s, 150 ms, CPU/4", seconds, "2.0 s")
        address = f"?job={JOB}"
        seconds = [_seconds(browser, cloud, address, 9, 20, _shows_model) for _ in range(arguments.repeats)]
        _print(f"model of {len(model) / 1e6:.2f} MB, 9 Mbit/s, CPU/4", seconds, "4.0 s")
        if arguments.megabytes:
            _measure_upload(
                Profile(browser.browser_type, Path(scratch) / "profile"), cloud, arguments.megabytes, scratch
            )


def _print(what: str, seconds: list[float], goal: str) -> None:
    print(f"{what:<44}{statistics.median(seconds):>7.2f} s{max(seconds):>7.2f} s{goal:>9}")


def _seconds(
    browser: Browser, cloud: EmbeddedCloud, query: str, mbits: float, latency_ms: float, wait: Callable[[Page], None]
) -> float:
    """From the navigation until `wait` returns, in a context of its own, whose cache is empty."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(120_000)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    bytes_a_second = mbits * 1e6 / 8
    conditions = {"offline": False, "latency": latency_ms, "downloadThroughput": bytes_a_second, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", conditions)
    session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWER})
    base, _, key = link_of(cloud).partition("#")
    page.goto(f"{base}{query}#{key}", wait_until="commit")
    wait(page)
    milliseconds: float = page.evaluate("performance.now()")
    context.close()
    return milliseconds / 1000


def _can_be_used(page: Page) -> None:
    page.get_by_role("button", name="Choose files").first.wait_for()
    page.locator("ul.jobs a").first.wait_for()


def _shows_model(page: Page) -> None:
    page.get_by_role("toolbar", name="Viewer").wait_for()


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
