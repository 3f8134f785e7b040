"""One running cloud for all tests of a worker: they count no jobs but their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tabs import Profile

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.jobs.batch import terminate_jobs
from spaceport.pipeline.jobs.ending import stop_job


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    with EmbeddedCloud(tmp_path_factory.mktemp("cloud") / "state") as cloud:
        yield cloud


@pytest.fixture
def jobs(cloud: EmbeddedCloud) -> Iterator[list[str]]:
    """Ids of jobs; they are stopped in the end."""
    deployment = deployment_of(cloud.access)
    ids: list[str] = []
    yield ids
    for job_id in ids:
        stop_job(deployment.bucket, deployment.table, job_id)
        terminate_jobs(deployment.batch, deployment.table, job_id, deployment.queues)


@pytest.fixture
def profile(browser: Browser, tmp_path: Path) -> Iterator[Profile]:
    """A browser of its own, to kill."""
    profile = Profile(browser.browser_type, tmp_path / "profile")
    yield profile
    profile.close()
