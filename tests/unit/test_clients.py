"""The clients that functions share: links that a browser can follow in every region."""

from __future__ import annotations

from urllib.parse import urlsplit

import boto3
import pytest

from functions.clients import s3


@pytest.mark.parametrize(
    ("region", "host"), [("us-east-1", "s3.us-east-1.amazonaws.com"), ("eu-central-1", "s3.eu-central-1.amazonaws.com")]
)
def test_links_name_the_bucket_in_its_region(monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(boto3, "client", boto3.Session().client)  # the one that tests share is of one region
    s3.cache_clear()
    try:
        link = s3().generate_presigned_url("get_object", Params={"Bucket": "spaceport-pipeline", "Key": "a"})
        form = s3().generate_presigned_post("spaceport-uploads", "uploads/a.zip")
    finally:
        s3.cache_clear()
    assert urlsplit(link).hostname == f"spaceport-pipeline.{host}"
    assert urlsplit(form["url"]).hostname == f"spaceport-uploads.{host}"
