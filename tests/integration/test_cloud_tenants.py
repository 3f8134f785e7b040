"""Mails to strangers, and limits of tenants, in the embedded cloud: deployed as in AWS, where no domain is listed."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from boto3.dynamodb.conditions import Key
from cloud_cases import Cloud
from cloud_fixtures import running_cloud
from test_cloud_api import Api
from waiting import PATIENCE

from spaceport.local import cloud as cloud_module
from spaceport.local.mailbox import mails
from spaceport.pipeline.contract import JobState, Request, RequestManifest, now
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.layout import request_key

STRANGER = "stranger@elsewhere.example"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloud_module, "PARAMETERS", cloud_module.PARAMETERS | {"MailDomains": ""})
        with running_cloud(tmp_path_factory.mktemp("cloud") / "state") as cloud:
            yield cloud


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Api:
    return Api(cloud)


def open_page(url: str, data: bytes | None = None) -> tuple[int, str]:
    """As a browser does, without a key: a form is sent with the page's own origin."""
    origin = "/".join(url.split("/")[:3])
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data, headers if data else {}), timeout=PATIENCE
        ) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sent_to(cloud: Cloud, address: str) -> list[dict[str, Any]]:
    return [mail for mail in mails(cloud.embedded.access) if address in mail["To"]]


def audited(cloud: Cloud) -> list[tuple[Any, ...]]:
    """As docs/operations.md reads it."""
    rows = cloud.deployment.table.table.query(
        KeyConditionExpression=Key("job_id").eq(f"audit#default#{now().date().isoformat()}")
    )["Items"]
    return [(row["action"], row["subject"], row["source_ip"]) for row in rows]


def test_a_stranger_gets_no_mail_until_one_that_asks_was_answered(cloud: Cloud, api: Api) -> None:
    status, answer = api("POST", "/uploads", {"name": "Beach", "bytes": 1000, "email": STRANGER})
    assert (status, answer["slug"]) == (403, "address_unconfirmed")
    assert "POST /addresses" in answer["sentence"]

    # A drop goes on without its mail.
    client, name = cloud.deployment.uploads.client, cloud.deployment.uploads.name
    for number in range(2):
        metadata = {"job-id": f"no-zip-{number}", "email": STRANGER}
        client.put_object(Bucket=name, Key=f"uploads/{number}.zip", Body=b"no zip", Metadata=metadata)
        assert cloud.ended(f"no-zip-{number}").state is JobState.REJECTED
        if number == 0:
            cloud.until_row("no-zip-0", "mail")
            assert sent_to(cloud, STRANGER) == []
            confirm(cloud, api)
    cloud.mails(2)
    assert [mail["Subject"] for mail in sent_to(cloud, STRANGER)] == [
        "Confirm this address for Spaceport",
        "An upload could not be used",
    ]
    assert sorted(audited(cloud)) == [  # rows of one second have no order
        ("POST /addresses", STRANGER, "127.0.0.1"),
        ("POST /confirm", STRANGER, "127.0.0.1"),
    ]


@pytest.mark.parametrize("others", [97, pytest.param(0, marks=pytest.mark.slow)])
def test_jobs_of_one_key_are_refused_beyond_100(cloud: Cloud, api: Api, others: int) -> None:
    """Four at a time: 150 in the slow one. No stage wakes, so none of them ends."""
    deployed, quotas = cloud.deployment, Quotas(cloud.deployment.table)
    for rule in ("RequestToSfm", "ManifestToTracker"):
        disable_rule(cloud, rule)
    source = f"source-{others}"
    source_request = Request(name="Beach", received_at=now())
    manifest = RequestManifest(job_id=source, created_at=now(), request=source_request, photos=20)
    deployed.bucket.put_manifest(request_key(source), manifest)
    deployed.table.record(manifest)
    if others:
        quotas.restore_jobs("default", {f"other-{number}" for number in range(others)})
    calls = 150 if not others else 10
    bodies = [{"continues": source, "step": "sfm", "jobId": f"job-{others}-{number}"} for number in range(calls)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body: api("POST", "/start-job", body), bodies))
    begun = {answer["jobId"] for status, answer in answers if status == 202}
    refused = [answer for status, answer in answers if status == 429]
    assert (len(begun), len(refused)) == (100 - others, calls - 100 + others)
    for answer in refused:
        assert (answer["slug"], answer["sentence"]) == (
            "over_quota",
            "Your team has reached one of its limits: 100 unfinished jobs at once. Wait until one has ended, or stop"
            " one. Whoever operates this service can raise it.",
        )
    assert {body["jobId"] for body in bodies if deployed.bucket.exists(request_key(body["jobId"]))} == begun
    assert api("POST", "/stop-job", {"jobId": min(begun)})[0] == 200
    assert api("POST", "/start-job", {"continues": source, "step": "sfm", "jobId": f"room-{others}"})[0] == 202
    for job_id in quotas.open_jobs("default"):
        quotas.release_job("default", job_id)


def disable_rule(cloud: Cloud, name: str) -> None:
    events = cloud.embedded.access.client("events")
    (rule,) = [rule["Name"] for rule in events.list_rules()["Rules"] if name in rule["Name"]]
    events.disable_rule(Name=rule)


def confirm(cloud: Cloud, api: Api) -> None:
    """As the reader of the mail does."""
    for _ in range(2):
        assert api("POST", "/addresses", {"email": STRANGER})[0] == 202
    (mail,) = sent_to(cloud, STRANGER)
    link = re.findall(r"http\S+", mail["BodyText"])[0]
    status, page = open_page(link)
    assert status == 200 and STRANGER in page
    url, token = link.split("?token=")
    assert open_page(url, urlencode({"token": token[:-2]}).encode())[0] == 404
    assert api("GET", "/addresses")[1]["addresses"] == [{"email": STRANGER, "state": "PENDING"}]
    status, page = open_page(url, urlencode({"token": token}).encode())
    assert status == 200 and "Confirmed" in page
    assert open_page(url, urlencode({"token": token}).encode())[0] == 404
    assert api("POST", "/addresses", {"email": STRANGER})[0] == 200
    assert api("GET", "/addresses")[1]["addresses"] == [{"email": STRANGER, "state": "CONFIRMED"}]
