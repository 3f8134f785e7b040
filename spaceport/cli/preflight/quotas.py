"""Service Quotas: whether the account may have what a job, or the stack, needs. New accounts may have no GPU at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from spaceport.cli.preflight.account import Account
from spaceport.cli.preflight.checks import Check, failed, ok, warning
from spaceport.cli.preflight.needs import Machines, Needs
from spaceport.pipeline.aws_errors import error_code


@dataclass(frozen=True)
class Quota:
    """One quota of Service Quotas."""

    service: str
    code: str
    name: str

    def request(self, value: int, region: str) -> str:
        """The command that asks AWS for more."""
        return (
            f"aws service-quotas request-service-quota-increase --service-code {self.service}"
            f" --quota-code {self.code} --desired-value {value} --region {region}   # {self.name}"
        )


STANDARD = (
    Quota("ec2", "L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"),
    Quota("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"),
)
"""Spot, then on-demand: the order in which queues buy."""
GPU = (
    Quota("ec2", "L-3819A6DF", "All G and VT Spot Instance Requests"),
    Quota("ec2", "L-DB2E81BA", "Running On-Demand G and VT instances"),
)
NETWORKS = Quota("vpc", "L-F678F1CE", "VPCs per Region")
RULES = Quota("events", "L-244521F2", "Number of rules")
CONCURRENCY = Quota("lambda", "L-B99A9384", "Concurrent executions")
ENOUGH_CONCURRENCY: Final = 50
"""Executions at once, for some dozens of jobs beside whatever else the account runs. New accounts have 10."""


def read_quota(account: Account, quota: Quota) -> float:
    """The quota of this account, or AWS's default where it has none of its own."""
    client = account.client("service-quotas")
    names = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        return float(client.get_service_quota(**names)["Quota"]["Value"])
    except ClientError as error:
        if error_code(error) != "NoSuchResourceException":
            raise
    return float(client.get_aws_default_service_quota(**names)["Quota"]["Value"])


def check_machines(account: Account, machines: Machines, max_cpus: int) -> Iterator[Check]:
    """Whether one job of a queue fits into the quotas of its machines."""
    quotas = GPU if machines.is_gpu else STANDARD
    values = {quota: read_quota(account, quota) for quota in quotas}
    yield judge_machines(machines, values, max_cpus, account.region)


def judge_machines(machines: Machines, values: Mapping[Quota, float], max_cpus: int, region: str) -> Check:
    """`values` has vCPUs of Spot, then of on-demand machines. Either is enough for a job, Spot is cheaper."""
    subject = f"quota of {machines.label}"
    spot, on_demand = values.values()
    sentence = f"{spot:.0f} vCPUs of Spot, {on_demand:.0f} on demand; a job takes {machines.cpus}"
    remedy = "\n".join(quota.request(max_cpus, region) for quota, value in values.items() if value < machines.cpus)
    if max(spot, on_demand) < machines.cpus:
        return failed(subject, sentence, remedy)
    if spot < machines.cpus:
        return warning(subject, f"{sentence}: no Spot machine, only dearer ones", remedy)
    if on_demand < machines.cpus:
        return warning(subject, f"{sentence}: jobs wait while there are no Spot machines", remedy)
    return ok(subject, sentence)


def check_new_stack(account: Account, needs: Needs) -> Iterator[Check]:
    """What a first deploy adds to the account: one network, and rules on the default event bus."""
    networks = len(account.client("ec2").describe_vpcs()["Vpcs"])
    yield judge_room("networks", networks, 1, read_quota(account, NETWORKS), NETWORKS, account.region)
    pages = account.client("events").get_paginator("list_rules").paginate()
    rules = sum(len(page["Rules"]) for page in pages)
    yield judge_room("rules", rules, needs.rules, read_quota(account, RULES), RULES, account.region)


def judge_room(subject: str, used: int, added: int, quota_value: float, quota: Quota, region: str) -> Check:
    """Whether `added` more fit beside those that the account has."""
    sentence = f"{used} of {quota_value:.0f} in use; the stack adds {added}"
    if used + added <= quota_value:
        return ok(subject, sentence)
    return failed(subject, sentence, quota.request(max(used + added, 2 * int(quota_value)), region))


def check_concurrency(account: Account) -> Iterator[Check]:
    """How many functions may run at once in the account."""
    limit = account.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    sentence = f"{limit} functions at once"
    if limit >= ENOUGH_CONCURRENCY:
        yield ok("concurrency", sentence)
    else:
        waits = f"{sentence}: with many jobs events wait, nothing is lost, and the API answers 429"
        yield warning("concurrency", waits, CONCURRENCY.request(1000, account.region))
