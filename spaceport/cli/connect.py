"""Finds the deployment for a command: a deployed stack, a running embedded cloud, or one started for the command."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

from botocore.exceptions import BotoCoreError

from spaceport.cli.deployment import Deployment, NotDeployed, connect, unreachable
from spaceport.local.errors import CloudDied
from spaceport.pipeline.text import visible

if TYPE_CHECKING:
    from rich.console import Console

    from spaceport.local.access import Access
    from spaceport.local.address import RunningCloud

NOTICE_SECONDS = 3.0
"""A dead embedded AWS refuses connections a moment before its end is noticed."""


@contextmanager
def find(stack: str | None, state: Path, *, start: bool) -> Iterator[Deployment]:
    """The deployment that a command acts on. An embedded cloud stays up for as long as the block runs.

    Raises:
        NotDeployed: `start` is false and no embedded cloud runs on `state`, or the stack cannot be reached.
        CloudDied: the embedded cloud ended during the command, or did not start.
        StateUnusable: none can run on `state`.
    """
    import boto3  # noqa: PLC0415  # a quarter of a second that `--help` does without

    if stack:
        try:
            deployment = connect(stack, boto3.Session())
        except BotoCoreError as error:
            raise unreachable(stack, error) from error
        yield deployment
    else:
        with embedded(state, start=start) as cloud:
            yield replace(deployment_of(cloud.access), check=partial(check, cloud))


@contextmanager
def embedded(state: Path, *, start: bool) -> Iterator[RunningCloud]:
    """The embedded cloud on `state`, which stays up for as long as the block runs. Raises as `find`."""
    from spaceport.local.daemon import using  # noqa: PLC0415

    with using(state, start=start) as cloud:
        if cloud is None:
            where = visible(str(state))
            raise NotDeployed(f"No embedded cloud runs on {where}. Start one with `spaceport up`, or name a `--stack`.")
        try:
            yield cloud
        except (BotoCoreError, URLError):
            deadline = time.monotonic() + NOTICE_SECONDS
            while time.monotonic() < deadline:
                check(cloud)
                time.sleep(0.05)
            raise


def check(cloud: RunningCloud) -> None:
    """Raises `CloudDied` when the cloud has ended."""
    from spaceport.local.daemon import last_words  # noqa: PLC0415

    if not cloud.is_running():
        reason = last_words(cloud.state) or "Start it again: jobs resume from their last finished stage."
        raise CloudDied(f"The embedded cloud on {visible(str(cloud.state))} has ended. {reason}")


def is_running(state: Path) -> bool:
    """Whether an embedded cloud still runs on `state`."""
    from spaceport.local.address import running  # noqa: PLC0415

    return running(state) is not None


class Follower:
    """Prints what a cloud warns of from now on: for the terminal of `spaceport up`."""

    def __init__(self, state: Path, console: Console) -> None:
        from spaceport.local.logs import CLOUD_LOG  # noqa: PLC0415

        self._path = state / "logs" / CLOUD_LOG
        self._console = console
        self._seen = 0
        with suppress(OSError):  # there is none yet, or the folder is another's, which is told in a better sentence
            self._seen = self._path.stat().st_size

    def print_news(self) -> None:
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(self._seen if file.seek(0, 2) >= self._seen else 0)  # it begins anew when it is long
            news = file.read()
            self._seen = file.tell()
            for line in news.decode(errors="replace").splitlines():
                self._console.print(visible(line), style="yellow")


def deployment_of(access: Access) -> Deployment:
    """The deployment in an embedded cloud."""
    from spaceport.local.cloud import STACK  # noqa: PLC0415

    return connect(STACK, access.session, access.endpoint, access.batch_endpoint)


def greeting(cloud: RunningCloud) -> str:
    """What a person needs to use the cloud that `spaceport up` has started."""
    from spaceport.local.address import ENVIRONMENT  # noqa: PLC0415

    deployment = deployment_of(cloud.access)
    environment = visible(shlex.quote(str(cloud.state / ENVIRONMENT)))
    return "\n".join(
        (
            f"The embedded cloud is up. AWS at {cloud.access.endpoint}, Batch at {cloud.access.batch_endpoint}.",
            page_line(cloud, deployment.api_key_id),
            "Drop a zip, and a job begins by itself:",
            f"  . {environment} && aws s3 cp photos.zip s3://{deployment.uploads.name}/uploads/",
            "Then, in another terminal: spaceport jobs",
            "Ctrl-C shuts it down; buckets and table are kept.",
        )
    )


def page_line(cloud: RunningCloud, api_key_id: str) -> str:
    """The link that opens the page of an embedded cloud signed in, or how to get the page."""
    from spaceport.web import is_built  # noqa: PLC0415

    if not is_built():
        return "The page is not built: run `make web`, then start again."
    again = f"spaceport link{state_option(cloud.state)}"
    return f"Your jobs in a browser: {new_link(cloud.access, api_key_id)}\nThis link works once. For another: {again}"


def state_option(state: Path) -> str:
    """The option that names this folder, where it is not the one that commands take by themselves."""
    from spaceport.local.state import HOME, locate  # noqa: PLC0415

    return "" if state == locate(HOME) else f" --state {visible(shlex.quote(str(state)))}"


def new_link(access: Access, api_key_id: str, job_id: str | None = None) -> str:
    """An address that opens the page, or a job, of an embedded cloud signed in, once and for some minutes."""
    from spaceport.local.page import page_link  # noqa: PLC0415

    key: str = access.client("apigateway").get_api_key(apiKey=api_key_id, includeValue=True)["value"]
    return page_link(access, key, job_id)


def job_line(stack: str | None, state: Path, deployment: Deployment, job_id: str) -> str | None:
    """The link that shows a job in a browser after the command: signed in on a cloud that stays up for another command.

    None where nothing serves the page then.
    """
    from spaceport.local.address import running  # noqa: PLC0415
    from spaceport.local.daemon import is_used  # noqa: PLC0415
    from spaceport.web import is_built  # noqa: PLC0415

    if stack:
        return f"In a browser: {deployed_link(deployment, job_id)}" if deployment.page_url else None
    access = running(state) if is_used(state) and is_built() else None
    with suppress(BotoCoreError, OSError):  # it ends this moment
        if access:
            return f"In a browser: {new_link(access, deployment.api_key_id, job_id)}"
    return None


def deployed_link(deployment: Deployment, job_id: str | None) -> str:
    """The address of a deployed stack's page, or of a job on it. Whoever opens it needs a key, or to sign in."""
    return f"{deployment.page_url.rstrip('/')}/" + (f"?job={job_id}" if job_id else "")
