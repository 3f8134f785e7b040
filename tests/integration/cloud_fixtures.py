"""The embedded cloud, and a survey small enough for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cloud_cases import Cloud
from surveys import shared_survey

from spaceport.demo import Survey
from spaceport.local.children import survivors
from spaceport.local.cloud import EmbeddedCloud


@pytest.fixture(scope="session")
def survey() -> Survey:
    return shared_survey(12, 512, 384)


@contextmanager
def running_cloud(state: Path) -> Iterator[Cloud]:
    """An embedded cloud on a state folder; all that it started has ended afterwards."""
    with EmbeddedCloud(state) as embedded:
        yield Cloud(embedded)
    assert survivors(state.resolve()) == [], "the embedded cloud left processes behind"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with running_cloud(tmp_path / "state") as cloud:
        yield cloud
