"""The API through the embedded API Gateway: upload, watch, stop, go on; and who has no key stays outside."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from cloud_cases import LONG, TINY, Cloud
from cloud_fixtures import running_cloud
from waiting import PATIENCE

from functions.api.caller import derived_key_id
from spaceport.demo import Survey
from spaceport.local.cloud import STACK
from spaceport.pipeline.contract import JobState, StageName
from spaceport.pipeline.layout import TENANTS

ACME = "a-key-of-acme-that-is-long-enough"


class Api:
    """The deployed API, spoken to over HTTP with the deployment's own key."""

    def __init__(self, cloud: Cloud) -> None:
        access = cloud.embedded.access
        (stack,) = access.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        outputs = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}
        api_id = str(urlsplit(outputs["ApiUrl"]).hostname).split(".")[0]
        self.url = f"{access.endpoint}/restapis/{api_id}/v1/_user_request_"
        key = access.client("apigateway").get_api_key(apiKey=outputs["ApiKeyId"], includeValue=True)
        self.headers = {"x-api-key": key["value"], "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One for all tests here: they count no mails, and only one of them starts jobs."""
    with running_cloud(tmp_path_factory.mktemp("cloud") / "state") as cloud:
        add_tenant(cloud)
        yield cloud


def add_tenant(cloud: Cloud) -> None:
    """Another team with a key of its own, as docs/operations.md says."""
    gateway = cloud.embedded.access.client("apigateway")
    key = gateway.create_api_key(name="acme", enabled=True, value=ACME)
    (plan,) = gateway.get_usage_plans()["items"]
    gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    document = {"tenants": {"acme": {"keys": [derived_key_id(ACME)]}}}
    bucket = cloud.deployment.bucket
    bucket.client.put_object(Bucket=bucket.name, Key=TENANTS, Body=json.dumps(document).encode())


@pytest.fixture
def api(cloud: Cloud) -> Api:
    return Api(cloud)


def send_form(url: str, fields: dict[str, str], data: bytes) -> int:
    """A browser's form upload: the fields in order, the file last."""
    mark = "----a-boundary-that-no-zip-holds"
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()
    ]
    parts.append(
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'.encode() + data + b"\r\n"
    )
    body = b"".join(parts) + f"--{mark}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=PATIENCE) as answer:
        return int(answer.status)


def test_upload_watch_stop_and_go_on(cloud: Cloud, api: Api, survey: Survey) -> None:
    data = survey.zip_path.read_bytes()
    status, form = api("POST", "/uploads", {"name": "By form", "bytes": len(data), "options": LONG})
    assert status == 201, form
    assert send_form(form["url"], form["fields"], data) in {200, 201, 204}
    job = form["jobId"]
    cloud.working_on(job, StageName.TRAIN)
    status, answer = api("GET", f"/jobs/{job}")
    assert (status, answer["job"]["state"], answer["job"]["name"]) == (200, "TRAINING", "By form")
    assert job in json.dumps(api("GET", "/jobs")[1])

    status, _ = api("POST", f"/jobs/{job}/stop")
    assert status == 200
    assert cloud.ended(job).state is JobState.STOPPED
    assert api("POST", "/stop-job", {"jobId": "no-such-job"})[0] == 404

    # What structure from motion made is not made again: a new job goes on from it.
    status, begun = api("POST", f"/jobs/{job}/retry", {"from": "train", "options": TINY})
    assert status == 202, begun
    row = cloud.ended(begun["jobId"])
    assert row.state is JobState.COMPLETED, cloud.logs()
    assert "sfm" not in row.seconds or row.continues == job
    runs = [path.name.split("-")[0] for path in (cloud.embedded.state / "logs").glob("*-*.log")]
    assert runs.count("sfm") == 1
    links = api("GET", f"/jobs/{begun['jobId']}")[1]["links"]
    with urllib.request.urlopen(links[0]["url"], timeout=PATIENCE) as answer:
        assert len(answer.read()) == links[0]["bytes"] == row.counts["sog_bytes"]
    check_share(api, begun["jobId"], links[0]["bytes"])


