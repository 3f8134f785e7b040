"""What a laptop's job is likely to take, against runs of which it is known."""

from __future__ import annotations

import pytest
from api_cases import ask
from function_cases import deploy

from spaceport.pipeline.contract import StageName
from spaceport.pipeline.options import resolve
from spaceport.pipeline.own_machine import own_machine_seconds
from spaceport.pipeline.storage import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.mark.parametrize(("photos", "measured"), [(30, (20, 87, 5)), (18, (13, 28, 1))])
def test_runs_on_two_threads_took_about_that_long(photos: int, measured: tuple[int, ...]) -> None:
    seconds = own_machine_seconds(resolve({}), photos, 2)
    for stage, took in zip(StageName, measured, strict=True):
        assert took / 2 - 2 < seconds[stage] < took * 2 + 2


def test_more_work_takes_longer_and_more_threads_do_it_sooner() -> None:
    totals = {
        (preset, threads): sum(own_machine_seconds(resolve({"preset": preset}), 100, threads).values())
        for preset in ("draft", "standard", "high")
        for threads in (1, 2)
    }
    for threads in (1, 2):
        assert totals["draft", threads] < totals["standard", threads] < totals["high", threads]
    assert all(totals[preset, 2] < totals[preset, 1] for preset in ("draft", "standard", "high"))


def test_the_embedded_cloud_counts_no_dollars(bucket: Bucket, uploads: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch)
    body = {"photos": 100, "options": {"preset": "draft"}}
    status, in_aws = ask("api_stop", body, path="/estimate")
    assert status == 200 and in_aws["usd"] > 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    status, here = ask("api_stop", body, path="/estimate")
    assert status == 200 and here["usd"] == 0 and set(here["stages"]) == set(in_aws["stages"])
    assert here["seconds"] == sum(each["seconds"] for each in here["stages"].values())
