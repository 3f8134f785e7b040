"""A person's own address, which the user pool has verified: mails of the jobs that he begins may go there at once."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from function_cases import Context, deploy, event, put_tenants, sent
from pipeline_cases import JOB, key_of, photo_zip, requested, staged
from test_users_apart import CLIENT, ask, claims

from functions import mails
from functions.notify import app as notify
from spaceport.pipeline import layout
from spaceport.pipeline.addresses import is_confirmed, keep_own_address, list_addresses, new_link
from spaceport.pipeline.contract import EndManifest, JobState, StageName
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import TENANT_FILES, end_key
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Tenant

SENDER, OWN = "spaceport@example.com", "ann@example.com"
ZIP = "uploads/brighton_beach.zip"
VERIFIED = claims("ann", "leads", email_verified="true")
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, USER_POOL_CLIENT=CLIENT, MAIL_FROM=SENDER, MAIL_DOMAINS="")
    for made_once in (mails.ses, notify._dynamodb):
        made_once.cache_clear()
    boto3.client("ses").verify_email_identity(EmailAddress=SENDER)
    uploads.client.put_object(Bucket="uploads", Key=ZIP, Body=photo_zip(4))
    put_tenants(bucket, {"default": {"admin_keys": ["group:leads"]}})


def begun_earlier(table: JobTable, bucket: Bucket) -> None:
    for manifest in (requested(owner="user:ann"), staged(StageName.SFM, owner="user:ann")):
        bucket.put_manifest(key_of(manifest), manifest)
        table.record(manifest)


ROUTES: dict[str, dict[str, Any]] = {
    "/start-job": {"continues": JOB, "step": "train"},
    "/start-job?zip": {"s3Url": f"s3://uploads/{ZIP}"},
    "/uploads": {"name": "Beach", "bytes": 1000},
}


def begin(person: dict[str, str], route: str, email: str) -> tuple[int, str | None]:
    path = {"path": route.partition("?")[0], "httpMethod": "POST"}
    status, answer = ask(person, "api_start_nested", ROUTES[route] | {"email": email}, **path)
    return status, answer.get("slug")


@pytest.mark.parametrize("route", ROUTES)
def test_a_job_may_mail_who_began_it(bucket: Bucket, table: JobTable, route: str) -> None:
    begun_earlier(table, bucket)
    assert begin(VERIFIED, route, "bob@example.com") == (403, "address_unconfirmed")
    assert list(bucket.list_objects(TENANT_FILES)) == []
    assert begin(VERIFIED, route, OWN.upper())[0] in {201, 202}
    assert is_confirmed(bucket, "default", Tenant(), "", OWN, "user:ann")
    for owner in ("user:bob", "k3y1d00001", None):
        assert not is_confirmed(bucket, "default", Tenant(), "", OWN, owner), "another's job"
    assert not is_confirmed(bucket, "acme", Tenant(), "", OWN, "user:ann")
    assert sent() == []


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "changes",
    [{"email_verified": "false"}, {"email_verified": "True"}, {"email_verified": ""}, {"email": "x@y.z"}],
)
def test_what_the_pool_has_not_verified_is_confirmed_by_nobody(
    bucket: Bucket, table: JobTable, route: str, changes: dict[str, str]
) -> None:
    begun_earlier(table, bucket)
    assert begin(VERIFIED | changes, route, OWN) == (403, "address_unconfirmed")
    assert list(bucket.list_objects(TENANT_FILES)) == []


def test_no_word_of_a_caller_verifies_an_address(bucket: Bucket, table: JobTable) -> None:
    """Neither in the body, where it is refused or an option, nor in a header."""
    words = {"email": OWN, "email_verified": "true", "claims": VERIFIED, "authorizer": {"claims": VERIFIED}}
    headers = {"email_verified": "true", "x-amzn-oidc-data": OWN, "x-api-key": "redacted"}
    for route, body in ROUTES.items():
        path = {"path": route.partition("?")[0], "httpMethod": "POST", "headers": headers}
        status, _ = ask(claims("ann", "leads"), "api_start_nested", body | words, **path)
        assert status in {400, 403, 404}
    assert list(bucket.list_objects(TENANT_FILES)) == []


@pytest.mark.parametrize(("person", "good"), [("ann", True), ("bob", False)])
def test_an_upload_in_parts_too_but_not_when_an_admin_completes_anothers(
    bucket: Bucket, uploads: Bucket, person: str, good: bool
) -> None:
    path = {"path": "/uploads", "httpMethod": "POST"}
    body = {"name": "Beach", "bytes": 7, "multipart": True}
    job_id = ask(VERIFIED, "api_uploads", body, **path)[1]["jobId"]
    upload = uploads.client.list_multipart_uploads(Bucket="uploads")["Uploads"][0]
    uploads.client.upload_part(
        Bucket="uploads", Key=upload["Key"], UploadId=upload["UploadId"], PartNumber=1, Body=b"7 bytes"
    )
    path = {"path": f"/uploads/{job_id}/complete", "httpMethod": "POST"}
    who = claims(person, "leads", email_verified="true")
    status, answer = ask(who, "api_uploads", {"email": f"{person}@example.com"}, **path)
    assert (status, answer.get("slug")) == ((202, None) if good else (403, "address_unconfirmed"))
    assert is_confirmed(bucket, "default", Tenant(), "", f"{person}@example.com", f"user:{person}") is good


@pytest.mark.parametrize(("owner", "mailed"), [("user:ann", [OWN]), ("user:bob", []), (None, [])])
def test_the_mail_at_the_end_goes_to_whoever_began_the_job(
    bucket: Bucket, table: JobTable, owner: str | None, mailed: list[str]
) -> None:
    keep_own_address(bucket, "default", OWN, "user:ann")
    request = requested(owner=owner, email=OWN).request
    end = EndManifest(
        job_id=JOB, created_at=request.received_at, state=JobState.STOPPED, request=request, message="over"
    )
    table.record(requested(owner=owner, email=OWN))
    bucket.put_manifest(key_of(end), end)
    notify.handler(event("end_manifest", end_key(JOB)), Context())
    assert [address for mail in sent() for address in mail.destinations["ToAddresses"]] == mailed
    assert table.unsent_mail(JOB) == (None if mailed else "the address is not confirmed")


def test_nobody_is_asked_for_his_own_address_and_it_is_not_in_the_teams_list(bucket: Bucket) -> None:
    path = {"path": "/addresses", "httpMethod": "POST"}
    assert ask(VERIFIED, "api_start_nested", {"email": OWN}, **path)[1]["state"] == "CONFIRMED"
    new_link(bucket, "default", "team@example.com")
    keep_own_address(bucket, "default", OWN, "user:ann")
    assert [address.email for address in list_addresses(bucket, "default")] == ["team@example.com"]
    assert sent() == []


def test_an_object_that_is_anothers_or_no_json_confirms_nothing(bucket: Bucket) -> None:
    keep_own_address(bucket, "default", OWN, "user:ann")
    (own,) = bucket.list_objects(TENANT_FILES)
    raw = bucket.read_small(own.key, 4096)
    assert raw
    bucket.put_small(own.key, raw.replace(b"user:ann", b"user:bob"))
    assert not is_confirmed(bucket, "default", Tenant(), "", OWN, "user:ann")
    bucket.put_small(own.key, b"{")
    assert not is_confirmed(bucket, "default", Tenant(), "", OWN, "user:ann")
    assert own.key.startswith(layout.addresses_prefix("default"))
