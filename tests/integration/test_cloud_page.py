"""A stack with the page, deployed and published in the embedded AWS, whose CloudFront serves nothing."""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from cloud_cases import Cloud
from typer.testing import CliRunner

from spaceport.cli import app
from spaceport.local.cloud import PARAMETERS, ROOT
from spaceport.local.deploy import CODE, deploy
from spaceport.local.package import package
from spaceport.local.translate import translate
from spaceport.web import is_built


@pytest.mark.slow
@pytest.mark.skipif(not is_built(), reason="needs the page: make web")
def test_a_stack_with_the_page_is_deployed_and_published(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    access = cloud.embedded.access
    pool = access.client("cognito-idp").create_user_pool(PoolName="firm")["UserPool"]["Arn"]
    users = {"UserPoolArn": pool, "UserPoolClientId": "abc", "UserPoolDomain": "https://firm.example"}
    parameters = PARAMETERS | {"CreateSender": "false", "Page": "true", "WebOrigin": ""} | users
    outputs = deploy(access, "acme", translate(ROOT / "template.yaml", CODE), package(ROOT), parameters)
    (rule,) = access.client("s3").get_bucket_cors(Bucket=outputs["UploadsBucket"])["CORSRules"]
    assert rule["AllowedOrigins"] == [outputs["PageUrl"]]
    for name, value in access.environment().items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        result = CliRunner().invoke(app, ["publish-page", "--stack", "acme"])
        assert result.exit_code == 0, result.output
    assert result.output.endswith(f"The page: {outputs['PageUrl']}\n")
    s3, cloudfront = access.client("s3"), access.client("cloudfront")
    page = s3.get_object(Bucket=outputs["PageBucket"], Key="index.html")
    assert (page["ContentType"], page["CacheControl"]) == ("text/html; charset=utf-8", "no-cache")
    config = json.loads(s3.get_object(Bucket=outputs["PageBucket"], Key="config.json")["Body"].read())
    assert (config["api"], config["users"]["api"]) == (outputs["ApiUrl"], outputs["UserApiUrl"])
    parts = urlsplit(outputs["UserApiUrl"])
    api = f"{access.endpoint}/restapis/{(parts.hostname or '').split('.')[0]}{parts.path}/_user_request_"
    with pytest.raises(HTTPError, match="401"):  # nobody has signed in
        urlopen(f"{api}/jobs")
    invalidations = cloudfront.list_invalidations(DistributionId=outputs["PageDistribution"])["InvalidationList"]
    assert invalidations["Quantity"] == 2
    assert "serves no page" in CliRunner().invoke(app, ["publish-page", "--stack", "spaceport"]).output
