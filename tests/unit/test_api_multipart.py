"""Uploads in parts: what is signed, what is there, what is refused, and the job that begins."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

import pytest
from function_cases import Context, call, deploy, event, put_tenants
from pipeline_cases import photo_zip

from functions.api import app
from functions.intake.app import handler as intake
from spaceport.pipeline.jobs import multipart
from spaceport.pipeline.jobs.multipart import PART_BYTES, read_upload
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import request_key
from spaceport.pipeline.storage import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing
DRAFT = {"options": {"preset": "draft"}, "email": "pilot@example.com"}


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch)


def ask(method: str, path: str, body: Any = None, key: str = "k3y1d00001") -> tuple[int, dict[str, Any]]:
    loaded = call("api_uploads", "" if body is None else body, path=path, httpMethod=method)
    loaded["requestContext"]["identity"]["apiKeyId"] = key
    answer = app.handler(loaded, Context())
    return answer["statusCode"], json.loads(answer["body"])


def begin(size: int, **more: Any) -> dict[str, Any]:
    status, answer = ask("POST", "/uploads", {"name": "Brighton Beach", "bytes": size, "multipart": True}, **more)
    assert status == 201
    return answer


def checksum(data: bytes) -> str:
    return b64encode(crc32(data).to_bytes(4, "big")).decode()


def put_parts(uploads: Bucket, table: JobTable, job_id: str, *parts: bytes) -> None:
    """As the signed addresses do, of which moto checks nothing: the embedded cloud's test uses them."""
    upload = read_upload(table, job_id)
    assert upload
    for number, data in enumerate(parts, 1):
        uploads.client.upload_part(
            Bucket="uploads", Key=upload.key, UploadId=upload.upload_id, PartNumber=number, Body=data
        )


@pytest.mark.parametrize(
    ("size", "parts"), [(1, 1), (PART_BYTES, 1), (PART_BYTES + 1, 2), (16 * 10**9 + (1 << 20), 954)]
)
def test_an_upload_of_any_size_has_its_parts(size: int, parts: int, table: JobTable) -> None:
    answer = begin(size)
    assert (answer["partBytes"], answer["parts"]) == (PART_BYTES, parts)
    upload = read_upload(table, answer["jobId"])
    assert upload and sum(upload.bytes_of(n) for n in range(1, parts + 1)) == size


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a", "bytes": multipart.MAX_PARTS * PART_BYTES + 1, "multipart": True},
        {"name": "a", "bytes": 0, "multipart": True},
        {"name": "a", "bytes": 1, "multipart": False},
        {"name": "", "bytes": 1, "multipart": True},
        {"name": "🏖" * 200, "bytes": 1, "multipart": True},
        {"name": "a", "bytes": 1, "multipart": True, "key": "jobs/x/end/manifest.json"},
        {"name": "a", "bytes": 1, "multipart": True, "options": {}},
    ],
)
def test_what_cannot_be_uploaded_in_parts(body: Any) -> None:
    status, answer = ask("POST", "/uploads", body)
    assert (status, answer["slug"]) == (400, "bad_options")


def test_a_part_is_signed_for_its_length_and_checksum() -> None:
    job_id = begin(PART_BYTES + 9)["jobId"]
    parts = [{"n": 1, "bytes": PART_BYTES, "crc32": "AAAAAA=="}, {"n": 2, "bytes": 9, "crc32": checksum(b"123456789")}]
    status, answer = ask("POST", f"/uploads/{job_id}/parts", {"parts": parts})
    assert (status, answer["seconds"]) == (200, 900)
    for asked, signed in zip(parts, answer["parts"], strict=True):
        assert signed["headers"] == {"x-amz-checksum-crc32": asked["crc32"]}
        query = parse_qs(urlsplit(signed["url"]).query)
        assert {"content-length", "x-amz-checksum-crc32", "host"} <= set(query["X-Amz-SignedHeaders"][0].split(";"))
        assert (query["partNumber"], query["X-Amz-Expires"]) == ([str(asked["n"])], ["900"])


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [{"n": 0, "bytes": 9, "crc32": "AAAAAA=="}],
        [{"n": 3, "bytes": 9, "crc32": "AAAAAA=="}],
        [{"n": 2, "bytes": 10, "crc32": "AAAAAA=="}],
        [{"n": 1, "bytes": 9, "crc32": "AAAAAA=="}],
        [{"n": 2, "bytes": 9, "crc32": "AAAAAAA="}],
        [{"n": 2, "bytes": 9, "crc32": "AAAAAA==\r\nx-amz-acl: public-read"}],
        [{"n": 2, "bytes": 9, "crc32": "AAAAAA==", "key": "another"}],
        [{"n": 2, "bytes": 9, "crc32": "AAAAAA=="}] * 33,
    ],
)
def test_what_is_not_signed(parts: Any) -> None:
    job_id = begin(PART_BYTES + 9)["jobId"]
    status, answer = ask("POST", f"/uploads/{job_id}/parts", {"parts": parts})
    assert (status, answer["slug"]) == (400, "bad_options")


