"""The account that is asked: its clients, its region, its stack."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, Protocol

from botocore.config import Config
from botocore.exceptions import ClientError

from spaceport.pipeline.aws_errors import error_code

_CONFIG: Final = Config(connect_timeout=5, read_timeout=20, retries={"max_attempts": 3, "mode": "standard"})


class Clients(Protocol):
    """A boto3 session, as far as it is needed here."""

    def client(self, service_name: Any, /, *, config: Config) -> Any: ...


class Account:
    """The clients of one account in one region."""

    def __init__(self, clients: Clients, region: str) -> None:
        self.region = region
        self.client = cache(lambda service: clients.client(service, config=_CONFIG))

    def stack(self, name: str) -> Stack | None:
        """The stack, or None where there is none. Raises `ClientError` and `BotoCoreError`."""
        cloudformation = self.client("cloudformation")
        try:
            description = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if error_code(error) == "ValidationError":  # "Stack with id … does not exist"
                return None
            raise
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        resources = [each for page in pages for each in page["StackResourceSummaries"]]
        return Stack(description, resources)


class Stack:
    """A deployed stack: what CloudFormation says of it."""

    def __init__(self, description: Any, resources: list[Any]) -> None:
        self.name: str = description["StackName"]
        self.status: str = description["StackStatus"]
        self.reason: str = description.get("StackStatusReason", "")
        self.parameters = {each["ParameterKey"]: each["ParameterValue"] for each in description.get("Parameters", [])}
        self.has_outputs = bool(description.get("Outputs"))
        """As a stack has once it was deployed."""
        self._resources = resources

    def of_type(self, kind: str) -> dict[str, str]:
        """Logical names and physical ones, which for Batch are ARNs and for SQS URLs."""
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in self._resources
            if each["ResourceType"] == kind and each.get("PhysicalResourceId")
        }
