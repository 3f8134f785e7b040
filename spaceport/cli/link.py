"""`spaceport link`: another link to the page, for whom the one that `up` printed was used, or is too old."""

from __future__ import annotations

from typing import Annotated

import typer

from spaceport.cli import connect
from spaceport.cli.arguments import Stack, State, fail, open_deployment
from spaceport.cli.console import console
from spaceport.cli.deployment import Deployment
from spaceport.local.state import HOME, locate
from spaceport.pipeline.errors import UnknownJob
from spaceport.web import is_built


def link(
    job: Annotated[str | None, typer.Argument(help="A job's id, for a link to that job.")] = None,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Print a link to the page. The one of an embedded cloud signs in, once and within 15 minutes."""
    if stack:
        with open_deployment(stack, state) as deployment:
            _check(deployment, job)
        if not deployment.page_url:
            fail(f"The stack `{stack}` serves no page. Deploy it with the parameter Page=true.")
        address = connect.deployed_link(deployment, job)
    else:
        if not is_built():
            fail("The page is not built: run `make web`, then start the cloud again.")
        with connect.embedded(locate(state), start=False) as cloud:
            deployment = connect.deployment_of(cloud.access)
            _check(deployment, job)
            address = connect.new_link(cloud.access, deployment.api_key_id, job)
    console.print(address, soft_wrap=True)


def _check(deployment: Deployment, job: str | None) -> None:
    if job and deployment.table.get(job) is None:
        raise UnknownJob(f"There is no job {job}. `spaceport jobs` lists all jobs.")
