"""AWS Batch's objects and its retry rules. Pure: no processes, no clock."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

PLACEHOLDER = re.compile(r"^Ref::(.+)$")


class Status(StrEnum):
    """A job's life, in order. A retry goes back to RUNNABLE."""

    SUBMITTED = "SUBMITTED"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


ENDED = frozenset({Status.SUCCEEDED, Status.FAILED})


@dataclass(frozen=True)
class JobDefinition:
    """The parts of a job definition that matter on one machine. Image, user, memory and log driver do not."""

    arn: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    timeout_seconds: float | None
    attempts: int
    evaluate_on_exit: tuple[Mapping[str, str], ...]
    gpu: bool
    role: str = ""
    """The name of the role whose rights its jobs have."""

    @staticmethod
    def of(arn: str, properties: Mapping[str, Any]) -> JobDefinition:
        """Read the properties of an AWS::Batch::JobDefinition whose references are resolved."""
        container = properties["ContainerProperties"]
        retry = properties.get("RetryStrategy", {})
        timeout = properties.get("Timeout", {}).get("AttemptDurationSeconds")
        return JobDefinition(
            arn=arn,
            command=tuple(container["Command"]),
            environment={item["Name"]: item["Value"] for item in container.get("Environment", [])},
            timeout_seconds=float(timeout) if timeout else None,
            attempts=int(retry.get("Attempts", 1)),
            evaluate_on_exit=tuple(retry.get("EvaluateOnExit", [])),
            gpu=any(need["Type"] == "GPU" for need in container.get("ResourceRequirements", [])),
            role=container.get("JobRoleArn", "").rpartition("/")[2],
        )


@dataclass(frozen=True)
class Exit:
    """How an attempt ended: the exit code of the process, and Batch's reasons."""

    code: int | None
    status_reason: str
    reason: str = ""


@dataclass
class Job:
    """One submitted job. Only its runner changes it."""

    id: str
    name: str
    queue: str
    job_definition: JobDefinition
    parameters: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    status: Status = Status.SUBMITTED
    status_reason: str = ""
    attempts: list[Exit] = field(default_factory=list)
    created_at: float = 0.0
    started_at: float | None = None
    stopped_at: float | None = None
    terminated: str | None = None
    """The reason of TerminateJob, once it was called."""

    def command(self) -> list[str]:
        return substitute(self.job_definition.command, self.parameters)

    def describe(self) -> dict[str, Any]:
        """The job as DescribeJobs returns it: times in milliseconds."""
        description: dict[str, Any] = {
            "jobId": self.id,
            "jobName": self.name,
            "jobQueue": self.queue,
            "jobDefinition": self.job_definition.arn,
            "status": self.status.value,
            "statusReason": self.status_reason,
            "parameters": self.parameters,
            "createdAt": _milliseconds(self.created_at),
            "startedAt": _milliseconds(self.started_at),
            "stoppedAt": _milliseconds(self.stopped_at),
            "attempts": [_attempt(each) for each in self.attempts],
            "container": {"command": self.command()},
        }
        if self.attempts and self.attempts[-1].code is not None:
            description["container"]["exitCode"] = self.attempts[-1].code
        return {name: value for name, value in description.items() if value is not None}


def substitute(command: Sequence[str], parameters: Mapping[str, str]) -> list[str]:
    """Replace each `Ref::name` by its parameter. An unknown name stays as it is, as in AWS."""
    arguments = []
    for word in command:
        match = PLACEHOLDER.match(word)
        arguments.append(parameters.get(match[1], word) if match else word)
    return arguments


def should_retry(job_definition: JobDefinition, attempt: int, end: Exit) -> bool:
    """Whether another attempt follows: the first rule of evaluateOnExit that matches decides; none means retry.

    All conditions of a rule must hold; `*` at the end of a pattern matches anything.
    """
    if end.code == 0 or attempt >= job_definition.attempts:
        return False
    for rule in job_definition.evaluate_on_exit:
        if _matches(rule, end):
            return rule["Action"].upper() == "RETRY"
    return True


def _matches(rule: Mapping[str, str], end: Exit) -> bool:
    actual = {
        "OnExitCode": "" if end.code is None else str(end.code),
        "OnReason": end.reason,
        "OnStatusReason": end.status_reason,
    }
    return all(fnmatchcase(actual[name], str(rule[name])) for name in actual if name in rule)


def _attempt(end: Exit) -> dict[str, Any]:
    container = {"reason": end.reason} | ({} if end.code is None else {"exitCode": end.code})
    return {"container": container, "statusReason": end.status_reason}


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
