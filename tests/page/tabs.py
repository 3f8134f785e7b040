"""A browser with a profile on the disk, of which a tab or all can be killed, and whose memory is measured."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from browser_fixtures import CHROMIUM, SWITCHES
from playwright.sync_api import Browser, BrowserContext, BrowserType, Error, Page
from waiting import PATIENCE, until

MEASURED_EVERY_S = 0.1


class Profile:
    """What outlives its browser: what pages have stored, in `folder`."""

    def __init__(self, kind: BrowserType, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self.context = self._launched()

    def tab(self) -> Page:
        """An empty tab; the window is never without one."""
        return self.context.new_page()

    def renderer(self) -> int:
        """The process of the tab, of several renderers the one that has worked most."""
        renderers = self._processes("renderer")
        return max(renderers, key=lambda pid: renderers[pid])

    def kill_tab(self) -> None:
        """As the system does when memory is short: the page gets no time to do anything."""
        _kill(self.renderer())
        for page in self.context.pages:
            with suppress(Error):
                page.close()

    def kill_browser(self) -> None:
        """All of it at once, and start it again with what its profile holds."""
        (browser,) = self._processes("browser")
        _kill(browser)
        self.close()
        self.context = self._launched()

    def close(self) -> None:
        with suppress(Error):
            self.context.close()

    def _launched(self) -> BrowserContext:
        switches = [*SWITCHES, "--disable-features=SpareRendererForSitePerProcess"]
        context = self._kind.launch_persistent_context(
            str(self._folder), executable_path=CHROMIUM, args=switches, timeout=PATIENCE * 1000
        )
        context.set_default_timeout(PATIENCE * 1000)
        return context

    def _processes(self, kind: str) -> dict[int, float]:
        """The seconds that each process of a kind has worked, by its id."""
        browser: Browser | None = self.context.browser
        assert browser
        session = browser.new_browser_cdp_session()
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
        session.detach()
        return {process["id"]: process["cpuTime"] for process in processes if process["type"] == kind}


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not _is_alive(pid), lambda: f"process {pid} is still there")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pss(pid: int) -> int:
    """Bytes of a process, with its part of what it shares with others. 0 once it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


class Peak:
    """The most that a process has held, while `measured` runs."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def measured(pid: int) -> Iterator[Peak]:
    peak, is_over = Peak(), threading.Event()

    def watch() -> None:
        while not is_over.wait(MEASURED_EVERY_S):
            peak.bytes = max(peak.bytes, pss(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()
