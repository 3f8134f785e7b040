"""A job that its owner deletes: gone for people at once, for good with the sweeper's next run, killed or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from function_cases import Batch, Context, call, event, put_tenants
from pipeline_cases import JOB, begin, ended, requested, staged
from test_forget import everything

from functions.api import app as api
from functions.sweeper.app import handler as sweep
from spaceport.pipeline import layout
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.jobs import deletion
from spaceport.pipeline.jobs.accept import continue_job
from spaceport.pipeline.jobs.deletion import requested_deletions
from spaceport.pipeline.jobs.ending import stop_job
from spaceport.pipeline.jobs.forget import forget_job
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing
KEY = "k3y1d00001"
GONE = (404, {"slug": "not_found", "sentence": f"There is no job {JOB}."})


@pytest.fixture(autouse=True)
def _versioned(bucket: Bucket, batch: Batch) -> None:
    bucket.client.put_bucket_versioning(Bucket="pipeline", VersioningConfiguration={"Status": "Enabled"})


def ask(method: str, path: str, body: Any = None, key: str = KEY) -> tuple[int, dict[str, Any]]:
    loaded = call("api_job", "" if body is None else body, path=path, httpMethod=method)
    loaded["requestContext"]["identity"]["apiKeyId"] = key
    answer = api.handler(loaded, Context())
    return answer["statusCode"], json.loads(answer["body"])


def sweep_once() -> dict[str, int]:
    actions: dict[str, int] = sweep(event("schedule"), Context())
    return actions


def of_jobs(table: JobTable) -> list[Any]:
    rows = table.table.scan()["Items"]
    return [row for row in rows if not str(row["job_id"]).startswith(("audit#", "tenant#"))]


def test_a_deleted_job_is_gone_at_once_and_soon_for_good(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, requested(owner=KEY), staged(StageName.SFM), ended())
    token = ask("POST", f"/jobs/{JOB}/shares", {})[1]["token"]
    status, answer = ask("DELETE", f"/jobs/{JOB}")
    assert (status, answer["jobId"]) == (202, JOB)
    assert ask("GET", "/jobs") == (200, {"jobs": []})
    for method, path in (("GET", ""), ("GET", "/model"), ("GET", "/shares"), ("DELETE", "")):
        assert ask(method, f"/jobs/{JOB}{path}") == GONE
    assert ask("POST", "/start-job", {"continues": JOB}) == GONE
    opened = call("api_job", path="/shared")
    opened["headers"] = {"x-share-token": token}
    assert api.handler(opened, Context())["statusCode"] == 404
    table.record(ended())  # an event that comes twice does not bring it back
    assert ask("GET", f"/jobs/{JOB}") == GONE

    assert sweep_once() == {"deleted": 1}
    assert everything(bucket) == set()
    assert of_jobs(table) == []
    assert sweep_once() == {}


def test_what_is_not_deleted(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, requested(owner=KEY), staged(StageName.SFM))
    assert ask("DELETE", "/jobs/no-such-job")[0] == 404
    assert ask("DELETE", f"/jobs/{JOB}", key="another")[0] == 403
    status, answer = ask("DELETE", f"/jobs/{JOB}")
    assert (status, answer["slug"]) == (409, "conflict") and "Stop it first" in answer["sentence"]
    begin(bucket, table, ended())
    built = continue_job(bucket, table, JOB, StageName.TRAIN)
    table.record(built)
    status, answer = ask("DELETE", f"/jobs/{JOB}")
    assert (status, answer["slug"]) == (409, "conflict") and built.job_id in answer["sentence"]
    assert list(requested_deletions(bucket)) == []

    stop_job(bucket, table, built.job_id)
    assert ask("DELETE", f"/jobs/{built.job_id}")[0] == 202
    assert ask("DELETE", f"/jobs/{JOB}")[0] == 202, "the other one is being deleted too"
    assert sweep_once()["deleted"] == 2
    assert everything(bucket) == set()

    put_tenants(bucket, {"acme": {"admin_keys": ["boss"]}})
    begin(bucket, table, requested(owner=KEY), ended())
    assert ask("DELETE", f"/jobs/{JOB}", key="boss") == GONE


def test_a_job_that_another_began_to_build_on_waits(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, requested(owner=KEY), staged(StageName.SFM), ended())
    assert ask("DELETE", f"/jobs/{JOB}")[0] == 202
    table.record(continue_job(bucket, table, JOB, StageName.TRAIN))
    assert "failed" not in sweep_once()
    assert bucket.exists(layout.stage_manifest_key(JOB, StageName.SFM))
    assert list(requested_deletions(bucket)) == [JOB]


def test_a_deletion_that_was_killed_goes_on(bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(bucket, table, requested(owner=KEY), ended())
    ask("DELETE", f"/jobs/{JOB}")
    forget = forget_job

    def killed(*arguments: Any) -> None:
        forget(*arguments)
        raise RuntimeError("killed")

    monkeypatch.setattr(deletion, "forget_job", killed)
    assert sweep_once() == {"failed": 1}
    monkeypatch.setattr(deletion, "forget_job", forget)
    assert sweep_once() == {"deleted": 1}
    assert everything(bucket) == set()
