"""The page's bucket and CloudFront before it: who reads it, and what its files are sent with, there as on a laptop."""

from __future__ import annotations

import re
from typing import Any

import pytest
from template import ACCOUNT, NAMES, REGION, STACK, of_type, raw

from spaceport.web.headers import EMBED, security_headers

END = f"s3.{REGION}.amazonaws.com"
HOSTS = (
    f"https://*.execute-api.{REGION}.amazonaws.com",
    f"https://{NAMES['UploadsBucket']}.{END}",
    f"https://{NAMES['PipelineBucket']}.{END}",
    "UserPoolDomain",
)
PARTS = {
    name: each
    for name, each in raw()["Resources"].items()
    if each["Type"].startswith("AWS::CloudFront::") or name in {"PageBucket", "PagePolicy"}
}


def sent_with(policy: str) -> dict[str, str]:
    """The headers of a response headers policy, but for HSTS, which a laptop without TLS cannot promise."""
    config = of_type("AWS::CloudFront::ResponseHeadersPolicy")[policy]["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31536000
    assert all(each["Override"] for each in (*security.values(), *config["CustomHeadersConfig"]["Items"]))
    text, filled = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"]
    headers = {each["Header"].lower(): each["Value"] for each in config["CustomHeadersConfig"]["Items"]}
    assert "ContentTypeOptions" in security
    return headers | {
        "content-security-policy": text.replace("${Hosts}", filled["Hosts"]),
        "referrer-policy": security["ReferrerPolicy"]["ReferrerPolicy"],
        "x-content-type-options": "nosniff",
    }


@pytest.mark.parametrize(("policy", "name"), [("PageHeaders", "index.html"), ("EmbedHeaders", EMBED)])
def test_cloudfront_sends_what_a_laptop_sends(policy: str, name: str) -> None:
    assert sent_with(policy) == security_headers(name, *HOSTS)


def test_other_pages_may_frame_the_embedded_viewer_and_nothing_else() -> None:
    (distribution,) = of_type("AWS::CloudFront::Distribution").values()
    config = distribution["DistributionConfig"]
    assert config["DefaultCacheBehavior"]["ResponseHeadersPolicyId"] == "PageHeaders"
    (embed,) = config["CacheBehaviors"]
    assert (embed["PathPattern"], embed["ResponseHeadersPolicyId"]) == (f"/{EMBED}", "EmbedHeaders")
    for behaviour in (config["DefaultCacheBehavior"], embed):
        assert behaviour["ViewerProtocolPolicy"] == "redirect-to-https"
        assert behaviour["Compress"] is True


def test_it_is_off_until_it_is_switched_on_and_then_all_of_it_is_there() -> None:
    declared = raw()["Parameters"]["Page"]
    assert (declared["Default"], declared["AllowedValues"]) == ("false", ["true", "false"])
    assert raw()["Conditions"]["HasPage"] == {"Fn::Equals": [{"Ref": "Page"}, "true"]}
    assert len(PARTS) == 6
    assert {each["Condition"] for each in PARTS.values()} == {"HasPage"}
    assert {raw()["Outputs"][name]["Condition"] for name in ("PageUrl", "PageBucket", "PageDistribution")} == {
        "HasPage"
    }


def test_cloudfront_alone_reads_the_bucket_and_only_for_this_page() -> None:
    deny, read = of_type("AWS::S3::BucketPolicy")["PagePolicy"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert read["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert (read["Action"], read["Resource"]) == ("s3:GetObject", f"arn:aws:s3:::{NAMES['PageBucket']}/*")
    ours = f"arn:aws:cloudfront::{ACCOUNT}:distribution/PageDistribution"
    assert read["Condition"] == {"StringEquals": {"aws:SourceArn": ours}}
    bucket = of_type("AWS::S3::Bucket")["PageBucket"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (origin,) = of_type("AWS::CloudFront::Distribution")["PageDistribution"]["DistributionConfig"]["Origins"]
    assert origin["OriginAccessControlId"] == "PageAccess"
    (access,) = of_type("AWS::CloudFront::OriginAccessControl").values()
    assert access["OriginAccessControlConfig"]["SigningBehavior"] == "always"


def test_superseded_files_stay_for_a_while_and_current_ones_for_good() -> None:
    superseded, versions = of_type("AWS::S3::Bucket")["PageBucket"]["LifecycleConfiguration"]["Rules"]
    assert superseded["TagFilters"] == [{"Key": "superseded", "Value": "true"}]
    assert superseded["ExpirationInDays"] >= 7
    assert "ExpirationInDays" not in versions


def test_names_of_one_account_tell_stacks_and_regions_apart() -> None:
    """CloudFront's names are those of the whole account, in all regions."""
    names = [
        config["Name"]
        for kind in ("OriginAccessControl", "ResponseHeadersPolicy")
        for each in of_type(f"AWS::CloudFront::{kind}").values()
        for config in [each[f"{kind}Config"]]
    ]
    assert all(STACK in name and REGION in name for name in names)
    room = 64 - len("s" * 26) - len("ap-southeast-99")
    assert all(len(name) - len(STACK) - len(REGION) <= room for name in names)
    assert len(set(names)) == len(names) - 1, "an access and a policy share one, which are two kinds"


def test_nothing_of_the_page_refers_to_the_api_which_must_know_its_address() -> None:
    """A circle would be refused at the deploy: API, its function, the buckets that it knows, their CORS, the page."""
    named: set[str] = set()
    for each in PARTS.values():
        named |= set(re.findall(r"'(?:Ref|Fn::GetAtt)': (?:\[)?'(\w+)", str(each)))
        named |= set(re.findall(r"\$\{(\w+)", str(each)))
    resources = set(raw()["Resources"])
    assert named & resources <= set(PARTS)


def aliases(values: dict[str, str]) -> Any:
    condition, hosts, none = of_type("AWS::CloudFront::Distribution")["PageDistribution"]["DistributionConfig"][
        "Aliases"
    ]["Fn::If"]
    assert (condition, none) == ("HasCertificate", "AWS::NoValue")
    ((index, split),) = [host["Fn::Select"] for host in hosts]
    separator, text = split["Fn::Split"]
    return values[text].split(separator)[index]


def test_a_certificate_makes_the_origin_s_host_the_page_s_name() -> None:
    assert aliases({"WebOrigin": "https://splats.example"}) == "splats.example"
    pattern = raw()["Parameters"]["PageCertificateArn"]["AllowedPattern"]
    assert re.fullmatch(pattern, "arn:aws:acm:us-east-1:123456789012:certificate/3f0c9a1b-0000") and re.fullmatch(
        pattern, ""
    )
    assert not re.fullmatch(pattern, "arn:aws:acm:eu-west-1:123456789012:certificate/3f0c9a1b-0000"), (
        "CloudFront's is us-east-1"
    )
    (assertion,) = raw()["Rules"]["CertificateHasPage"]["Assertions"]
    assert assertion["AssertDescription"].startswith("PageCertificateArn needs Page=true, and WebOrigin")
