"""Who may see, stop and continue which job through the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from function_cases import Batch, Context, call, deploy, event, put_tenants
from pipeline_cases import key_of, photo_zip, requested, staged

from functions import clients
from functions.api import actions, app
from functions.api.caller import derived_key_id
from functions.intake.app import handler as intake
from functions.links import links
from spaceport.pipeline.contract import AnyManifest, Artefact, JobState, RequestManifest, StageName
from spaceport.pipeline.jobs.ending import read_end
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import TENANTS, request_key
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import UnreadableTenants

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing
FIRMS = {
    "acme": {"keys": ["acme-1", "acme-2"], "admin_keys": ["acme-admin"]},
    "borealis": {"keys": ["borealis-1"], "admin_keys": ["borealis-admin"]},
}


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    deploy(monkeypatch)
    fake = Batch()
    monkeypatch.setattr(actions, "batch", lambda: fake)
    put_tenants(bucket, FIRMS)
    yield
    clients._read_tenants.cache_clear()


def ask(key: str | None, name: str, body: Any = None, **changes: Any) -> tuple[int, dict[str, Any]]:
    """A call with the API key of that id; of None with one that API Gateway does not name."""
    loaded = call(name, body, **changes)
    identity = loaded["requestContext"]["identity"]
    del identity["apiKeyId"]
    if key:
        identity["apiKeyId"] = key
    response = app.handler(loaded, Context())
    return response["statusCode"], json.loads(response["body"])


def begin(bucket: Bucket, table: JobTable, job_id: str, **request: Any) -> None:
    manifests: list[AnyManifest] = [requested(job_id, **request), staged(StageName.SFM, job_id, **request)]
    for manifest in manifests:
        bucket.put_manifest(key_of(manifest), manifest)
        table.record(manifest)


HANDLE: dict[str, tuple[str, dict[str, Any], int]] = {
    "stop": ("api_stop", {"jobId": "a-job"}, 200),
    "continue": ("api_start_later", {"continues": "a-job", "step": "train"}, 202),
    "colmap": ("api_start_later", {"step": "3dgs", "colmapOutputS3Uri": "s3://pipeline/jobs/a-job/colmap/"}, 202),
}


@pytest.mark.parametrize("action", HANDLE)
@pytest.mark.parametrize(
    ("owner", "key", "may"),
    [
        ("acme-1", "acme-1", True),
        ("acme-1", "acme-admin", True),
        ("acme-1", "acme-2", False),
        (None, "acme-2", True),
    ],
)
def test_the_owner_and_an_admin_handle_a_job(
    bucket: Bucket, table: JobTable, action: str, owner: str | None, key: str, may: bool
) -> None:
    begin(bucket, table, "a-job", tenant="acme", owner=owner)
    route, body, good = HANDLE[action]
    status, answer = ask(key, route, body)
    if may:
        assert status == good
    else:
        assert (status, answer["slug"]) == (403, "forbidden")
        assert answer["sentence"] == ("Another key of this account began the job a-job. Use that key or an admin key.")
        assert read_end(bucket, "a-job") is None
    assert ask(key, "api_job", path="/jobs/a-job")[0] == 200


def test_a_continuation_is_whose_key_continued_it(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, "a-job", tenant="acme", owner="acme-1")
    _, answer = ask("acme-admin", "api_start_later", {"continues": "a-job", "step": "train"})
    row = table.get(answer["jobId"])
    assert row
    assert (row.tenant, row.owner) == ("acme", "acme-admin")


@pytest.mark.parametrize("action", HANDLE)
@pytest.mark.parametrize("key", ["borealis-1", "borealis-admin", "anyone"])
def test_a_foreign_job_does_not_exist(bucket: Bucket, table: JobTable, action: str, key: str) -> None:
    begin(bucket, table, "a-job", tenant="acme")
    route, body, _ = HANDLE[action]
    foreign = ask(key, route, body), ask(key, "api_job", path="/jobs/a-job")
    unknown = json.loads(json.dumps(body).replace("a-job", "b-job"))
    missing = ask(key, route, unknown), ask(key, "api_job", path="/jobs/b-job")
    assert json.dumps(foreign) == json.dumps(missing).replace("b-job", "a-job")
    assert {status for status, _ in foreign} == {404}


def test_a_list_holds_the_tenant_s_jobs(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, "a-job", tenant="acme", owner="acme-1")
    begin(bucket, table, "b-job", tenant="borealis", owner="borealis-1")
    begin(bucket, table, "c-job")
    for key, query, expected in (
        ("acme-2", {}, ["a-job"]),
        ("acme-2", {"owner": "me"}, []),
        ("acme-1", {"owner": "me", "state": "TRAINING"}, ["a-job"]),
        ("acme-2", {"owner": "borealis-1"}, []),
        ("anyone", {}, ["c-job"]),
        ("borealis-1", {"state": "COMPLETED"}, []),
    ):
        status, answer = ask(key, "api_jobs", queryStringParameters=query)
        assert (status, [job["job_id"] for job in answer["jobs"]]) == (200, expected)
    assert ask("acme-1", "api_jobs", queryStringParameters={"owner": "x" * 3000})[0] == 400


def test_an_upload_is_signed_for_the_caller_s_folder_and_is_its_job(
    bucket: Bucket, uploads: Bucket, table: JobTable
) -> None:
    _, form = ask("acme-1", "api_uploads", {"name": "Beach", "bytes": 100})
    assert form["key"] == f"uploads/acme/{form['jobId']}.zip"
    metadata = {name.removeprefix("x-amz-meta-"): form["fields"][name] for name in form["fields"] if "-meta-" in name}
    assert "owner" not in metadata
    lies = {"owner": "acme-2", "tenant": "borealis"}  # whoever can write these, writes them in vain
    uploads.client.put_object(Bucket="uploads", Key=form["key"], Body=photo_zip(4), Metadata=metadata | lies)
    assert intake(event("upload_put", form["key"]), Context())["job_id"] == form["jobId"]
    stored = bucket.read_manifest(request_key(form["jobId"]))
    assert stored
    assert (stored.manifest.request.tenant, stored.manifest.request.owner) == ("acme", "acme-1")


def test_an_upload_of_another_tenant_does_not_exist(uploads: Bucket, bucket: Bucket) -> None:
    uploads.client.put_object(Bucket="uploads", Key="uploads/acme/a.zip", Body=photo_zip(4))
    uploads.client.put_object(Bucket="uploads", Key="uploads/a.zip", Body=photo_zip(4))
    for key, foreign in (("borealis-1", "acme/a.zip"), ("anyone", "acme/a.zip"), ("acme-1", "a.zip")):
        body = {"s3Url": f"s3://uploads/uploads/{foreign}"}
        missing = {
            "s3Url": f"s3://uploads/uploads/{'borealis/' if key == 'borealis-1' else 'acme/' * (key == 'acme-1')}b.zip"
        }
        (status, answer), (other, expected) = (ask(key, "api_start_nested", each) for each in (body, missing))
        assert (status, answer["slug"]) == (other, expected["slug"]) == (400, "upload_missing")
        assert answer["sentence"].split("(")[0] == expected["sentence"].split("(")[0]
    assert list(bucket.list_folders("jobs/")) == []
    status, answer = ask("acme-2", "api_start_nested", {"s3Url": "s3://uploads/uploads/acme/a.zip"})
    assert status == 202
    stored = bucket.read_manifest(request_key(answer["jobId"]))
    assert stored
    assert isinstance(stored.manifest, RequestManifest)
    assert (stored.manifest.request.tenant, stored.manifest.request.owner) == ("acme", "acme-2")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("api_jobs", None),
        ("api_job", None),
        ("api_stop", {"jobId": "a-job"}),
        ("api_uploads", {"name": "Beach", "bytes": 100}),
        ("api_start_nested", {"s3Url": "s3://uploads/uploads/a.zip"}),
    ],
)
def test_an_unreadable_list_of_tenants_lets_nobody_in(bucket: Bucket, uploads: Bucket, route: str, body: Any) -> None:
    bucket.client.put_object(Bucket="pipeline", Key=TENANTS, Body=b"{")
    clients._read_tenants.cache_clear()
    status, answer = ask("acme-1", route, body)
    assert (status, answer["slug"]) == (503, "unavailable")
    assert "`spaceport doctor`" in answer["sentence"]
    with pytest.raises(UnreadableTenants):
        intake(event("upload_put", "uploads/a.zip"), Context())
    assert list(bucket.list_folders("jobs/")) == []


def test_on_a_laptop_a_caller_is_known_by_its_key_without_giving_it_away(bucket: Bucket, table: JobTable) -> None:
    key = derived_key_id("redacted")
    begin(bucket, table, "a-job", owner=key)
    begin(bucket, table, "b-job", owner="another")
    assert [job["job_id"] for job in ask(None, "api_jobs", queryStringParameters={"owner": "me"})[1]["jobs"]] == [
        "a-job"
    ]
    assert ask(None, "api_stop", {"jobId": "b-job"})[0] == 403
    assert "redacted" not in key
    assert ask(None, "api_jobs", headers={})[0] == 403


def test_links_lead_to_jobs_of_the_same_tenant(table: JobTable, bucket: Bucket) -> None:
    begin(bucket, table, "a-job", tenant="acme")
    begin(bucket, table, "b-job", tenant="borealis")
    for linked, count in (("a-job", 1), ("b-job", 0), ("own-job", 1), ("no-job", 0)):
        model = Artefact(key=f"jobs/{linked}/gaussian/model.ply", bytes=7)
        manifest = staged(StageName.TRAIN, "own-job", tenant="acme").model_copy(update={"artefacts": [model]})
        assert len(links([manifest], "Beach")) == count


def test_a_state_that_is_none_is_refused() -> None:
    assert ask("acme-1", "api_jobs", queryStringParameters={"state": JobState.SFM})[0] == 200
    assert ask("acme-1", "api_jobs", queryStringParameters={"state": "LOST"})[0] == 400
