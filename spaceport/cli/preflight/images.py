"""Whether the image of each stage is where Batch will look for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from botocore.exceptions import ClientError

from spaceport.cli.preflight.account import Account, Stack
from spaceport.cli.preflight.checks import Check, failed, ok, warning
from spaceport.pipeline.aws_errors import error_code

_OURS: Final = re.compile(
    r"(?P<registry>\d{12})\.dkr[.-]ecr\.[^/]+/(?P<repository>[^:@]+)(:(?P<tag>[^@]+)|@(?P<digest>.+))"
)
_ABSENT: Final = ("ImageNotFoundException", "RepositoryNotFoundException")


def check_images(account: Account, stack: Stack) -> Iterator[Check]:
    """One check for each job definition of the stack."""
    definitions = stack.of_type("AWS::Batch::JobDefinition")
    described = account.client("batch").describe_job_definitions(jobDefinitions=sorted(definitions.values()))
    images = {each["jobDefinitionArn"]: each["containerProperties"]["image"] for each in described["jobDefinitions"]}
    for name, arn in sorted(definitions.items()):
        if arn in images:
            yield check_image(account, stack.name, name, images[arn])
        else:
            yield failed(f"image of {name}", f"Batch does not know {arn}", "sam deploy")


def check_image(account: Account, stack: str, name: str, image: str) -> Check:
    """Whether an image of a job definition can be pulled, as far as it is in ECR."""
    subject = f"image of {name}"
    parts = _OURS.fullmatch(image)
    if not parts:
        return warning(subject, f"{image} is in no repository of ECR: not looked up", f"docker pull {image}")
    wanted = {"imageDigest": parts["digest"]} if parts["digest"] else {"imageTag": parts["tag"]}
    try:
        account.client("ecr").describe_images(
            registryId=parts["registry"], repositoryName=parts["repository"], imageIds=[wanted]
        )
    except ClientError as error:
        if error_code(error) not in _ABSENT:
            raise
        return failed(subject, f"{image} was never pushed", f"make images STACK={stack}")
    return ok(subject, image)
