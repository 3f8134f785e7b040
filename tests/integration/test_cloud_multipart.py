"""An upload in parts through the embedded cloud: signed by length and checksum, killed, resumed, and made a job."""

from __future__ import annotations

import http.client
import io
import os
import urllib.error
import urllib.request
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import pytest
from cloud_cases import TINY, Cloud
from cloud_fixtures import running_cloud
from test_cloud_api import Api, add_tenant
from test_cloud_hung import sweep
from waiting import PATIENCE, until

from spaceport.demo import Survey
from spaceport.pipeline.jobs.multipart import PART_BYTES


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud") / "state") as cloud:
        add_tenant(cloud)
        yield cloud


@pytest.fixture
def api(cloud: Cloud) -> Api:
    return Api(cloud)


class Client:
    """What a page does with a zip: it knows nothing but the upload's id and the file."""

    def __init__(self, api: Api, job_id: str, data: bytes) -> None:
        self.api, self.path = api, f"/uploads/{job_id}"
        self.parts = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]

    def sign(self, *numbers: int) -> list[dict[str, Any]]:
        parts = [{"n": n, "bytes": len(self.parts[n - 1]), "crc32": checksum(self.parts[n - 1])} for n in numbers]
        status, answer = self.api("POST", f"{self.path}/parts", {"parts": parts})
        assert status == 200, answer
        return list(answer["parts"])

    def put(self, n: int, data: bytes | None = None, **headers: str) -> int:
        (signed,) = self.sign(n)
        body = self.parts[n - 1] if data is None else data
        request = urllib.request.Request(signed["url"], body, signed["headers"] | headers, method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except (urllib.error.URLError, ConnectionError):  # refused by its headers, and hung up on before all was sent
            return 403

    def die_amid(self, n: int) -> None:
        """Send half of a part, and hang up."""
        (signed,) = self.sign(n)
        url = urlsplit(signed["url"])
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=PATIENCE)
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        headers = signed["headers"] | {"Content-Length": str(len(self.parts[n - 1]))}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(self.parts[n - 1][: len(self.parts[n - 1]) // 2])
        connection.close()

    def uploaded(self) -> list[int]:
        status, answer = self.api("GET", self.path)
        assert (status, answer["state"]) == (200, "UPLOADING")
        for part in answer["uploaded"]:
            assert part["crc32"] == checksum(self.parts[part["n"] - 1])
        return [part["n"] for part in answer["uploaded"]]


def checksum(data: bytes) -> str:
    return b64encode(crc32(data).to_bytes(4, "big")).decode()


def padded(survey: Survey) -> bytes:
    """The survey's zip with a file of no use, so that it has three parts."""
    file = io.BytesIO(survey.zip_path.read_bytes())
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("notes.bin", os.urandom(2 * PART_BYTES))
    return file.getvalue()


def test_an_upload_is_killed_resumed_and_becomes_a_job(cloud: Cloud, api: Api, survey: Survey) -> None:
    data = padded(survey)
    status, begun = api("POST", "/uploads", {"name": "In parts", "bytes": len(data), "multipart": True})
    assert (status, begun["parts"]) == (201, 3)
    job = begun["jobId"]

    client = Client(api, job, data)
    flipped = bytes([client.parts[0][0] ^ 1]) + client.parts[0][1:]
    assert client.put(1, flipped) == 400
    assert client.put(1, data=client.parts[0] + b"more") == 403
    assert client.put(1, data=client.parts[0][:-1]) == 403
    assert client.put(1, flipped, **{"x-amz-checksum-crc32": checksum(flipped)}) == 403
    assert client.uploaded() == []
    assert client.put(1) == 200
    client.die_amid(2)

    again = Client(api, job, data)
    assert again.uploaded() == [1]
    status, refused = api("POST", f"/uploads/{job}/complete", {"options": TINY})
    assert (status, refused["missing"]) == (409, [2, 3])
    assert [again.put(n) for n in (3, 2)] == [200, 200]
    assert again.uploaded() == [1, 2, 3]
    for _ in range(2):
        assert api("POST", f"/uploads/{job}/complete", {"options": TINY}) == (
            202,
            {"jobId": job, "status": f"/jobs/{job}"},
        )
    until(lambda: cloud.row(job), cloud.logs)
    assert api("GET", f"/uploads/{job}")[1]["state"] == "COMPLETE"
    assert api("GET", f"/jobs/{job}")[1]["job"]["name"] == "In parts"
    stored = cloud.deployment.bucket.read_manifest(f"jobs/{job}/request/manifest.json")
    assert stored and stored.manifest.request.options.train.max_iterations == TINY["train"]["max_iterations"]
    assert api("POST", "/stop-job", {"jobId": job})[0] == 200


def test_an_aborted_upload_takes_no_part(api: Api) -> None:
    _, begun = api("POST", "/uploads", {"name": "In parts", "bytes": 9, "multipart": True})
    client = Client(api, begun["jobId"], b"123456789")
    assert client.put(1) == 200
    assert api("DELETE", client.path)[0] == 200
    assert client.put(1) == 404
    assert api("GET", client.path)[0] == 404


def test_a_deleted_job_is_forgotten_by_the_sweeper_with_its_own_role(cloud: Cloud, api: Api) -> None:
    _, begun = api("POST", "/uploads", {"name": "No zip", "bytes": 6, "multipart": True})
    job = begun["jobId"]
    assert Client(api, job, b"no zip").put(1) == 200
    assert api("POST", f"/uploads/{job}/complete", {})[0] == 202
    cloud.ended(job)
    _, made = api("POST", f"/jobs/{job}/shares", {})
    assert api("DELETE", f"/jobs/{job}")[0] == 202
    assert api("GET", f"/jobs/{job}")[0] == 404
    key, api.headers = api.headers, {"x-share-token": made["token"]}
    assert api("GET", "/shared")[0] == 404
    api.headers = key

    assert sweep(cloud)["deleted"] == 1
    for prefix in (f"jobs/{job}/", "deletions/"):
        assert not cloud.deployment.bucket.has_any(prefix)
    assert not cloud.deployment.uploads.has_any(begun["key"])
    assert cloud.row(job) is None
