"""Which command starts the embedded cloud."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import waiting

from spaceport.local import daemon
from spaceport.local.access import Access, new_secret
from spaceport.local.address import PublishedAddress, RunningCloud, attach
from spaceport.local.state import lock, prepare


def test_who_comes_while_a_cloud_starts_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon takes a second of a processor to find the folder locked."""
    attempts: list[RunningCloud | None] = []

    def attempt(state: Path) -> RunningCloud | None:
        attempts.append(attach(state))
        return attempts[-1]

    prepare(tmp_path)
    monkeypatch.setattr(daemon, "attach", attempt)
    monkeypatch.setattr(daemon, "_spawn", lambda state: pytest.fail("a second daemon"))
    with lock(tmp_path), ThreadPoolExecutor(1) as pool:
        coming = pool.submit(come, tmp_path)
        waiting.until(lambda: len(attempts) > 3 or coming.done())
        published = PublishedAddress(tmp_path, Access("http://127.0.0.1:1", "http://127.0.0.1:2", new_secret()))
        try:
            assert coming.result(waiting.PATIENCE) == "http://127.0.0.1:1"
        finally:
            published.close()


def come(state: Path) -> str:
    with daemon.using(state, start=True) as cloud:
        return cloud.access.endpoint if cloud else ""
