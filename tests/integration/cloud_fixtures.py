"""The embedded cloud, and a survey small enough for tests."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with EmbeddedCloud(tmp_path / "state") as embedded:
        yield Cloud(embedded)
    assert survivors((tmp_path / "state").resolve()) == [], "the embedded cloud left processes behind"
