"""One running cloud for all tests of a worker: they count no jobs but their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spaceport.local.cloud import EmbeddedCloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    with EmbeddedCloud(tmp_path_factory.mktemp("cloud") / "state") as cloud:
        yield cloud
