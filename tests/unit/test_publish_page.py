"""Publishing the page: what each file is sent with, and a whole page at every moment, even if it is killed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from template import ROOT
from typer.testing import CliRunner

from spaceport.cli import app, publish_page
from spaceport.cli.publish_page import invalidate, publish, with_hosts
from spaceport.web.headers import YEAR_SECONDS

API = "https://abc123.execute-api.eu-central-1.amazonaws.com"
OUTPUTS = {
    "ApiUrl": f"{API}/v1",
    "PageBucket": "page",
    "PageDistribution": "E1",
    "PageUrl": "https://d1.cloudfront.net",
    "UploadsBucket": "acme-uploads-1-eu-central-1",
    "PipelineBucket": "acme-pipeline-1-eu-central-1",
}


def built(folder: Path, version: str) -> Path:
    """A page as `make web` builds it: HTML of which each names a script by its hash."""
    (folder / "assets").mkdir(parents=True)
    for name in ("index", "share"):
        script = f"assets/{name}-{version}.js"
        (folder / script).write_text(version)
        (folder / f"{name}.html").write_text(f'<!doctype html><head><script src="{script}"></script></head>')
    (folder / "icon.svg").write_text("<svg/>")
    return folder


@pytest.fixture
def s3(aws: None) -> Any:
    client = boto3.client("s3")
    client.create_bucket(Bucket="page")
    return client


def keys(s3: Any) -> set[str]:
    return {item["Key"] for item in s3.list_objects_v2(Bucket="page").get("Contents", [])}


def superseded(s3: Any) -> set[str]:
    return {name for name in keys(s3) if s3.get_object_tagging(Bucket="page", Key=name)["TagSet"]}


def text(s3: Any, name: str) -> str:
    body: bytes = s3.get_object(Bucket="page", Key=name)["Body"].read()
    return body.decode()


def test_files_have_their_types_and_are_kept_as_long_as_they_hold(s3: Any, tmp_path: Path) -> None:
    publish(s3, built(tmp_path / "one", "AB12"), OUTPUTS, {})
    about = {name: s3.head_object(Bucket="page", Key=name) for name in keys(s3)}
    assert {name: (each["ContentType"], each["CacheControl"]) for name, each in about.items()} == {
        "assets/index-AB12.js": ("text/javascript", f"public, max-age={YEAR_SECONDS}, immutable"),
        "assets/share-AB12.js": ("text/javascript", f"public, max-age={YEAR_SECONDS}, immutable"),
        "index.html": ("text/html; charset=utf-8", "no-cache"),
        "share.html": ("text/html; charset=utf-8", "no-cache"),
        "icon.svg": ("image/svg+xml", "no-cache"),
        "config.json": ("application/json", "no-cache"),
    }
    assert json.loads(text(s3, "config.json")) == {"api": f"{API}/v1", "link_code": False}


def test_the_page_may_reach_this_api_and_these_buckets_alone(s3: Any, tmp_path: Path) -> None:
    publish(s3, built(tmp_path / "one", "AB12"), OUTPUTS, {})
    (policy,) = re.findall(
        '<head><meta http-equiv="Content-Security-Policy" content="([^"]+)">', text(s3, "index.html")
    )
    end = "s3.eu-central-1.amazonaws.com"
    buckets = f"https://acme-uploads-1-eu-central-1.{end} https://acme-pipeline-1-eu-central-1.{end}"
    assert policy == f"connect-src 'self' {API} {buckets}; img-src 'self' blob: {API} {buckets}"
    with pytest.raises(ValueError, match="<head>"):
        with_hosts("<title>no head</title>", [API])


def test_the_preview_card_names_its_picture_in_full(s3: Any, tmp_path: Path) -> None:
    folder = built(tmp_path / "one", "AB12")
    share = f"<html><head>{(ROOT / 'web/preview.html').read_text()}</head></html>"
    (folder / "share.html").write_text(share)
    publish(s3, folder, OUTPUTS, {})
    pattern = '<meta property="og:image" content="([^"]+)">'
    assert re.findall(pattern, share) == ["card.jpg"]
    assert re.findall(pattern, text(s3, "share.html")) == ["https://d1.cloudfront.net/card.jpg"]
    assert (ROOT / "web/src/card.jpg").stat().st_size < 100_000


def test_where_people_sign_in_the_page_knows_where_and_may_go_there(s3: Any, tmp_path: Path) -> None:
    users = OUTPUTS | {"UserApiUrl": API.replace("abc123", "def456") + "/v1"}
    publish(
        s3, built(tmp_path / "one", "AB12"), users, {"UserPoolDomain": "https://firm.example", "UserPoolClientId": "c"}
    )
    signs_in = {"api": users["UserApiUrl"], "domain": "https://firm.example", "client": "c"}
    assert json.loads(text(s3, "config.json"))["users"] == signs_in
    assert f"connect-src 'self' {API} {API.replace('abc123', 'def456')} https://firm.example " in text(s3, "index.html")


def test_what_is_not_current_is_marked_once_and_no_longer_when_it_is_current_again(s3: Any, tmp_path: Path) -> None:
    first, second = built(tmp_path / "one", "AB12"), built(tmp_path / "two", "CD34")
    old = {"assets/index-AB12.js", "assets/share-AB12.js"}
    publish(s3, first, OUTPUTS, {})
    assert superseded(s3) == set()
    publish(s3, second, OUTPUTS, {})
    assert superseded(s3) == old
    assert s3.head_object(Bucket="page", Key="assets/index-AB12.js")["ContentType"] == "text/javascript"
    copies: list[str] = []
    s3.meta.events.register("provide-client-params.s3.CopyObject", lambda params, **_: copies.append(params["Key"]))
    publish(s3, second, OUTPUTS, {})
    assert copies == [], "its month would begin again"
    publish(s3, first, OUTPUTS, {})
    assert superseded(s3) == {"assets/index-CD34.js", "assets/share-CD34.js"}


class Killed(BaseException):
    """The publisher has ended."""


def is_killed_after(calls: int, s3: Any, folder: Path) -> bool:
    """Publish, until after so many calls."""
    left = [calls]

    def count(**_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    s3.meta.events.register("provide-client-params.s3.*", count, unique_id="killed")
    try:
        publish(s3, folder, OUTPUTS, {})
    except Killed:
        return True
    finally:
        s3.meta.events.unregister("provide-client-params.s3.*", unique_id="killed")
    return False


def test_at_every_moment_what_html_names_is_there(s3: Any, tmp_path: Path) -> None:
    publish(s3, built(tmp_path / "one", "AB12"), OUTPUTS, {})
    folder, calls = built(tmp_path / "two", "CD34"), 0
    while is_killed_after(calls, s3, folder):
        for name in ("index.html", "share.html"):
            (script,) = re.findall('src="([^"]+)"', text(s3, name))
            assert script in keys(s3) - superseded(s3), f"{name} after {calls} calls"
        calls += 1
    assert calls > 6
    assert superseded(s3) == {"assets/index-AB12.js", "assets/share-AB12.js"}


def test_cloudfront_forgets_what_changes_under_its_name() -> None:
    client = boto3.client("cloudfront")
    paths = ["/", "/index.html", "/config.json"]
    with Stubber(client) as stub:
        batch = {"Paths": {"Quantity": 3, "Items": paths}, "CallerReference": ANY}
        stub.add_response("create_invalidation", {}, {"DistributionId": "E1", "InvalidationBatch": batch})
        invalidate(client, "E1", ["assets/index-AB12.js", "index.html", "config.json"])
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("is_built", "outputs", "sentence"),
    [(False, OUTPUTS, "make web"), (True, {"ApiUrl": API}, "Page=true"), (True, OUTPUTS, "not wholly published")],
)
def test_what_is_missing_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, aws: None, is_built: bool, outputs: dict[str, str], sentence: str
) -> None:
    """The last one has no bucket."""
    monkeypatch.setattr(publish_page, "is_built", lambda: is_built)
    monkeypatch.setattr(publish_page, "describe", lambda *_: (outputs, {}))
    result = CliRunner().invoke(app, ["publish-page", "--stack", "acme"])
    assert result.exit_code == 1
    assert sentence in " ".join(result.output.split())
