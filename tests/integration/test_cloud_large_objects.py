"""Large objects of the embedded S3: in files on their way in and out, and to its clients what they always were."""

from __future__ import annotations

import hashlib
import http.client
import os
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cloud_fixtures import running_cloud

from spaceport.local.children import survivors

MIB = 1 << 20
FIRST = os.urandom(2 * MIB + 17)
SECOND = os.urandom(3 * MIB + 5)


class Store:
    """A bucket of a running cloud, for one test after another."""

    def __init__(self, state: Path, access: Any, bucket: str) -> None:
        self.state = state.resolve()
        self.s3: Any = access.client("s3", Config(signature_version="s3v4"))
        self.bucket = bucket

    def put(self, key: str, body: bytes, **more: Any) -> Any:
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key: str, **more: Any) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read())

    def send(self, method: str, url: str, body: bytes, **headers: str) -> int:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    def memory(self) -> int:
        """PSS of ministack and its guard, in bytes."""
        pids = survivors(self.state, "spaceport.local.serve\0")
        lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    state = tmp_path_factory.mktemp("large") / "state"
    with running_cloud(state) as cloud:
        yield Store(state, cloud.embedded.access, cloud.deployment.uploads.name)
        assert not list((state / "tmp").glob("object-*")), "each scratch file has become an object's or has gone"


def etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def test_a_put_has_its_etag_metadata_and_versions(store: Store) -> None:
    first = store.put("put", FIRST, Metadata={"email": "a@b.example"})
    assert first["ETag"] == etag(FIRST)
    second = store.put("put", SECOND)
    assert store.get("put") == SECOND
    assert store.get("put", VersionId=first["VersionId"]) == FIRST
    assert store.get("put", VersionId=second["VersionId"]) == SECOND
    head = store.s3.head_object(Bucket=store.bucket, Key="put", VersionId=first["VersionId"])
    assert (head["ContentLength"], head["Metadata"]) == (len(FIRST), {"email": "a@b.example"})
    store.s3.delete_object(Bucket=store.bucket, Key="put", VersionId=second["VersionId"])
    assert store.get("put") == FIRST


def test_ranges_are_cut_exactly(store: Store) -> None:
    store.put("ranges", FIRST)
    for start, end in ((0, 0), (5, 4096), (MIB - 1, MIB + 1), (17, len(FIRST) - 1)):
        assert store.get("ranges", Range=f"bytes={start}-{end}") == FIRST[start : end + 1]
    assert store.get("ranges", Range="bytes=-100") == FIRST[-100:]
    with pytest.raises(ClientError, match=r"InvalidRange|416"):
        store.get("ranges", Range=f"bytes={len(FIRST)}-")


def test_conditions_and_checksums_hold(store: Store) -> None:
    store.put("once", FIRST, IfNoneMatch="*")
    with pytest.raises(ClientError, match=r"PreconditionFailed|412"):
        store.put("once", SECOND, IfNoneMatch="*")
    assert store.get("once") == FIRST
    good = {
        "ChecksumCRC32": b64encode(zlib.crc32(SECOND).to_bytes(4, "big")).decode(),
        "ChecksumSHA256": b64encode(hashlib.sha256(SECOND).digest()).decode(),
        "ContentMD5": b64encode(hashlib.md5(SECOND, usedforsecurity=False).digest()).decode(),
    }
    for name, value in good.items():
        store.put("checked", SECOND, **{name: value})
        with pytest.raises(ClientError, match="BadDigest"):
            store.put("checked", FIRST, **{name: value})
    assert store.get("checked") == SECOND


def test_a_multipart_upload_has_the_etag_of_its_parts(store: Store) -> None:
    parts = [os.urandom(5 * MIB), FIRST, b"the last one is small"]
    target = {"Bucket": store.bucket, "Key": "multipart"}
    upload = {**target, "UploadId": store.s3.create_multipart_upload(**target)["UploadId"]}
    tags = [
        store.s3.upload_part(**upload, PartNumber=number, Body=part)["ETag"]
        for number, part in enumerate((SECOND, *parts[1:]), start=1)
    ]
    tags[0] = store.s3.upload_part(**upload, PartNumber=1, Body=parts[0])["ETag"]  # again, and this one counts
    assert tags == [etag(part) for part in parts]
    named = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, start=1)]
    done = store.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": named})
    digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    assert done["ETag"] == f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-3"'
    assert store.get("multipart") == b"".join(parts)
    assert store.get("multipart", PartNumber=2) == FIRST
    store.s3.copy_object(**target | {"Key": "copy"}, CopySource={"Bucket": store.bucket, "Key": "multipart"})
    assert store.get("copy") == b"".join(parts)


def test_an_aborted_upload_leaves_nothing(store: Store) -> None:
    target = {"Bucket": store.bucket, "Key": "aborted"}
    upload = {**target, "UploadId": store.s3.create_multipart_upload(**target)["UploadId"]}
    store.s3.upload_part(**upload, PartNumber=1, Body=FIRST)
    assert list((store.state / "tmp").glob("object-*"))
    store.s3.abort_multipart_upload(**upload)
    assert not list((store.state / "tmp").glob("object-*"))


def test_forms_are_read_up_to_their_last_boundary(store: Store) -> None:
    for number, body in enumerate((FIRST, SECOND + b"\r\n--x\r\n\r\n", b"\r\n" + FIRST + b"\r\n")):
        form = store.s3.generate_presigned_post(store.bucket, f"form-{number}")
        fields = "".join(
            f'--x-y\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in form["fields"].items()
        )
        head = f'{fields}--x-y\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        whole = head.encode() + body + b"\r\n--x-y--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=x-y"}
        assert store.send("POST", form["url"], whole, **kind) == 204
        assert store.get(f"form-{number}") == body
        assert store.send("POST", form["url"], whole[:-5], **kind) == 400, "it has no end"


def test_a_presigned_put_and_a_body_that_ends_early(store: Store) -> None:
    url = store.s3.generate_presigned_url("put_object", Params={"Bucket": store.bucket, "Key": "presigned"})
    assert store.send("PUT", url, FIRST) == 200
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}")
    connection.putheader("Content-Length", str(len(SECOND)))
    connection.endheaders(SECOND[: 2 * MIB])
    connection.close()
    assert store.get("presigned") == FIRST


def test_memory_stays_far_below_the_objects_size(store: Store) -> None:
    store.put("warm", FIRST)
    body = os.urandom(MIB) * 48
    before = store.memory()
    for number in range(3):
        store.put(f"memory-{number}", body)
        assert store.get(f"memory-{number}") == body
    assert store.memory() - before < 16 * MIB
