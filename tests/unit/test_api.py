"""The API: every route, ours and the original system's words, and every way to be refused."""

from __future__ import annotations

import base64
import importlib.util
import json
from types import ModuleType
from typing import Any

import pytest
from api_cases import ask
from function_cases import Batch, Context, call, deploy
from pipeline_cases import JOB, begin, photo_zip, requested, whole_job

from functions.api import actions, app, start
from functions.api.upload import MAX_BYTES
from spaceport.pipeline.contract import JobState, RequestManifest, StageManifest, StageName
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import input_manifest_key, request_key
from spaceport.pipeline.options import JobOptions
from spaceport.pipeline.storage import Bucket

ZIP = "uploads/brighton_beach.zip"
URL = f"s3://uploads/{ZIP}"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch)
    uploads.client.put_object(Bucket="uploads", Key=ZIP, Body=photo_zip(4))


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> Batch:
    fake = Batch()
    monkeypatch.setattr(actions, "batch", lambda: fake)
    return fake


def accepted(bucket: Bucket, job_id: str) -> RequestManifest:
    stored = bucket.read_manifest(request_key(job_id))
    assert stored and isinstance(stored.manifest, RequestManifest)
    return stored.manifest


def test_the_original_systems_body_starts_a_job(bucket: Bucket, table: JobTable) -> None:
    body = json.loads(call("api_start_legacy")["body"]) | {"s3Url": URL}
    status, answer = ask("api_start_legacy", body)
    assert (status, answer["jobId"]) == (202, "brighton-beach-2")
    request = accepted(bucket, answer["jobId"]).request
    assert (request.name, request.email) == ("Brighton Beach", "pilot@example.com")
    assert (request.options.train.max_iterations, request.options.train.target_psnr) == (2000, 30.0)
    row = table.get(answer["jobId"])
    assert row and row.state is JobState.RECEIVED and row.owner == "k3y1d00001"


def test_a_nested_body_starts_a_job_once(bucket: Bucket) -> None:
    body = json.loads(call("api_start_nested")["body"]) | {"s3Url": URL}
    (status, first), (_, second) = (ask("api_start_nested", body) for _ in range(2))
    assert status == 202 and first == second
    assert accepted(bucket, first["jobId"]).request.options.train.max_iterations == 800


@pytest.mark.parametrize("changes", [{"options": {"preset": "high"}}, {"name": "Another"}, {"email": "b@example.com"}])
def test_an_upload_that_has_its_job_gets_no_other(bucket: Bucket, changes: dict[str, Any]) -> None:
    body = {"s3Url": URL, "name": "Beach", "email": "a@example.com", "options": {"preset": "draft"}}
    job_id = ask("api_start_nested", body)[1]["jobId"]
    before = accepted(bucket, job_id)
    for unset in changes:  # who wants nothing in particular gets the job that is there
        _, answer = ask("api_start_nested", {name: value for name, value in body.items() if name != unset})
        assert answer["jobId"] == job_id
    status, answer = ask("api_start_nested", body | changes)
    assert (status, answer["slug"]) == (409, "conflict")
    assert f"`continues` {job_id} and `step` sfm" in answer["sentence"]
    assert accepted(bucket, job_id) == before
    assert list(bucket.list_folders("jobs/")) == [job_id]


def test_a_mistake_in_a_call_does_not_reject_the_upload() -> None:
    assert ask("api_start_nested", {"s3Url": URL, "max_iterations": -1})[0] == 400
    assert ask("api_start_nested", {"s3Url": URL, "max_iterations": 100})[0] == 202


