"""Whatever a caller sends, nothing of another tenant is read, listed, linked, ended, continued or written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from function_cases import Batch, Context, call, deploy, event, put_tenants
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_cases import START, ended, key_of, photo_zip, requested, staged

from functions.api import actions, app
from functions.intake.app import handler as intake
from spaceport.pipeline.contract import DEFAULT_TENANT, AnyManifest, Artefact, Birth, JobState, StageName
from spaceport.pipeline.jobs.births import signed_source
from spaceport.pipeline.jobs.multipart import begin_upload
from spaceport.pipeline.jobs.state import END_STATES
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import birth_key, request_key
from spaceport.pipeline.storage import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing
TENANTS = ("acme", "borealis", DEFAULT_TENANT)
KEYS = {f"{tenant}-{name}": tenant for tenant in TENANTS for name in ("one", "two", "admin")}
STATES = ("signed", "received", "training", "compressing", "continued", *sorted(END_STATES))
JOBS = {f"{tenant}-{state.lower().replace('_', '-')}-job": tenant for tenant in TENANTS for state in STATES}
OWNERS = {
    job_id: (f"{tenant}-one", f"{tenant}-two", None, f"user:{tenant}-ann")[number % 4]
    for number, (job_id, tenant) in enumerate(JOBS.items())
}
"""Two API keys of each tenant, nobody, and a person who has signed in."""
UPLOADS = {f"uploads/{tenant}/a.zip" if tenant != DEFAULT_TENANT else "uploads/a.zip": tenant for tenant in TENANTS}
MULTIPART = {f"{key}-parts": key for key in KEYS}
"""Ids of unfinished uploads, to the keys that began them."""
SFM, TRAIN, COMPRESS = StageName
MADE: dict[str, tuple[StageName, ...]] = {
    "signed": (),
    "received": (),
    "training": (SFM,),
    "compressing": (SFM, TRAIN),
    "continued": (SFM,),
}


class World:
    """A deployment of three tenants, each with jobs in every state, of three owners and of none."""

    def __init__(self, bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
        self.bucket, self.uploads, self.table = bucket, uploads, table
        self.calls: list[tuple[str, str]] = []
        for job_id, tenant in JOBS.items():
            self._begin(job_id, tenant, OWNERS[job_id], job_id.removeprefix(f"{tenant}-").removesuffix("-job"))
        for key in UPLOADS:
            uploads.client.put_object(Bucket="uploads", Key=key, Body=photo_zip(4))
        for job_id, key in MULTIPART.items():
            birth = Birth(job_id=job_id, tenant=KEYS[key], owner=key, source=f"test:{job_id}", created_at=START)
            bucket.put_once(birth_key(job_id), birth.model_dump_json().encode())
            name = f"Secret of {job_id}"
            begin_upload(
                uploads, table, job_id, f"uploads/{job_id}.zip", name=name, size=9, tenant=KEYS[key], owner=key
            )
        for client in (bucket.client, table.table.meta.client):
            client.meta.events.register("provide-client-params.*.*", self._on_call)

    def close(self) -> None:
        for client in (self.bucket.client, self.table.table.meta.client):
            client.meta.events.unregister("provide-client-params.*.*", self._on_call)

    def _begin(self, job_id: str, tenant: str, owner: str | None, state: str) -> None:
        source = signed_source("uploads", f"uploads/{job_id}.zip") if state == "signed" else f"test:{job_id}"
        birth = Birth(job_id=job_id, tenant=tenant, owner=owner, source=source, created_at=START)
        self.bucket.put_once(birth_key(job_id), birth.model_dump_json().encode())
        if state != "signed":
            manifests = list(_manifests(job_id, tenant, owner, state))
            for manifest in manifests:
                self.bucket.put_manifest(key_of(manifest), manifest)
            self.table.replace(job_id, manifests, 0)

    def _on_call(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """Remember a call to S3 or DynamoDB, and what it is about."""
        about = params.get("Key") or params.get("Item") or params.get("Prefix") or {}
        job_id = about.removeprefix("jobs/").split("/")[0] if isinstance(about, str) else about.get("job_id", "")
        name = about if isinstance(about, str) else about.get("record", "")
        self.calls.append((f"{model.name} {job_id}", name))

    def of_others(self, tenant: str) -> dict[str, Any]:
        """Everything in bucket and table that belongs to a job of another tenant."""
        pages = self.bucket.client.get_paginator("list_objects_v2").paginate(Bucket="pipeline", Prefix="jobs/")
        objects = {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}
        rows = {(row["job_id"], row["record"]): row for row in self.table.table.scan()["Items"]}
        foreign = {job_id for job_id, of in JOBS.items() if of != tenant}
        foreign |= {job_id for job_id, key in MULTIPART.items() if KEYS[key] != tenant}
        unfinished = self.uploads.client.list_multipart_uploads(Bucket="uploads")["Uploads"]
        return (
            {key: etag for key, etag in objects.items() if key.split("/")[1] in foreign}
            | {str(key): row for key, row in rows.items() if key[0] in foreign}
            | {each["UploadId"]: each["Key"] for each in unfinished if each["Key"][8:-4] in foreign}
        )


def _manifests(job_id: str, tenant: str, owner: str | None, state: str) -> Iterator[AnyManifest]:
    about = {"name": f"Secret of {job_id}", "email": f"{job_id}@example.com", "tenant": tenant, "owner": owner}
    if state not in {"continued", "rejected"}:
        yield requested(job_id, **about)
    for stage in MADE.get(state, () if state == "rejected" else tuple(StageName)):
        model = Artefact(key=f"jobs/{job_id}/gaussian/model.ply", bytes=1)
        yield staged(stage, job_id, **about).model_copy(update={"artefacts": [model]})
    if state not in MADE:
        end = ended(JobState(state.upper().replace("-", "_")), job_id)
        yield end.model_copy(update={"request": requested(job_id, **about).request})


@pytest.fixture
def world(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    deploy(monkeypatch)
    keys = {
        name: {
            "keys": [f"{name}-one", f"{name}-two", f"group:{name}-pilots"],
            "admin_keys": [f"{name}-admin", f"group:{name}-leads"],
        }
        for name in TENANTS
    }
    del keys[DEFAULT_TENANT]
    put_tenants(bucket, keys)
    fake = Batch()
    monkeypatch.setattr(actions, "batch", lambda: fake)
    world = World(bucket, uploads, table)
    yield world
    world.close()


def show(job_id: str, **_: Any) -> tuple[str, Any, dict[str, Any]]:
    return "api_job", None, {"path": f"/jobs/{job_id}"}


def stop(job_id: str, **_: Any) -> tuple[str, Any, dict[str, Any]]:
    return "api_stop", {"jobId": job_id}, {}


def go_on(job_id: str, step: str, **more: Any) -> tuple[str, Any, dict[str, Any]]:
    return "api_start_later", {"continues": job_id, "step": step} | more, {}


def on_colmap(job_id: str, step: str, **more: Any) -> tuple[str, Any, dict[str, Any]]:
    url = f"https://pipeline.s3.amazonaws.com/jobs/{job_id}/colmap/"
    return "api_start_later", {"colmapOutputS3Uri": url, "pipelineStep": "3dgs"} | more, {}


def on_gaussian(job_id: str, step: str, **more: Any) -> tuple[str, Any, dict[str, Any]]:
    url = f"s3://pipeline/jobs/{job_id}/gaussian/model.ply"
    return "api_start_later", {"gaussianOutputS3Uri": url, "pipelineStep": "compression"} | more, {}


def stop_by_path(job_id: str, **_: Any) -> tuple[str, Any, dict[str, Any]]:
    return "api_stop", {}, {"path": f"/jobs/{job_id}/stop"}


def retry(job_id: str, step: str, **more: Any) -> tuple[str, Any, dict[str, Any]]:
    return "api_stop", {"from": step} | more, {"path": f"/jobs/{job_id}/retry"}


ON_A_JOB = (show, stop, stop_by_path, go_on, retry, on_colmap, on_gaussian)
# A foreign id may be looked up, for the answer is the same as of an unknown one, and found to be taken.
LOOKED_UP = {("GetItem", "job"), ("ListObjectsV2", ""), ("GetObject", "birth.json")}


def ask(key: str, route: str, body: Any, changes: dict[str, Any]) -> tuple[int, str]:
    loaded = call(route, body, **changes)
    loaded["requestContext"]["identity"]["apiKeyId"] = key
    response = app.handler(loaded, Context())
    return response["statusCode"], response["body"]


def check(world: World, tenant: str, answer: str, named: set[str | None]) -> None:
    """Nothing of another tenant was touched, or is in the answer beyond the ids that the caller named."""
    for job_id, of in JOBS.items():
        if of != tenant:
            assert f"Secret of {job_id}" not in answer
            assert job_id in named or job_id not in answer
    for operation, name in world.calls:
        action, _, job_id = operation.partition(" ")
        if JOBS.get(job_id, tenant) != tenant:
            assert (action, name.removeprefix(f"jobs/{job_id}/")) in LOOKED_UP
            assert job_id in named
    world.calls.clear()


def handle(world: World, tenant: str, data: st.DataObject) -> None:
    """See, stop or continue any job."""
    key = data.draw(st.sampled_from([key for key, of in KEYS.items() if of == tenant]))
    job_id = data.draw(st.sampled_from([*JOBS, "no-such-job"]))
    wanted = data.draw(st.none() | st.sampled_from(sorted(JOBS)))
    step = data.draw(st.sampled_from(["sfm", "train", "compress"]))
    action = data.draw(st.sampled_from(ON_A_JOB))
    status, answer = ask(key, *action(job_id, step=step, **({"jobId": wanted} if wanted else {})))
    check(world, tenant, answer, {job_id, wanted})
    if JOBS.get(job_id) != tenant or "signed" in job_id:
        unknown = {"slug": "not_found", "sentence": f"There is no job {job_id}."}
        assert (status, json.loads(answer)) == (404, unknown)
    elif wanted and action in {go_on, retry, on_colmap, on_gaussian}:
        assert status in {403, 404, 409}  # every id in this world is taken


def list_and_upload(world: World, tenant: str, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([key for key, of in KEYS.items() if of == tenant]))
    owner = data.draw(st.sampled_from([None, "me", *sorted(KEYS)]))
    state = data.draw(st.none() | st.sampled_from(list(JobState)))
    wanted = data.draw(st.none() | st.sampled_from(sorted(JOBS)))
    query = {name: value for name, value in (("owner", owner), ("state", state)) if value}
    status, answer = ask(key, "api_jobs", None, {"queryStringParameters": query})
    check(world, tenant, answer, set())
    assert status == 200
    assert {job["tenant"] for job in json.loads(answer)["jobs"]} <= {tenant}

    upload = data.draw(st.sampled_from(sorted(UPLOADS)))
    body = {"s3Url": f"s3://uploads/{upload}"} | ({"jobId": wanted} if wanted else {})
    status, answer = ask(key, "api_start_nested", body, {})
    check(world, tenant, answer, {wanted})
    if UPLOADS[upload] != tenant:
        assert (status, json.loads(answer)["slug"]) == (400, "upload_missing")
    else:
        assert status == (409 if wanted else 202)

    form = json.loads(ask(key, "api_uploads", {"name": "A survey", "bytes": 100}, {})[1])
    assert form["key"].startswith("uploads/" if tenant == DEFAULT_TENANT else f"uploads/{tenant}/")
    metadata = {name.removeprefix("x-amz-meta-"): text for name, text in form["fields"].items() if "-meta-" in name}
    lies = {"job-id": wanted, "owner": owner or "", "tenant": "acme"} if wanted else {}
    world.uploads.client.put_object(Bucket="uploads", Key=form["key"], Body=photo_zip(3), Metadata=metadata | lies)
    begun = intake(event("upload_put", form["key"]), Context())["job_id"]
    check(world, tenant, begun, {wanted})
    stored = world.bucket.read_manifest(request_key(begun))
    assert stored
    assert (stored.manifest.request.tenant, stored.manifest.request.owner) == (tenant, None if wanted else key)
    assert begun not in JOBS


def upload_in_parts(world: World, tenant: str, data: st.DataObject) -> None:
    """See, sign, complete or abort any upload in parts: those of the caller's key, or all of an admin's tenant."""
    key = data.draw(st.sampled_from([key for key, of in KEYS.items() if of == tenant]))
    job_id = data.draw(st.sampled_from([*MULTIPART, "no-such-upload"]))
    part = {"parts": [{"n": 1, "bytes": 9, "crc32": "AAAAAA=="}]}
    method, path, body, expected = data.draw(
        st.sampled_from(
            [
                ("GET", "", None, 200),
                ("POST", "/parts", part, 200),
                ("POST", "/complete", {}, 409),
                ("DELETE", "", None, 200),
            ]
        )
    )
    about = {"path": f"/uploads/{job_id}{path}", "httpMethod": method}
    status, answer = ask(key, "api_uploads", body, about)
    owner = MULTIPART.get(job_id, "")
    if key == owner or (KEYS.get(owner) == tenant and key.endswith("-admin")):
        assert status in {expected, 404}, "404: it was aborted before"
    else:
        unknown = {"slug": "not_found", "sentence": f"There is no upload {job_id}."}
        assert (status, json.loads(answer)) == (404, unknown)
        assert {call for call in world.calls if job_id in call[0]} == {(f"GetItem {job_id}", "upload")}
    world.calls.clear()


def explore(world: World, tenant: str, calls: Callable[[World, str, st.DataObject], None], examples: int) -> None:
    @settings(deadline=None, max_examples=examples, database=None)
    @given(st.data())
    def call_once(data: st.DataObject) -> None:
        calls(world, tenant, data)

    call_once()


def test_tenants_are_apart(world: World) -> None:
    for tenant in TENANTS:
        rows, _ = world.table.page_of_tenant(tenant, 100)
        assert END_STATES | {JobState.RECEIVED, JobState.TRAINING} < {row.state for row in rows}
        assert {f"{tenant}-one", f"{tenant}-two", None} <= {row.owner for row in rows}
        before = world.of_others(tenant)
        world.calls.clear()
        explore(world, tenant, handle, 12)
        explore(world, tenant, list_and_upload, 4)
        explore(world, tenant, upload_in_parts, 15)
        assert world.of_others(tenant) == before