def test_a_complete_upload_begins_its_job_as_it_was_wanted_last(
    bucket: Bucket, uploads: Bucket, table: JobTable
) -> None:
    data = photo_zip(4)
    answer = begin(len(data))
    job_id = answer["jobId"]
    status, refused = ask("POST", f"/uploads/{job_id}/complete", DRAFT)
    assert (status, refused["slug"], refused["missing"]) == (409, "parts_missing", [1])
    put_parts(uploads, table, job_id, data[:-1])
    assert ask("POST", f"/uploads/{job_id}/complete", DRAFT)[1]["missing"] == [1], "one of other bytes"
    put_parts(uploads, table, job_id, data)
    status, shown = ask("GET", f"/uploads/{job_id}")
    assert (status, shown["state"]) == (200, "UPLOADING")
    assert [(part["n"], part["bytes"]) for part in shown["uploaded"]] == [(1, len(data))]
    assert ask("POST", f"/uploads/{job_id}/complete", {"options": {"surprise": 1}})[0] == 400

    for _ in range(2):
        completed = ask("POST", f"/uploads/{job_id}/complete", DRAFT)
        assert completed == (202, {"jobId": job_id, "status": f"/jobs/{job_id}"})
    assert ask("GET", f"/uploads/{job_id}")[1]["state"] == "COMPLETE"
    for other in ({}, DRAFT | {"email": "b@example.com"}, {"options": {"preset": "high"}}):
        status, refused = ask("POST", f"/uploads/{job_id}/complete", other)
        assert (status, refused["slug"]) == (409, "conflict")
    assert ask("DELETE", f"/uploads/{job_id}")[1]["slug"] == "conflict"

    for _ in range(2):
        assert intake(event("upload_multipart", answer["key"]), Context())["job_id"] == job_id
    stored = bucket.read_manifest(request_key(job_id))
    assert stored
    request = stored.manifest.request
    assert (request.name, request.email, request.owner) == ("Brighton Beach", "pilot@example.com", "k3y1d00001")
    assert request.options.train.preset == "draft"


def test_an_object_that_says_it_is_anothers_gets_nothing_of_it(
    bucket: Bucket, uploads: Bucket, table: JobTable
) -> None:
    data = photo_zip(4)
    job_id = begin(len(data))["jobId"]
    put_parts(uploads, table, job_id, data)
    assert ask("POST", f"/uploads/{job_id}/complete", DRAFT)[0] == 202
    metadata = {"job-id": job_id, "submission": "1"}
    uploads.client.put_object(Bucket="uploads", Key="uploads/other.zip", Body=data, Metadata=metadata)
    begun = intake(event("upload_put", "uploads/other.zip"), Context())["job_id"]
    stored = bucket.read_manifest(request_key(begun))
    assert stored and begun != job_id
    assert stored.manifest.request.email is None


def test_an_aborted_upload_is_gone(uploads: Bucket, table: JobTable) -> None:
    job_id = begin(9)["jobId"]
    put_parts(uploads, table, job_id, b"123456789")
    for _ in range(2):
        assert ask("DELETE", f"/uploads/{job_id}") == (200, {"jobId": job_id, "state": "ABORTED"})
    unknown = {"slug": "not_found", "sentence": f"There is no upload {job_id}."}
    assert ask("GET", f"/uploads/{job_id}") == (404, unknown)
    assert ask("POST", f"/uploads/{job_id}/complete", {}) == (404, unknown)
    assert not uploads.client.list_multipart_uploads(Bucket="uploads").get("Uploads")


def test_an_upload_is_its_keys_and_its_tenants_admins(bucket: Bucket) -> None:
    put_tenants(bucket, {"acme": {"keys": ["one", "two"], "admin_keys": ["admin"]}})
    job_id = begin(9, key="one")["jobId"]
    part = {"parts": [{"n": 1, "bytes": 9, "crc32": "AAAAAA=="}]}
    calls = [("GET", "", None), ("POST", "/parts", part), ("POST", "/complete", {}), ("DELETE", "", None)]
    for key in ("two", "of another tenant"):
        for method, path, body in calls:
            unknown = {"slug": "not_found", "sentence": f"There is no upload {job_id}."}
            assert ask(method, f"/uploads/{job_id}{path}", body, key) == (404, unknown)
            unknown["sentence"] = "There is no upload no-such-upload."
            assert ask(method, f"/uploads/no-such-upload{path}", body, key) == (404, unknown)
    for key in ("one", "admin"):
        assert ask("GET", f"/uploads/{job_id}", None, key)[0] == 200
        assert ask("POST", f"/uploads/{job_id}/parts", part, key)[0] == 200


def test_an_upload_that_s3_keeps_no_longer_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = begin(9)["jobId"]
    monkeypatch.setattr(multipart, "KEEP", -multipart.KEEP)
    assert ask("GET", f"/uploads/{job_id}")[0] == 404
