"""Finds the deployment for a command: a deployed stack, a running embedded cloud, or one started for the command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ConnectionClosedError, EndpointConnectionError

from spaceport.cli.deployment import Deployment, NotDeployed, connect, unreachable
from spaceport.local.errors import CloudDied

if TYPE_CHECKING:
    from spaceport.local.access import Access
    from spaceport.local.cloud import EmbeddedCloud


@contextmanager
def find(stack: str | None, state: Path, *, start: bool) -> Iterator[Deployment]:
    """The deployment that a command acts on.

    Raises:
        NotDeployed: `start` is false and no embedded cloud runs on `state`, or the stack cannot be reached.
        CloudDied: the embedded cloud ended during the command.
    """
    import boto3  # noqa: PLC0415  # a quarter of a second that `--help` does without

    from spaceport.local.cloud import running  # noqa: PLC0415

    if stack:
        try:
            deployment = connect(stack, boto3.Session())
        except BotoCoreError as error:
            raise unreachable(stack, error) from error
        yield deployment
    elif access := running(state):
        try:
            yield deployment_of(access)
        except (EndpointConnectionError, ConnectionClosedError) as error:
            raise CloudDied(
                f"The embedded cloud on {state} has ended. See the terminal where `spaceport up` ran."
            ) from error
    elif start:
        with embedded(state) as cloud:
            yield replace(deployment_of(cloud.access), check=cloud.check)
    else:
        raise NotDeployed(f"No embedded cloud runs on {state}. Start one with `spaceport up`, or name a `--stack`.")


@contextmanager
def embedded(state: Path) -> Iterator[EmbeddedCloud]:
    """An embedded cloud for as long as the block runs."""
    from spaceport.local.cloud import EmbeddedCloud  # noqa: PLC0415

    with EmbeddedCloud(state) as cloud:
        yield cloud


def deployment_of(access: Access) -> Deployment:
    """The deployment in an embedded cloud."""
    from spaceport.local.cloud import STACK  # noqa: PLC0415

    return connect(STACK, access.session, access.endpoint, access.batch_endpoint)


def greeting(cloud: EmbeddedCloud) -> str:
    """What a person needs to use the cloud that `spaceport up` has started."""
    from spaceport.local.cloud import ENVIRONMENT  # noqa: PLC0415

    deployment = deployment_of(cloud.access)
    environment = shlex.quote(str(cloud.state / ENVIRONMENT))
    return "\n".join(
        (
            f"The embedded cloud is up. AWS at {cloud.access.endpoint}, Batch at {cloud.access.batch_endpoint}.",
            "Drop a zip, and a job begins by itself:",
            f"  . {environment} && aws s3 cp photos.zip s3://{deployment.uploads.name}/uploads/",
            "Then, in another terminal: spaceport jobs",
            "Ctrl-C shuts it down; buckets and table are kept.",
        )
    )