@pytest.mark.parametrize(
    "url",
    [
        f"https://uploads.s3.eu-west-1.amazonaws.com/{ZIP}",
        f"https://uploads.s3.amazonaws.com/{ZIP}",
        f"https://s3.eu-west-1.amazonaws.com/uploads/{ZIP}",
        "https://uploads.s3.amazonaws.com/uploads/brighton%5Fbeach.zip",
    ],
)
def test_an_address_may_be_written_as_consoles_show_it(url: str) -> None:
    assert ask("api_start_nested", {"inputS3Uri": url})[0] == 202


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "s3Url"),
        ({"s3Url": "s3://strangers/uploads/a.zip"}, "s3Url"),
        ({"s3Url": "s3://pipeline/jobs/abc/extracted/a.zip"}, "s3Url"),
        ({"s3Url": "s3://uploads/elsewhere/a.zip"}, "below uploads/"),
        ({"s3Url": "file:///etc/passwd"}, "s3Url"),
        ({"s3Url": "https://uploads.evil.example/uploads/a.zip"}, "s3Url"),
        ({"s3Url": URL, "pipelineStep": "teleport"}, "pipelineStep"),
        ({"s3Url": URL, "jobId": "../../etc"}, "jobId"),
        ({"s3Url": 5}, "s3Url"),
        ({"s3Url": URL, "surprise": True}, "surprise"),
        ({"s3Url": URL, "max_iterations": -1}, "max_iterations"),
        ({"s3Url": URL, "options": {"train": {"seed": "x"}}}, "seed"),
        ({"pipelineStep": "3dgs", "colmapOutputS3Uri": "s3://pipeline/elsewhere/"}, "colmapOutputS3Uri"),
        ({"pipelineStep": "3dgs", "colmapOutputS3Uri": f"s3://pipeline/jobs/{JOB}/gaussian/"}, "colmapOutputS3Uri"),
        ({"pipelineStep": "compression"}, "gaussianOutputS3Uri"),
        ("not json", "JSON"),
        ("[1]", "JSON"),
        ("[" * 100_000, "JSON"),
        ('{"s3Url": "' + URL + '", "options": ' + '{"a": ' * 900 + "1" + "}" * 901, "JSON"),
        ('{"s3Url": "' + URL + '", "name": "\\ud800"}', "JSON"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_in_words(body: Any, said: str) -> None:
    status, answer = ask("api_start_nested", body)
    assert (status, answer["slug"]) == (400, "bad_options")
    assert said in answer["sentence"]


def test_an_upload_that_is_missing_or_bad_is_refused_with_its_own_slug(uploads: Bucket) -> None:
    status, answer = ask("api_start_nested", {"s3Url": "s3://uploads/uploads/gone.zip"})
    assert (status, answer["slug"]) == (400, "upload_missing")
    uploads.client.put_object(Bucket="uploads", Key="uploads/bad.zip", Body=b"no zip")
    status, answer = ask("api_start_nested", {"s3Url": "s3://uploads/uploads/bad.zip"})
    assert (status, answer["slug"]) == (400, "not_a_zip")
    assert answer["jobId"].startswith("bad-")


def test_the_id_of_another_job_is_a_conflict(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, requested())
    status, answer = ask("api_start_nested", {"s3Url": URL, "jobId": JOB})
    assert (status, answer["slug"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("step", "field", "folder", "stage"),
    [
        ("3dgs", "colmapOutputS3Uri", "colmap", StageName.TRAIN),
        ("compression", "gaussianOutputS3Uri", "gaussian", StageName.COMPRESS),
    ],
)
def test_a_later_step_starts_on_what_another_job_made(
    bucket: Bucket, table: JobTable, step: str, field: str, folder: str, stage: StageName
) -> None:
    begin(bucket, table, *whole_job())
    body = {"pipelineStep": step, field: f"s3://pipeline/jobs/{JOB}/{folder}/", "jobName": "Again"}
    status, answer = ask("api_start_later", body)
    assert (status, answer["name"]) == (202, "Again")
    stored = bucket.read_manifest(input_manifest_key(answer["jobId"], stage))
    assert stored and isinstance(stored.manifest, StageManifest)
    assert stored.manifest.request.continues == JOB


def test_a_job_goes_on_by_its_id_alone(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, requested())
    assert ask("api_start_later", {"continues": JOB})[0] == 202
    status, answer = ask("api_start_later", {"continues": JOB, "pipelineStep": "3dgs"})
    assert (status, answer["slug"]) == (404, "not_found")


def test_stop_ends_the_job_and_exactly_its_batch_jobs(bucket: Bucket, table: JobTable, batch: Batch) -> None:
    begin(bucket, table, requested())
    table.acquire(JOB, StageName.SFM, "etag", "holder", 1)
    batch.add("cpu", "holder", request_key(JOB), "RUNNING")
    batch.add("gpu", "waiting", f"jobs/{JOB}/colmap/manifest.json")
    batch.add("gpu", "neighbour", f"jobs/{JOB}-2/colmap/manifest.json")
    for _ in range(2):
        status, answer = ask("api_stop", {"jobId": JOB})
        assert (status, answer["state"]) == (200, "STOPPED")
    assert batch.terminated == ["holder", "waiting"] * 2
    row = table.get(JOB)
    assert row and row.state is JobState.STOPPED


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [({"jobId": "no-such-job"}, 404, "not_found"), ({}, 400, "bad_options"), ({"jobId": "A B"}, 400, "bad_options")],
)
def test_what_cannot_be_stopped(batch: Batch, body: Any, status: int, slug: str) -> None:
    got, answer = ask("api_stop", body)
    assert (got, answer["slug"], batch.terminated) == (status, slug, [])


def test_what_has_ended_cannot_be_stopped(bucket: Bucket, table: JobTable, batch: Batch) -> None:
    begin(bucket, table, *whole_job())
    status, answer = ask("api_stop", {"jobId": JOB})
    assert (status, batch.terminated) == (409, [])
    assert "COMPLETED" in answer["sentence"]


@pytest.mark.parametrize(("path", "status"), [("/jobs/no-such-job", 404), ("/jobs/A", 400), ("/elsewhere", 404)])
def test_what_is_not_there(path: str, status: int) -> None:
    assert ask("api_job", path=path)[0] == status


def test_what_nobody_foresaw_is_said_without_its_secrets(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("arn:aws:secret")

    monkeypatch.setattr(app, "table", broken)
    status, answer = ask("api_jobs")
    assert (status, answer["slug"]) == (500, "internal")
    assert "secret" not in json.dumps(answer)


def test_options_describe_themselves() -> None:
    status, answer = ask("api_options")
    assert status == 200
    assert answer["schema"] == JobOptions.model_json_schema()
    assert answer["defaults"] == JobOptions().model_dump(mode="json")
    assert set(answer["presets"]) == {"draft", "standard", "high"}
    assert "max_iterations" in answer["legacy"]
    limits = answer["limits"]
    assert (limits["files"], limits["min_photos"]) == (10_000, 3)
    assert ".jpg" in limits["photo_suffixes"] and ".mp4" in limits["video_suffixes"]
    assert limits["upload_bytes"] > limits["bytes_unpacked"] == 16 * 10**9


def test_an_upload_is_signed_for_this_zip_alone() -> None:
    status, answer = ask("api_uploads")
    assert status == 201
    assert answer["key"] == f"uploads/{answer['jobId']}.zip"
    fields = answer["fields"]
    assert fields["x-amz-meta-job-id"] == answer["jobId"]
    assert fields["x-amz-meta-job-name"] == "Brighton%20Beach"
    assert json.loads(fields["x-amz-meta-options"]) == {"preset": "draft"}
    policy = json.loads(base64.b64decode(fields["policy"]))
    assert ["content-length-range", 68157440, 68157440] in policy["conditions"]
    assert {"key": answer["key"]} in policy["conditions"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a", "bytes": MAX_BYTES + 1},
        {"name": "a", "bytes": 0},
        {"name": "", "bytes": 1},
        {"name": "a", "bytes": 1, "options": {"surprise": 1}},
        {"name": "猫" * 200, "bytes": 1, "email": "x" * 200},  # an S3 header holds 2 KB
        {"name": "a", "bytes": 1, "key": "jobs/x/end/manifest.json"},
    ],
)
def test_an_upload_that_would_be_refused_later_is_refused_now(body: Any) -> None:
    assert ask("api_uploads", body)[0] == 400


@pytest.mark.parametrize(
    ("function", "module", "route", "body"),
    [
        ("stop_job", actions, "api_stop", {"jobId": JOB}),
        ("continue_job", start, "api_start_nested", {"continues": JOB, "step": "train"}),
    ],
)
def test_a_bug_is_not_answered_as_an_unknown_job(
    table: JobTable,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    module: ModuleType,
    route: str,
    body: dict[str, Any],
) -> None:
    """A `KeyError` of any other origin is ours, and says nothing about the job."""
    table.record(requested())

    def broken(*_: object) -> None:
        raise KeyError("some dictionary")

    monkeypatch.setattr(module, function, broken)
    status, answer = ask(route, body)
    assert (status, answer["slug"]) == (500, "internal")


@pytest.mark.parametrize("origin", ["https://splats.example", "*"])
def test_a_page_of_the_origin_that_is_set_reads_answers_and_refusals(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    monkeypatch.setenv("SPACEPORT_WEB_ORIGIN", origin)
    spec = importlib.util.find_spec("functions.api.app")
    assert spec and spec.loader
    with_origin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(with_origin)
    for name in ("api_options", "api_job"):  # there is no such job
        request = call(name)
        request["multiValueHeaders"] = (request["multiValueHeaders"] or {}) | {"Origin": ["https://splats.example"]}
        answer = with_origin.handler(request, Context())
        assert answer["multiValueHeaders"]["Access-Control-Allow-Origin"] == [origin]
