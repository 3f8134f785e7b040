"""A disk that is full: nothing that does not fit is acknowledged, and what fits goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud_fixtures import running_cloud

from spaceport.local.disk import FULL, RESERVE, SMALL, free_bytes

MEGABYTE = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "none", str(folder)], check=False)
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    filler = folder / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(folder) - leave)
    return filler


def refusal(call: Any, **arguments: Any) -> tuple[int, str, int]:
    """Status, code and tries of a call that has to fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    metadata = response["ResponseMetadata"]
    return metadata["HTTPStatusCode"], response["Error"]["Code"], metadata["RetryAttempts"]


def test_what_does_not_fit_is_not_acknowledged(small_disk: Path) -> None:
    with running_cloud(small_disk / "state") as cloud:
        s3: Any = cloud.deployment.bucket.client
        there = {"Bucket": cloud.deployment.bucket.name}
        s3.put_object(**there, Key="former", Body=b"x" * 2 * MEGABYTE)
        started = s3.create_multipart_upload(**there, Key="parts")["UploadId"]
        part = {**there, "Key": "parts", "UploadId": started}
        etag = s3.upload_part(**part, PartNumber=1, Body=b"x" * 8 * MEGABYTE)["ETag"]

        filler = fill(small_disk, leave=RESERVE + 4 * MEGABYTE)
        large = b"x" * 5 * MEGABYTE
        assert refusal(s3.put_object, **there, Key="large", Body=large) == (507, FULL, 0)
        assert refusal(s3.upload_part, **part, PartNumber=2, Body=large) == (507, FULL, 0)
        s3.put_object(**there, Key="small", Body=b"a manifest may use the reserve")

        filler.unlink()
        filler = fill(small_disk, leave=4 * MEGABYTE)  # while the parts came
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        assert refusal(s3.complete_multipart_upload, **part, MultipartUpload=parts)[:2] == (507, FULL)
        source = {**there, "Key": "former"}
        s3.copy_object(**there, Key="copy", CopySource=source)
        filler.unlink()
        filler = fill(small_disk, leave=2 * SMALL)
        assert refusal(s3.copy_object, **there, Key="former", CopySource=source, MetadataDirective="REPLACE")[0] == 507
        with pytest.raises(ClientError, match="404"):
            s3.head_object(**there, Key="parts")
        filler.unlink()
        s3.put_object(**there, Key="large", Body=large)
        listed = {item["Key"]: item["Size"] for item in s3.list_objects_v2(**there)["Contents"]}
        expected = {"former": 2 * MEGABYTE, "small": 30, "copy": 2 * MEGABYTE, "large": 5 * MEGABYTE}
        assert listed == expected
    with running_cloud(small_disk / "state") as cloud:
        s3 = cloud.deployment.bucket.client
        listed = {item["Key"]: item["Size"] for item in s3.list_objects_v2(**there)["Contents"]}
        assert listed == expected, "what was acknowledged is there after a restart, and nothing else"
        assert s3.get_object(**there, Key="former")["Body"].read() == b"x" * 2 * MEGABYTE
