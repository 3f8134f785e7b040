"""An AWS account with the answers that a test writes down: real clients of botocore, whose calls go nowhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

from boto3 import Session
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

from spaceport.cli.preflight.quotas import CONCURRENCY, GPU, NETWORKS, RULES, STANDARD

Answer = dict[str, Any] | Exception | Callable[[dict[str, Any]], dict[str, Any]]
REGION = "eu-central-1"
STACK = "survey"
QUOTAS = {**dict.fromkeys((*STANDARD, *GPU), 32.0), NETWORKS: 5.0, RULES: 300.0, CONCURRENCY: 1000.0}


def refused(operation: str, code: str = "AccessDeniedException", message: str = "you may not") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:123456789012:{name}"


@cache
def client_of(service: str) -> Any:
    """Made once: it takes a quarter of a second."""
    session = Session("testing", "testing", region_name=REGION)
    return session.client(service)  # type: ignore[call-overload]  # any service


class Answering:
    """Like a boto3 session. A call without an answer is refused, as one without a permission is.

    Args:
        answers: by operation, what AWS would answer, checked against the shapes of botocore; a function gets the
            call's parameters.
    """

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self._events: dict[str, Any] = {}

    def client(self, service_name: str, /, *, config: Config) -> Any:
        client = client_of(service_name)
        if service_name not in self._events:
            self._events[service_name] = client.meta.events
            client.meta.events.register_first("provide-client-params", self._keep)
            client.meta.events.register_first("before-call", self._answer)
        return client

    def close(self) -> None:
        for events in self._events.values():
            events.unregister("provide-client-params", self._keep)
            events.unregister("before-call", self._answer)

    def _keep(self, params: Any, context: Any, **_: Any) -> None:
        context["params"] = params

    def _answer(self, model: Any, context: Any, **_: Any) -> Any:
        answer = self.answers.get(model.name, refused(model.name))
        if callable(answer):
            answer = answer(context["params"])
        if isinstance(answer, ClientError):
            return SimpleNamespace(status_code=400), answer.response
        if isinstance(answer, Exception):
            raise answer
        validate_parameters(answer, model.output_shape)
        return SimpleNamespace(status_code=200), answer


def quota_answer(values: dict[Any, float]) -> Answer:
    by_code = {quota.code: value for quota, value in values.items()}
    return lambda params: {"Quota": {"Value": by_code[params["QuotaCode"]]}}


def empty_account(types: tuple[str, ...]) -> dict[str, Answer]:
    """An account in which a stack can be deployed."""
    zones = [f"{REGION}{letter}" for letter in "abc"]
    return {
        "GetCallerIdentity": {"Arn": "arn:aws:iam::123456789012:user/ann"},
        "DescribeStacks": refused("DescribeStacks", "ValidationError", f"Stack with id {STACK} does not exist"),
        "GetServiceQuota": quota_answer(QUOTAS),
        "DescribeAvailabilityZones": {"AvailabilityZones": [{"ZoneName": zone} for zone in zones]},
        "DescribeInstanceTypeOfferings": {
            "InstanceTypeOfferings": [{"InstanceType": kind, "Location": zone} for kind in types for zone in zones]
        },
        "GetRole": {
            "Role": {
                "Path": "/",
                "RoleName": "AWSServiceRoleForEC2Spot",
                "RoleId": "AROA0123456789ABCDEF",
                "Arn": "arn:aws:iam::123456789012:role/x",
                "CreateDate": "2026-11-27T00:00:00Z",
            }
        },
        "GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 1000}},
        "GetAccount": {"SendingEnabled": True, "ProductionAccessEnabled": True},
        "GetEmailIdentity": refused("GetEmailIdentity", "NotFoundException"),
        "DescribeVpcs": {"Vpcs": [{}]},
        "ListRules": {"Rules": [{"Name": "other"}]},
    }


RESOURCES = {
    "CpuSpotEnvironment": ("AWS::Batch::ComputeEnvironment", arn("batch", "compute-environment/spot")),
    "CpuEnvironment": ("AWS::Batch::ComputeEnvironment", arn("batch", "compute-environment/cpu")),
    "CpuQueue": ("AWS::Batch::JobQueue", arn("batch", "job-queue/cpu")),
    "SfmJob": ("AWS::Batch::JobDefinition", arn("batch", "job-definition/sfm:1")),
    "RequestToSfm": ("AWS::Events::Rule", f"{STACK}-RequestToSfm-1"),
    "UnhealedAlarm": ("AWS::CloudWatch::Alarm", f"{STACK}-UnhealedAlarm-1"),
    "DeadEvents": ("AWS::SQS::Queue", f"https://sqs.{REGION}.amazonaws.com/123456789012/{STACK}-DeadEvents"),
}
IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/{STACK}-sfm:latest"
SPOT, ON_DEMAND = (RESOURCES[name][1] for name in ("CpuSpotEnvironment", "CpuEnvironment"))


def stack_answer(status: str = "CREATE_COMPLETE") -> Answer:
    parameters = [{"ParameterKey": "MailFrom", "ParameterValue": "splats@firm.example"}]
    stack = {
        "StackName": STACK,
        "StackStatus": status,
        "CreationTime": "2026-11-27T00:00:00Z",
        "Parameters": parameters,
    }
    return {"Stacks": [stack]}


def environment(of: str, status: str = "VALID", reason: str = "") -> dict[str, Any]:
    name = of.rpartition("/")[2]
    named = {"computeEnvironmentName": name, "computeEnvironmentArn": of, "ecsClusterArn": "x"}
    return named | {"status": status, "state": "ENABLED", "statusReason": reason}


def queue_answer(state: str = "ENABLED") -> Answer:
    order = [{"order": 2, "computeEnvironment": ON_DEMAND}, {"order": 1, "computeEnvironment": SPOT}]
    named = {"jobQueueName": "cpu", "jobQueueArn": RESOURCES["CpuQueue"][1], "priority": 1}
    return {"jobQueues": [named | {"state": state, "status": "VALID", "computeEnvironmentOrder": order}]}


def image_answer(image: str) -> Answer:
    named = {"jobDefinitionName": "sfm", "jobDefinitionArn": RESOURCES["SfmJob"][1], "revision": 1, "type": "container"}
    return {"jobDefinitions": [named | {"containerProperties": {"image": image}}]}


def deployed_account(types: tuple[str, ...]) -> dict[str, Answer]:
    """An account in which the stack works; of each kind of resource there is one, of environments two."""
    summaries = [
        {
            "LogicalResourceId": name,
            "PhysicalResourceId": physical,
            "ResourceType": kind,
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": "2026-11-27T00:00:00Z",
        }
        for name, (kind, physical) in RESOURCES.items()
    ]
    unasked = ("DescribeVpcs", "ListRules")
    return {name: answer for name, answer in empty_account(types).items() if name not in unasked} | {
        "DescribeStacks": stack_answer(),
        "ListStackResources": {"StackResourceSummaries": summaries},
        "DescribeComputeEnvironments": {"computeEnvironments": [environment(SPOT), environment(ON_DEMAND)]},
        "DescribeJobQueues": queue_answer(),
        "DescribeJobDefinitions": image_answer(IMAGE),
        "DescribeImages": {"imageDetails": [{}]},
        "DescribeRule": {"State": "ENABLED"},
        "DescribeAlarms": {"MetricAlarms": []},
        "GetQueueAttributes": {"Attributes": {"ApproximateNumberOfMessages": "0"}},
        "GetEmailIdentity": {"VerifiedForSendingStatus": True},
    }
