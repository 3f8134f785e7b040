"""`spaceport publish-page`: the page's files into the bucket from which CloudFront serves them for a deployed stack.

Files that are named by their hash go first and HTML goes last, so that whoever opens the page meanwhile, or after a
kill at any moment, gets a whole one. What is current no longer is marked, and the bucket deletes it a month later.
"""

from __future__ import annotations

import json
import time
from html import escape
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer
from botocore.exceptions import BotoCoreError, ClientError

from spaceport.cli.arguments import fail
from spaceport.cli.console import console
from spaceport.cli.deployment import describe, unreachable
from spaceport.pipeline.text import visible
from spaceport.web import CONFIG, INDEX, STATIC, is_built
from spaceport.web.headers import cache_rule, media_type

SUPERSEDED: Final = "superseded"
"""The tag by which the template's bucket knows what to delete."""
HEAD: Final = "<head>"
CARD: Final = "card.jpg"
"""The picture of share.html's preview card, for all jobs the same: which job it is, is behind `#`, and never sent."""


def publish_page(
    stack: Annotated[str, typer.Option(help="The CloudFormation stack, deployed with Page=true.")],
) -> None:
    """Put the page, as `make web` builds it, on the web: into the stack's bucket, behind its CloudFront."""
    import boto3  # noqa: PLC0415  # a quarter of a second that `--help` does without

    if not is_built():
        fail("The page is not built: run `make web`, then again.")
    session = boto3.Session()
    try:
        outputs, parameters = describe(stack, session)
    except BotoCoreError as error:
        raise unreachable(stack, error) from error
    if "PageBucket" not in outputs:
        fail(f"The stack `{stack}` serves no page. Deploy it with the parameter Page=true.")
    try:
        names = publish(session.client("s3"), STATIC, outputs, parameters)
        invalidate(session.client("cloudfront"), outputs["PageDistribution"], names)
    except (ClientError, BotoCoreError) as error:
        fail(f"The page is not wholly published; run it again. {visible(str(error))}")
    console.print(f"{len(names)} files are published. The page: {outputs['PageUrl']}", soft_wrap=True)


def publish(s3: Any, folder: Path, outputs: dict[str, str], parameters: dict[str, str]) -> list[str]:
    """Upload the page's files and its `config.json`. Returns their names. Raises `ClientError`.

    Args:
        outputs, parameters: of the stack.
    """
    bucket = outputs["PageBucket"]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    config = config_of(outputs, parameters)
    files[CONFIG] = json.dumps(config).encode()
    names = sorted(files, key=_turn)
    for name in names:
        body = files[name]
        if name.endswith(".html"):
            page = with_hosts(body.decode(), hosts_of(config, outputs["UploadsBucket"], outputs["PipelineBucket"]))
            body = with_card(page, outputs["PageUrl"]).encode()
        s3.put_object(Bucket=bucket, Key=name, Body=body, ContentType=media_type(name), CacheControl=cache_rule(name))
    _mark_superseded(s3, bucket, set(names))
    return names


def _turn(name: str) -> tuple[int, str]:
    """HTML needs what is named in it, and the index is what people open."""
    return (0 if "/" in name else 3 if name == INDEX else 2 if name.endswith(".html") else 1), name


def config_of(outputs: dict[str, str], parameters: dict[str, str]) -> dict[str, Any]:
    """What `config.json` says. A link with a key does not sign in here: it could sign somebody in as another."""
    config: dict[str, Any] = {"api": outputs["ApiUrl"], "link_code": False}
    if "UserApiUrl" in outputs:
        domain, client = parameters["UserPoolDomain"], parameters["UserPoolClientId"]
        config["users"] = {"api": outputs["UserApiUrl"], "domain": domain, "client": client}
    return config


def hosts_of(config: dict[str, Any], *buckets: str) -> list[str]:
    """The origins of the API, of the buckets, and of where people sign in."""
    _, _, region = urlsplit(config["api"]).netloc.partition(".execute-api.")
    users = config.get("users", {})
    addresses = [config["api"], *(users[name] for name in ("api", "domain") if name in users)]
    origins = ["{0.scheme}://{0.netloc}".format(urlsplit(address)) for address in addresses]
    return [*origins, *(f"https://{bucket}.s3.{region}" for bucket in buckets)]


def with_hosts(html: str, hosts: list[str]) -> str:
    """A page that may reach these hosts alone: CloudFront's header cannot name the API, and lets in all of its region.

    Raises:
        ValueError: it has no head.
    """
    before, head, after = html.partition(HEAD)
    if not head:
        raise ValueError("a page without <head>")
    allowed = " ".join(hosts)
    policy = f"connect-src 'self' {allowed}; img-src 'self' blob: {allowed}"
    return f'{before}{head}<meta http-equiv="Content-Security-Policy" content="{policy}">{after}'


def with_card(html: str, page: str) -> str:
    """A page whose preview card has its picture by its whole address: who draws cards takes no other."""
    return html.replace(f'content="{CARD}"', f'content="{escape(page.rstrip("/"))}/{CARD}"')


def _mark_superseded(s3: Any, bucket: str, current: set[str]) -> None:
    """Mark what is not current, once: a copy onto itself begins the month after which the bucket deletes it."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for name in {item["Key"] for item in page.get("Contents", [])} - current:
            tags = s3.get_object_tagging(Bucket=bucket, Key=name)["TagSet"]
            if SUPERSEDED in {tag["Key"] for tag in tags}:
                continue
            s3.copy_object(
                Bucket=bucket,
                Key=name,
                CopySource={"Bucket": bucket, "Key": name},
                MetadataDirective="REPLACE",
                ContentType=media_type(name),
                CacheControl=cache_rule(name),
                TaggingDirective="REPLACE",
                Tagging=f"{SUPERSEDED}=true",
            )


def invalidate(cloudfront: Any, distribution: str, names: list[str]) -> None:
    """Let CloudFront forget all that keeps its name when it changes. Raises `ClientError`."""
    paths = ["/", *(f"/{name}" for name in names if "/" not in name)]
    batch = {"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": str(time.time_ns())}
    cloudfront.create_invalidation(DistributionId=distribution, InvalidationBatch=batch)
