"""People who have signed in: who they are by what API Gateway has verified, and that each sees only his own jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from function_cases import Context, call, deploy, put_tenants
from hypothesis import strategies as st
from test_tenants_apart import JOBS, MULTIPART, ON_A_JOB, OWNERS, TENANTS, UPLOADS, World, explore, world

from functions.api import app
from spaceport.pipeline.contract import DEFAULT_TENANT
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Caller, Tenants

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")
__all__ = ["world"]
CLIENT = "page"


def claims(sub: str, *groups: str, **more: str) -> dict[str, str]:
    """As a user pool's authorizer of a REST API passes them: groups are one text."""
    made = {"sub": sub, "aud": CLIENT, "token_use": "id", "email": f"{sub}@example.com"} | more
    return made | ({"cognito:groups": ",".join(groups)} if groups else {})


def ask(person: dict[str, str], route: str, body: Any = None, **changes: Any) -> tuple[int, dict[str, Any]]:
    loaded = call(route, body, **changes)
    loaded["requestContext"]["identity"]["apiKeyId"] = None
    loaded["requestContext"]["authorizer"] = {"claims": person}
    response = app.handler(loaded, Context())
    return response["statusCode"], json.loads(response["body"])


def ann(tenant: str) -> dict[str, str]:
    """She began a quarter of a tenant's jobs. Who is in no group is in the default tenant."""
    return claims(f"{tenant}-ann", *([] if tenant == DEFAULT_TENANT else ["others", f"{tenant}-pilots"]))


@pytest.mark.parametrize(
    ("groups", "caller"),
    [
        ((), Caller("user:ann", "default", is_admin=False)),
        (("group:pilots",), Caller("user:ann", "acme", is_admin=False)),
        (("group:leads",), Caller("user:ann", "acme", is_admin=True)),
        (("group:both", "group:pilots"), Caller("user:ann", "acme", is_admin=False)),
        (("group:k1", "pilots"), Caller("user:ann", "default", is_admin=False)),
    ],
)
def test_a_person_is_of_the_first_tenant_that_names_him_or_a_group_of_his(
    groups: tuple[str, ...], caller: Caller
) -> None:
    declared = {
        "acme": {"keys": ["k1", "group:pilots"], "admin_keys": ["group:leads"]},
        "borealis": {"keys": ["group:both"], "admin_keys": ["user:bea"]},
    }
    tenants = Tenants.model_validate({"tenants": declared})
    assert tenants.caller("user:ann", *groups) == caller
    assert tenants.caller("user:bea") == Caller("user:bea", "borealis", is_admin=True)
    assert (caller.sees_all, tenants.caller("k1").sees_all) == (caller.is_admin, True)


