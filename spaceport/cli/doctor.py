"""`spaceport doctor`: what is wrong with a deployment, one sentence each, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from spaceport.cli.deployment import Deployment
from spaceport.pipeline.jobs.recovery import unreadable_manifests
from spaceport.pipeline.tenants import UnreadableTenants, read_tenants

LEFT_ALONE = "Its job is left alone; delete the object to be rid of it, or read it with the version that wrote it"


def examine(deployment: Deployment) -> Iterator[str]:
    """Every problem that is found."""
    try:
        read_tenants(deployment.bucket)
    except UnreadableTenants as error:
        yield f"{error}. The API lets nobody in, and no upload is accepted, until it is corrected."
    for problem in unreadable_manifests(deployment.bucket):
        yield f"{problem}. {LEFT_ALONE}."
