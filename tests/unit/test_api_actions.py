"""`POST /jobs/ID/stop` and `/retry`: what the page does to a job, in the words of its address."""

from __future__ import annotations

from typing import Any

import pytest
from api_cases import ask
from function_cases import Batch, deploy, put_tenants
from pipeline_cases import JOB, begin, ended, requested, staged

from functions.api import actions
from spaceport.pipeline.contract import JobState, StageName
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import input_manifest_key, request_key
from spaceport.pipeline.options import resolve
from spaceport.pipeline.storage import Bucket

KEY = "k3y1d00001"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture(autouse=True)
def batch(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> Batch:
    deploy(monkeypatch)
    fake = Batch()
    monkeypatch.setattr(actions, "batch", lambda: fake)
    return fake


def act(action: str, body: Any = None, job_id: str = JOB) -> tuple[int, dict[str, Any]]:
    return ask("api_stop", body or {}, path=f"/jobs/{job_id}/{action}")


def test_a_job_is_stopped_by_its_address(bucket: Bucket, table: JobTable, batch: Batch) -> None:
    begin(bucket, table, requested())
    batch.add("cpu", "waiting", request_key(JOB))
    for _ in range(2):
        status, answer = act("stop")
        assert (status, answer["state"]) == (200, "STOPPED")
    row = table.get(JOB)
    assert row and row.state is JobState.STOPPED and "waiting" in batch.terminated
    assert act("stop", job_id="no-such-job")[0] == 404
    assert act("stop", job_id="A")[0] == 400


@pytest.mark.parametrize("stage", list(StageName))
def test_a_job_goes_on_from_each_finished_stage(bucket: Bucket, table: JobTable, stage: StageName) -> None:
    finished = list(StageName)[: list(StageName).index(stage)]
    begin(bucket, table, requested(), *(staged(each) for each in finished), ended(JobState.FAILED))
    status, answer = act("retry", {"from": stage, "jobId": "a-second-try"})
    assert (status, answer["jobId"], answer["status"]) == (202, "a-second-try", "/jobs/a-second-try")
    stored = bucket.read_manifest(input_manifest_key("a-second-try", stage))
    assert stored and stored.manifest.request.continues == JOB and stored.manifest.request.owner == KEY
    row = table.get("a-second-try")
    assert row and row.continues == JOB and list(row.outputs) == finished[-1:]
    assert act("retry", {"from": stage, "jobId": "a-second-try"}) == (202, answer), "the same call is the same job"
    assert act("retry", {"from": stage, "jobId": "a-second-try", "options": {"preset": "high"}})[0] == 409
    assert act("retry", {"from": stage})[1]["jobId"] == f"{JOB}-r1"
    if stage is not StageName.COMPRESS:
        later = list(StageName)[list(StageName).index(stage) + 1]
        assert act("retry", {"from": later})[0] == 404, "that stage has nothing to begin with"


def test_options_are_the_same_unless_others_are_wanted(bucket: Bucket, table: JobTable) -> None:
    options = resolve({"preset": "draft", "train": {"seed": 7}})
    begin(bucket, table, requested(options=options), staged(StageName.SFM, options=options), ended(JobState.STOPPED))
    for wanted, expected in (({}, options), ({"train": {"seed": 8}}, resolve({"train": {"seed": 8}}))):
        status, answer = act("retry", {"from": "train", "options": wanted})
        assert status == 202
        stored = bucket.read_manifest(input_manifest_key(answer["jobId"], StageName.TRAIN))
        assert stored and stored.manifest.request.options == expected


def test_a_job_that_has_ended_says_from_where_it_can_go_on(bucket: Bucket, table: JobTable) -> None:
    options = resolve({"preset": "draft"})
    begin(bucket, table, requested(options=options), staged(StageName.SFM, options=options))
    assert "retry_from" not in show(JOB), "it runs"
    begin(bucket, table, ended(JobState.FAILED))
    answer = show(JOB)
    assert (answer["retry_from"], answer["options"]) == (["sfm", "train"], options.model_dump(mode="json"))
    again = act("retry", {"from": "train"})[1]["jobId"]
    assert act("stop", job_id=again)[0] == 200
    assert show(again)["retry_from"] == ["train"], "its photos are the other job's"


def show(job_id: str) -> dict[str, Any]:
    return ask("api_job", path=f"/jobs/{job_id}")[1]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"from": "nowhere"},
        {"from": "train", "surprise": 1},
        {"from": "train", "options": {"surprise": 1}},
        {"from": "train", "options": {"train": {"seed": -1}}},
        {"from": "train", "jobId": "../x"},
        {"stage": "train"},
    ],
)
def test_what_makes_no_sense_is_refused_in_words(bucket: Bucket, table: JobTable, body: Any) -> None:
    begin(bucket, table, requested(), staged(StageName.SFM), ended(JobState.FAILED))
    status, answer = act("retry", body)
    assert (status, answer["slug"]) == (400, "bad_options")
    assert list(bucket.list_folders("jobs/")) == [JOB]


def test_neither_is_for_another_key(bucket: Bucket, table: JobTable) -> None:
    put_tenants(bucket, {"acme": {"keys": [KEY]}})
    begin(bucket, table, requested("theirs", tenant="acme", owner="another"), requested("foreign", tenant="other"))
    for action, body in (("stop", {}), ("retry", {"from": "sfm"})):
        assert act(action, body, "theirs")[1]["slug"] == "forbidden"
        assert act(action, body, "foreign")[1] == {"slug": "not_found", "sentence": "There is no job foreign."}