@pytest.mark.parametrize(
    "changes", [{"aud": "another-app"}, {"token_use": "access"}, {"aud": ""}], ids=["app", "access token", "none"]
)
def test_a_sign_in_for_something_else_is_refused(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    deploy(monkeypatch, USER_POOL_CLIENT=CLIENT)
    assert ask(claims("ann"), "api_jobs")[0] == 200
    status, answer = ask(claims("ann") | changes, "api_jobs")
    assert (status, answer["slug"]) == (403, "forbidden")


def test_a_stack_without_a_user_pool_lets_no_person_in(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(monkeypatch, USER_POOL_CLIENT="")
    assert ask(claims("ann") | {"aud": ""}, "api_jobs")[0] == 403


def test_whoever_names_a_group_in_a_header_is_in_none(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What API Gateway has verified counts, and nothing that a caller can write."""
    deploy(monkeypatch, USER_POOL_CLIENT=CLIENT)
    put_tenants(bucket, {"acme": {"keys": ["group:pilots"]}})
    status, answer = ask(claims("ann"), "api_jobs", {"claims": claims("ann", "pilots")}, path="/addresses")
    assert (status, answer["slug"]) == (403, "forbidden")
    assert Tenants().caller("user:ann", "group:pilots").tenant == DEFAULT_TENANT


def handle(world: World, tenant: str, data: st.DataObject) -> None:
    """See, stop or continue any job: only the own ones are there."""
    job_id = data.draw(st.sampled_from([*JOBS, "no-such-job"]))
    step = data.draw(st.sampled_from(["sfm", "train", "compress"]))
    wanted = data.draw(st.none() | st.sampled_from(sorted(JOBS)))
    route, body, changes = data.draw(st.sampled_from(ON_A_JOB))(
        job_id, step=step, **({"jobId": wanted} if wanted else {})
    )
    status, answer = ask(ann(tenant), route, body, **changes)
    check(json.dumps(answer), tenant, {job_id, wanted})
    if OWNERS.get(job_id) != f"user:{tenant}-ann" or "signed" in job_id:
        assert (status, answer) == (404, {"slug": "not_found", "sentence": f"There is no job {job_id}."})
    elif route == "api_job":
        assert status == 200


def list_and_start(world: World, tenant: str, data: st.DataObject) -> None:
    owner = data.draw(st.sampled_from([None, "me", f"{tenant}-one", f"user:{tenant}-ann", "user:acme-ann"]))
    status, answer = ask(ann(tenant), "api_jobs", None, queryStringParameters={"owner": owner} if owner else {})
    check(json.dumps(answer), tenant, set())
    own = {job_id for job_id, each in OWNERS.items() if each == f"user:{tenant}-ann" and "signed" not in job_id}
    assert (status, own) == (200, own & {job["job_id"] for job in answer["jobs"]})
    upload = data.draw(st.sampled_from(sorted(UPLOADS)))
    assert ask(ann(tenant), "api_start_nested", {"s3Url": f"s3://uploads/{upload}"})[0] == 403
    parts = data.draw(st.sampled_from(sorted(MULTIPART)))
    assert ask(ann(tenant), "api_uploads", None, path=f"/uploads/{parts}", httpMethod="GET")[0] == 404


def check(answer: str, tenant: str, named: set[str | None]) -> None:
    """Nothing of another's job is in an answer, beyond the ids that the caller named."""
    for job_id, owner in OWNERS.items():
        if owner != f"user:{tenant}-ann":
            assert f"Secret of {job_id}" not in answer
            assert job_id in named or job_id not in answer


def test_a_person_sees_his_own_jobs_and_no_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACEPORT_USER_POOL_CLIENT", CLIENT)
    for tenant in TENANTS:
        explore(world, tenant, handle, 12)
        explore(world, tenant, list_and_start, 3)


@pytest.mark.parametrize("groups", ["others,acme-leads", "[others acme-leads]"])
def test_an_admin_of_a_tenant_sees_all_of_it(world: World, monkeypatch: pytest.MonkeyPatch, groups: str) -> None:
    monkeypatch.setenv("SPACEPORT_USER_POOL_CLIENT", CLIENT)
    status, answer = ask(claims("lea") | {"cognito:groups": groups}, "api_jobs")
    assert status == 200
    shown = {job_id for job_id, tenant in JOBS.items() if tenant == "acme" and "signed" not in job_id}
    assert {job["job_id"] for job in answer["jobs"]} == shown


def test_a_job_that_a_person_begins_is_his(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACEPORT_USER_POOL_CLIENT", CLIENT)
    form = ask(ann("acme"), "api_uploads", {"name": "A survey", "bytes": 100, "multipart": True})[1]
    path = {"path": f"/uploads/{form['jobId']}", "httpMethod": "GET"}
    assert ask(ann("acme"), "api_uploads", None, **path)[0] == 200
    assert ask(claims("bob", "acme-pilots"), "api_uploads", None, **path)[0] == 404
    assert ask(claims("lea", "acme-leads"), "api_uploads", None, **path)[0] == 200
    assert ask(claims("lea", "borealis-leads"), "api_uploads", None, **path)[0] == 404
