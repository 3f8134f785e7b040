"""The in-process AWS of the unit tests, where it must be as AWS is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from spaceport.pipeline.jobs.table import JobTable

CALLS = 100
KEY = {"job_id": "a-job", "record": "job"}


@pytest.fixture
def _hasty_threads() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_hasty_threads")
def test_calls_of_several_threads_change_a_row_one_after_another(table: JobTable) -> None:
    """A heartbeat that renews its lease just then must not undo an end."""
    rows: Any = table.table
    rows.put_item(Item=KEY | {"state": "TRAINING"})

    def count(name: str) -> None:
        for _ in range(CALLS):
            rows.update_item(
                Key=KEY,
                UpdateExpression="ADD #name :one SET #last = :name",
                ExpressionAttributeNames={"#name": name, "#last": f"last_{name}"},
                ExpressionAttributeValues={":one": 1, ":name": name},
            )

    names = ["heartbeat", "tracker", "stop"]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(count, names))
    row = rows.get_item(Key=KEY)["Item"]
    assert {name: row[name] for name in names} == dict.fromkeys(names, CALLS)
