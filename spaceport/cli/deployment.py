"""What the commands act on: a deployed stack, or the embedded cloud. Both are located by the stack's outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from spaceport.pipeline.addresses import is_confirmed
from spaceport.pipeline.contract import DEFAULT_TENANT, EndManifest
from spaceport.pipeline.jobs.batch import terminate_jobs
from spaceport.pipeline.jobs.ending import stop_job
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import read_tenants

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient


QUICK = Config(retries={"max_attempts": 3})
"""By default a table is asked ten times, for up to a minute: so long a person would wait for a cloud that has died."""


class NotDeployed(Exception):
    """There is no deployment to act on. `str` says what to do."""


@dataclass(frozen=True)
class Deployment:
    """A running Spaceport, wherever it is."""

    bucket: Bucket
    uploads: Bucket
    table: JobTable
    batch: BatchClient
    queues: tuple[str, ...]
    mail_domains: str = ""
    """The domains whose addresses need no confirmation: the template's parameter `MailDomains`."""
    api_key_id: str = ""
    """Of the API's own key: the stack's output `ApiKeyId`."""
    page_url: str = ""
    """Where a stack's page is: its output `PageUrl`, or else its parameter `WebUrl`."""
    check: Callable[[], None] = lambda: None
    """Raises when it has died, before calls to it time out."""

    def may_mail(self, email: str) -> bool:
        """Whether mails of the default tenant, whose uploads the command line makes, may go to an address."""
        tenant = read_tenants(self.bucket).of(DEFAULT_TENANT)
        return is_confirmed(self.bucket, DEFAULT_TENANT, tenant, self.mail_domains, email)

    def stop(self, job_id: str) -> EndManifest:
        """Stop a job and terminate its Batch jobs. Returns how it ended. Raises `UnknownJob` when there is none."""
        end = stop_job(self.bucket, self.table, job_id)
        terminate_jobs(self.batch, self.table, job_id, self.queues)
        return end


def unreachable(stack: str, error: Exception) -> NotDeployed:
    """The sentence for a stack that AWS does not know, or that no call gets through to."""
    return NotDeployed(f"The stack `{stack}` cannot be reached ({error}). Deploy it with `sam deploy --guided`.")


def connect(stack: str, session: boto3.Session, endpoint: str | None = None, batch: str | None = None) -> Deployment:
    """Find the parts of a stack by its outputs.

    Raises:
        NotDeployed: AWS does not know the stack.
        BotoCoreError: AWS cannot be reached.
    """
    outputs, parameters = describe(stack, session, endpoint)
    s3 = session.client("s3", endpoint_url=endpoint)
    return Deployment(
        bucket=Bucket(outputs["PipelineBucket"], s3),
        uploads=Bucket(outputs["UploadsBucket"], s3),
        table=JobTable(outputs["JobTable"], session.resource("dynamodb", endpoint_url=endpoint, config=QUICK)),
        batch=session.client("batch", endpoint_url=batch or endpoint),
        queues=tuple(outputs[name] for name in ("CpuQueue", "GpuQueue") if name in outputs),
        mail_domains=parameters.get("MailDomains", ""),
        api_key_id=outputs.get("ApiKeyId", ""),
        page_url=outputs.get("PageUrl") or parameters.get("WebUrl", ""),
    )


def describe(stack: str, session: boto3.Session, endpoint: str | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """A stack's outputs and parameters. Raises as `connect`."""
    try:
        response = session.client("cloudformation", endpoint_url=endpoint).describe_stacks(StackName=stack)
    except ClientError as error:
        raise unreachable(stack, error) from error
    description = response["Stacks"][0]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in description.get("Outputs", [])}
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in description.get("Parameters", [])}
    return outputs, parameters
