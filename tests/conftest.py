"""Property tests try the same examples every time and at any pace, so that a red test speaks of the change at hand.

New examples: `make explore`, or pytest with `--hypothesis-profile=explore`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A shell starts what it runs in the background with Ctrl-C ignored, children inherit that, and tests press Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

patient = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], print_blob=True
)
settings.register_profile("repeatable", patient, derandomize=True)
settings.register_profile("explore", patient)
settings.load_profile("repeatable")

LONGEST = (
    "test_cloud_chain",
    "test_sfm_formats",  # these two train nothing: else three processes would compile the same kernels at once
    "test_sfm_killed",
    "test_cloud_stops",
    "test_cloud_resume",
    "test_sfm_real",
    "test_sfm_survey",
    "test_cloud_api",
    "test_train_fit",
    "test_train_resume_points",
    "test_cloud_shared",
    "test_cloud_dies",
    "test_cloud_uploads",
    "test_sfm_broken",
    "test_cloud_terminal",
    "test_cloud_hung",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Of the browser's and the page's tests: here, so that a worker that runs both has one."""
    from browser_fixtures import launched  # noqa: PLC0415 (other tests need no Playwright)

    with launched() as browser:
        yield browser


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One more than there are cores where whole files are handed out: for much of their time they wait."""
    return len(os.sched_getaffinity(0)) + 1 if config.option.dist == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first: a worker that took one last would still be at it when all others rest."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(Path(item.path).stem, len(LONGEST)))