def check_share(api: Api, job: str, sog_bytes: int) -> None:
    """A share of a finished job is opened by whoever has it, without a key, until it is withdrawn."""
    _, made = api("POST", f"/jobs/{job}/shares", {"may": "report"})
    key, api.headers = api.headers, {"x-share-token": made["token"]}
    status, shown = api("GET", "/shared")
    assert (status, shown["job"]["name"], shown["model"]) == (200, "By form", True)
    assert {"sfm", "train", "compress"} == set(shown["report"])
    _, model = api("GET", "/shared/model")
    with urllib.request.urlopen(model["files"]["model.sog"], timeout=PATIENCE) as answer:
        assert len(answer.read()) == model["bytes"]["model.sog"] == sog_bytes
    assert api("GET", f"/jobs/{job}")[0] == 403
    api.headers = key
    assert api("DELETE", f"/jobs/{job}/shares/{made['share']['id']}")[0] == 200
    api.headers = {"x-share-token": made["token"]}
    assert [api("GET", path)[0] for path in ("/shared", "/shared/model")] == [404, 404]
    api.headers = key


def test_another_team_sees_nothing_and_takes_no_id_over(cloud: Cloud, api: Api) -> None:
    _, form = api("POST", "/uploads", {"name": "Ours", "bytes": 6})
    send_form(form["url"], form["fields"], b"no zip")
    job = form["jobId"]
    assert cloud.ended(job).state is JobState.REJECTED
    mine = api("GET", "/jobs?owner=me")[1]["jobs"]
    assert [row["job_id"] for row in mine if row["state"] == "REJECTED"] == [job]

    api.headers["x-api-key"] = ACME
    assert api("GET", "/jobs") == (200, {"jobs": []})
    unknown = {"slug": "not_found", "sentence": f"There is no job {job}."}
    assert api("GET", f"/jobs/{job}") == (404, unknown)
    assert api("POST", "/stop-job", {"jobId": job}) == (404, unknown)
    assert api("POST", "/start-job", {"continues": job}) == (404, unknown)
    _, form = api("POST", "/uploads", {"name": "Theirs", "bytes": 6})
    assert form["key"].startswith("uploads/acme/")
    send_form(form["url"], form["fields"], b"no zip")
    uploads = cloud.deployment.uploads.name
    status, answer = api("POST", "/start-job", {"s3Url": f"s3://{uploads}/{form['key']}", "jobId": job})
    assert (status, answer["sentence"]) == (409, f"The id {job} is taken. Choose another, or leave out `jobId`.")
    assert cloud.ended(form["jobId"]).tenant == "acme"


def test_a_key_that_is_disabled_or_deleted_opens_nothing(cloud: Cloud, api: Api) -> None:
    gateway = cloud.embedded.access.client("apigateway")
    api.headers["x-api-key"] = "a-key-that-is-there-for-a-while"
    key = gateway.create_api_key(name="visitor", enabled=True, value=api.headers["x-api-key"])["id"]
    (plan,) = gateway.get_usage_plans()["items"]
    gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key, keyType="API_KEY")
    assert api("GET", "/options")[0] == 200
    for value, status in (("false", 403), ("true", 200)):
        gateway.update_api_key(apiKey=key, patchOperations=[{"op": "replace", "path": "/enabled", "value": value}])
        assert api("GET", "/options")[0] == status
    gateway.delete_api_key(apiKey=key)
    assert api("GET", "/options")[0] == 403


def test_the_door(cloud: Cloud, api: Api) -> None:
    assert cloud.deployment.may_mail("anyone@elsewhere.example"), "on a laptop, mails stay there"
    assert api("GET", "/options")[0] == 200
    status, answer = api("POST", "/start-job", {"s3Url": "s3://somebody-elses/photos.zip"})
    assert status == 400
    assert answer["slug"]
    assert answer["sentence"]
    del api.headers["x-api-key"]
    assert api("GET", "/options")[0] == 403
