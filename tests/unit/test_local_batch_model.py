"""Batch's rules as AWS states them: placeholders, retries by evaluateOnExit, what DescribeJobs tells."""

from __future__ import annotations

import pytest

from spaceport.local.batch.model import Exit, Job, JobDefinition, Status, should_retry, substitute

RULES = (
    {"OnStatusReason": "Host EC2*", "Action": "RETRY"},
    {"OnExitCode": "75", "Action": "RETRY"},
    {"OnExitCode": "65", "Action": "EXIT"},
    {"OnReason": "*", "Action": "EXIT"},
)


def job_definition(attempts: int = 3, rules: tuple[dict[str, str], ...] = RULES) -> JobDefinition:
    return JobDefinition("arn", ("python", "Ref::key"), {}, None, attempts, rules, gpu=False)


@pytest.mark.parametrize(
    ("end", "again"),
    [
        (Exit(0, "exited"), False),
        (Exit(75, "exited"), True),
        (Exit(65, "exited"), False),
        (Exit(1, "exited"), False),
        (Exit(None, "Host EC2 (instance i-1) terminated."), True),
    ],
)
def test_the_first_rule_that_fits_decides(end: Exit, again: bool) -> None:
    assert should_retry(job_definition(), 1, end) is again
    assert not should_retry(job_definition(), 3, end), "no attempt is left"


def test_no_rule_that_fits_means_retry() -> None:
    assert should_retry(job_definition(rules=()), 1, Exit(1, "exited"))
    assert should_retry(job_definition(rules=({"OnExitCode": "2", "Action": "EXIT"},)), 1, Exit(1, "exited"))


def test_all_conditions_of_a_rule_must_hold() -> None:
    rule = {"OnExitCode": "1", "OnStatusReason": "Host*", "Action": "EXIT"}
    assert should_retry(job_definition(rules=(rule,)), 1, Exit(1, "exited"))
    assert not should_retry(job_definition(rules=(rule,)), 1, Exit(1, "Host gone"))


def test_placeholders() -> None:
    words = ["python", "-m", "x", "--key", "Ref::key", "Ref::unknown", "not-Ref::key"]
    assert substitute(words, {"key": "jobs/a b"}) == ["python", "-m", "x", "--key", "jobs/a b", *words[5:]]


def test_a_definition_from_the_template() -> None:
    read = JobDefinition.of(
        "arn",
        {
            "ContainerProperties": {
                "Command": ["python"],
                "Environment": [{"Name": "A", "Value": "1"}],
                "ResourceRequirements": [{"Type": "GPU", "Value": "1"}],
            },
            "RetryStrategy": {"Attempts": 2, "EvaluateOnExit": [{"OnExitCode": "1", "Action": "EXIT"}]},
            "Timeout": {"AttemptDurationSeconds": "60"},
        },
    )
    assert (read.environment, read.attempts, read.timeout_seconds, read.gpu) == ({"A": "1"}, 2, 60.0, True)
    bare = JobDefinition.of("arn", {"ContainerProperties": {"Command": []}})
    assert (bare.attempts, bare.timeout_seconds, bare.gpu) == (1, None, False)


def test_a_job_as_batch_describes_it() -> None:
    job = Job("id", "sfm", "queue", job_definition(), {"key": "k"}, status=Status.FAILED, created_at=1.5)
    job.attempts.append(Exit(65, "Essential container in task exited"))
    description = job.describe()
    assert (description["createdAt"], description["status"], description["container"]["exitCode"]) == (
        1500,
        "FAILED",
        65,
    )
    assert description["parameters"] == {"key": "k"}
    assert description["attempts"][0]["container"]["exitCode"] == 65
    assert "startedAt" not in description
