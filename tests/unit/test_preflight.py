"""`spaceport doctor --stack`: each thing that can be missing, what it says then, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from account_cases import (
    IMAGE,
    ON_DEMAND,
    QUOTAS,
    REGION,
    SPOT,
    STACK,
    Answer,
    Answering,
    deployed_account,
    empty_account,
    environment,
    image_answer,
    queue_answer,
    quota_answer,
    refused,
    stack_answer,
)
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from spaceport.cli import app
from spaceport.cli.preflight.account import Account
from spaceport.cli.preflight.checks import Check, Verdict, failed, ok, summary, warning
from spaceport.cli.preflight.examine import examine_account
from spaceport.cli.preflight.machines import judge_offers, judge_zones
from spaceport.cli.preflight.needs import Machines, needs_of
from spaceport.cli.preflight.quotas import GPU, NETWORKS, RULES, STANDARD, judge_machines
from spaceport.cli.preflight.stack_name import MAX_CHARACTERS, problems
from spaceport.local.cloud import ROOT
from spaceport.local.translate import load

NEEDS = needs_of(load(ROOT / "template.yaml"))
TYPES = tuple(kind for machines in NEEDS.machines for kind in machines.instance_types)
CPU = Machines("CpuQueue", 8, ("c6i.2xlarge",))


def examine(answers: dict[str, Answer]) -> dict[str, Check]:
    """Examine an account with these answers. Returns the checks by subject."""
    with closing(Answering(answers)) as clients:
        account = Account(clients, REGION)
        checks = list(examine_account(account, STACK, "ann@firm.example", NEEDS, lambda: []))
    assert len({check.subject for check in checks}) == len(checks)
    return {check.subject: check for check in checks}


def test_what_the_template_needs_is_read_from_it() -> None:
    assert [(machines.queue, machines.cpus, machines.is_gpu) for machines in NEEDS.machines] == [
        ("CpuQueue", 8, False),
        ("GpuQueue", 4, True),
    ]
    assert (NEEDS.zones, NEEDS.max_cpus) == (3, 32)
    assert NEEDS.rules >= 8


def test_an_account_in_which_all_is_well() -> None:
    before = examine(empty_account(TYPES))
    assert {check.verdict for check in before.values()} == {Verdict.OK}, before
    assert before["stack"].sentence == "not deployed yet"
    after = examine(deployed_account(TYPES))
    assert {check.verdict for check in after.values()} == {Verdict.OK}, after
    assert {"CpuQueue", "image of SfmJob", "rules", "alarms", "dead letters"} <= set(after)


@pytest.mark.parametrize(
    ("answers", "subject", "verdict", "remedy"),
    [
        ({"GetCallerIdentity": refused("x", "ExpiredToken")}, "credentials", Verdict.FAILED, "aws sso login"),
        (
            {"GetServiceQuota": quota_answer(QUOTAS | dict.fromkeys(STANDARD, 5.0))},
            "quota of CPU machines",
            Verdict.FAILED,
            f"--quota-code L-1216C47A --desired-value 32 --region {REGION}",
        ),
        (
            {"GetServiceQuota": quota_answer(QUOTAS | {GPU[0]: 0.0})},
            "quota of GPU machines",
            Verdict.WARNING,
            "--quota-code L-3819A6DF",
        ),
        (
            {"GetServiceQuota": quota_answer(QUOTAS | dict.fromkeys(GPU, 0.0))},
            "quota of GPU machines",
            Verdict.FAILED,
            "--quota-code L-DB2E81BA",
        ),
        ({"DescribeVpcs": {"Vpcs": [{}] * 5}}, "networks", Verdict.FAILED, f"--quota-code {NETWORKS.code}"),
        ({"ListRules": {"Rules": [{}] * 293}}, "rules", Verdict.FAILED, f"--quota-code {RULES.code}"),
        ({"GetRole": refused("GetRole", "NoSuchEntity")}, "Spot role", Verdict.WARNING, "spot.amazonaws.com"),
        (
            {"GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 10}}},
            "concurrency",
            Verdict.WARNING,
            "L-B99A9384 --desired-value 1000",
        ),
        ({"GetAccount": {"SendingEnabled": True}}, "SES", Verdict.WARNING, "put-account-details"),
        ({"GetAccount": {"SendingEnabled": False}}, "SES", Verdict.WARNING, "reputation"),
        (
            {"DescribeInstanceTypeOfferings": {"InstanceTypeOfferings": []}},
            "GPU machines",
            Verdict.FAILED,
            "out of `&gpu-types`",
        ),
    ],
)
def test_before_the_first_deploy(answers: dict[str, Answer], subject: str, verdict: Verdict, remedy: str) -> None:
    check = examine(empty_account(TYPES) | answers)[subject]
    assert check.verdict is verdict
    assert remedy in check.remedy


@pytest.mark.parametrize(
    ("answers", "subject", "verdict", "remedy"),
    [
        ({"DescribeStacks": stack_answer("ROLLBACK_COMPLETE")}, "stack", Verdict.FAILED, "sam delete"),
        (
            {"DescribeStacks": stack_answer("UPDATE_ROLLBACK_COMPLETE")},
            "stack",
            Verdict.WARNING,
            "describe-stack-events",
        ),
        ({"DescribeStacks": stack_answer("UPDATE_IN_PROGRESS")}, "stack", Verdict.WARNING, "describe-stack-events"),
        (
            {
                "DescribeComputeEnvironments": {
                    "computeEnvironments": [environment(SPOT, "INVALID", "no role"), environment(ON_DEMAND)]
                }
            },
            "CpuQueue",
            Verdict.WARNING,
            "never_started",
        ),
        (
            {"DescribeComputeEnvironments": {"computeEnvironments": [environment(SPOT, "INVALID")]}},
            "CpuQueue",
            Verdict.FAILED,
            "never_started",
        ),
        ({"DescribeJobQueues": queue_answer("DISABLED")}, "CpuQueue", Verdict.FAILED, "--state ENABLED"),
        ({"DescribeJobQueues": {"jobQueues": []}}, "CpuQueue", Verdict.FAILED, "sam deploy"),
        (
            {"DescribeImages": refused("x", "ImageNotFoundException")},
            "image of SfmJob",
            Verdict.FAILED,
            f"STACK={STACK}",
        ),
        ({"DescribeJobDefinitions": {"jobDefinitions": []}}, "image of SfmJob", Verdict.FAILED, "sam deploy"),
        (
            {"DescribeJobDefinitions": image_answer("ghcr.io/firm/sfm:1")},
            "image of SfmJob",
            Verdict.WARNING,
            "docker pull",
        ),
        (
            {"DescribeRule": {"State": "DISABLED"}},
            "rules",
            Verdict.FAILED,
            f"enable-rule --name {STACK}-RequestToSfm-1",
        ),
        (
            {"DescribeAlarms": {"MetricAlarms": [{"AlarmName": f"{STACK}-UnhealedAlarm-1", "StateReason": "1 > 0"}]}},
            "UnhealedAlarm",
            Verdict.WARNING,
            "docs/operations.md",
        ),
        (
            {"GetQueueAttributes": {"Attributes": {"ApproximateNumberOfMessages": "3"}}},
            "DeadEvents",
            Verdict.WARNING,
            "receive-message",
        ),
        ({"GetEmailIdentity": refused("x", "NotFoundException")}, "sender", Verdict.WARNING, "verify-email-identity"),
        ({"GetEmailIdentity": {"VerifiedForSendingStatus": False}}, "sender", Verdict.WARNING, "Click the link"),
    ],
)
def test_a_deployed_stack(answers: dict[str, Answer], subject: str, verdict: Verdict, remedy: str) -> None:
    check = examine(deployed_account(TYPES) | answers)[subject]
    assert check.verdict is verdict
    assert remedy in check.remedy


@pytest.mark.parametrize("account", [empty_account, deployed_account])
def test_a_missing_permission_is_no_crash(account: Any) -> None:
    """Each question alone, and all of them: the answer is not known, says why, and stops nobody."""
    answers = account(TYPES)
    for operation in sorted(set(answers) - {"GetCallerIdentity"}):
        checks = examine({name: answer for name, answer in answers.items() if name != operation})
        unknown = [check for check in checks.values() if check.verdict is Verdict.UNKNOWN]
        assert unknown, operation
        assert Verdict.FAILED not in {check.verdict for check in checks.values()}
        assert all("you may not" in check.sentence for check in unknown)
    checks = examine({"GetCallerIdentity": answers["GetCallerIdentity"]})
    assert {check.verdict for check in checks.values()} == {Verdict.OK, Verdict.UNKNOWN}


def test_a_service_that_the_region_does_not_have_is_not_known() -> None:
    checks = examine(empty_account(TYPES) | {"GetAccount": EndpointConnectionError(endpoint_url="https://email")})
    assert checks["SES"].verdict is Verdict.UNKNOWN


def test_an_account_without_a_quota_of_its_own_has_the_default() -> None:
    answers: dict[str, Answer] = {
        "GetServiceQuota": refused("GetServiceQuota", "NoSuchResourceException"),
        "GetAWSDefaultServiceQuota": quota_answer(QUOTAS | dict.fromkeys(GPU, 0.0)),
    }
    checks = examine(empty_account(TYPES) | answers)
    assert checks["quota of GPU machines"].verdict is Verdict.FAILED
    assert checks["quota of CPU machines"].verdict is Verdict.OK


def test_a_sender_that_ses_knows_is_not_made_again() -> None:
    checks = examine(empty_account(TYPES) | {"GetEmailIdentity": {"VerifiedForSendingStatus": True}})
    assert "CreateSender=false" in checks["sender"].sentence


def test_an_image_by_digest_is_looked_up_by_it() -> None:
    asked: list[Any] = []

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params)
        return {"imageDetails": [{}]}

    digest = f"sha256:{'0' * 64}"
    image = IMAGE.replace(":latest", f"@{digest}")
    examine(deployed_account(TYPES) | {"DescribeJobDefinitions": image_answer(image), "DescribeImages": answer})
    examine(deployed_account(TYPES) | {"DescribeImages": answer})
    names = {"registryId": "123456789012", "repositoryName": f"{STACK}-sfm"}
    assert asked == [names | {"imageIds": [{"imageDigest": digest}]}, names | {"imageIds": [{"imageTag": "latest"}]}]


@given(spot=st.integers(0, 100), on_demand=st.integers(0, 100))
def test_a_job_runs_where_either_market_has_enough(spot: int, on_demand: int) -> None:
    values = dict(zip(STANDARD, (float(spot), float(on_demand)), strict=True))
    check = judge_machines(CPU, values, 32, REGION)
    assert (check.verdict is Verdict.FAILED) == (spot < 8 and on_demand < 8)
    assert [quota.code in check.remedy for quota in STANDARD] == [spot < 8, on_demand < 8]


def test_machines_must_be_where_they_are_bought() -> None:
    two = Machines("CpuQueue", 8, ("c6i.2xlarge", "c7i.2xlarge"))
    offers = {"c6i.2xlarge": ["a", "b"], "c7i.2xlarge": ["d"]}
    assert judge_offers(two, offers, ["a", "b"], REGION) == ok("CPU machines", "1 of 2 types in a, b")
    assert judge_offers(two, offers, ["c"], REGION).verdict is Verdict.FAILED
    missing = judge_offers(two, offers | {"c7i.2xlarge": []}, ["a"], REGION)
    assert (missing.verdict, "Take c7i.2xlarge out of `&cpu-types`" in missing.remedy) == (Verdict.FAILED, True)


def test_two_zones_need_a_parameter_and_one_is_not_enough() -> None:
    assert judge_zones(["a", "b", "c", "d"], 3, REGION).verdict is Verdict.OK
    assert "Zones=2" in judge_zones(["a", "b"], 3, REGION).remedy
    assert "another region" in judge_zones(["a"], 3, REGION).remedy


@pytest.mark.parametrize("name", ["spaceport", "a", "s" * MAX_CHARACTERS, "a-1"])
def test_names_of_stacks(name: str) -> None:
    assert list(problems(name)) == []


@pytest.mark.parametrize(
    "name", ["Spaceport", "1st", "a_b", "", "-a", "s" * (MAX_CHARACTERS + 1), "sthree-a", "ä", "a\n"]
)
def test_names_that_no_bucket_may_have(name: str) -> None:
    assert len(list(problems(name))) == 1


def test_the_last_line_counts_open_questions() -> None:
    checks = [ok("a", ""), warning("b", "", ""), Check("c", Verdict.UNKNOWN, "")]
    assert summary(checks[:2], deployed=True) == "A job can run."
    assert "as far as is known: 1" in summary(checks, deployed=False)
    assert "Do not deploy yet" in summary([*checks, failed("d", "", "")], deployed=False)
    assert "No job can run" in summary([*checks, failed("d", "", "")], deployed=True)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """The command's session is an account in which a stack can be deployed."""
    account = Answering(empty_account(TYPES))
    account.region_name = REGION  # type: ignore[attr-defined]  # of a session
    monkeypatch.setattr(boto3, "Session", lambda region_name: account)
    yield account
    account.close()


def test_the_command_exits_by_what_failed(session: Answering) -> None:
    result = CliRunner().invoke(app, ["doctor", "--stack", STACK])
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "The stack can be deployed."), result.output
    session.answers["DescribeVpcs"] = {"Vpcs": [{}] * 5}
    result = CliRunner().invoke(app, ["doctor", "--stack", STACK, "--region", REGION])
    assert result.exit_code == 1
    assert "FAILED  networks: 5 of 5 in use; the stack adds 1" in result.output
    assert "→ aws service-quotas request-service-quota-increase --service-code vpc" in result.output
    assert result.output.endswith("Do not deploy yet: see what failed.\n")


def test_without_a_region_there_is_nobody_to_ask(session: Answering) -> None:
    session.region_name = None  # type: ignore[attr-defined]  # of a session
    result = CliRunner().invoke(app, ["doctor", "--stack", STACK])
    assert result.exit_code == 1
    assert "--region" in result.output
