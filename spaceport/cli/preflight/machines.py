"""Whether the region has the machines, and EC2 the role that buys Spot ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from botocore.exceptions import ClientError

from spaceport.cli.preflight.account import Account
from spaceport.cli.preflight.checks import Check, failed, ok, warning
from spaceport.cli.preflight.needs import Machines, Needs
from spaceport.pipeline.aws_errors import error_code

SPOT_ROLE = "AWSServiceRoleForEC2Spot"


def check_offers(account: Account, needs: Needs) -> Iterator[Check]:
    """Which machine types the zones of the region offer."""
    ec2 = account.client("ec2")
    filters = [{"Name": "opt-in-status", "Values": ["opt-in-not-required"]}, {"Name": "state", "Values": ["available"]}]
    zones = sorted(zone["ZoneName"] for zone in ec2.describe_availability_zones(Filters=filters)["AvailabilityZones"])
    yield judge_zones(zones, needs.zones, account.region)
    types = sorted({kind for machines in needs.machines for kind in machines.instance_types})
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": types}]
    )
    offers: dict[str, set[str]] = {kind: set() for kind in types}
    for page in pages:
        for offer in page["InstanceTypeOfferings"]:
            offers[offer["InstanceType"]].add(offer["Location"])
    for machines in needs.machines:
        yield judge_offers(machines, offers, zones[: needs.zones], account.region)


def judge_zones(zones: Collection[str], needed: int, region: str) -> Check:
    """Two zones are enough, but the template must know."""
    sentence = f"{region} has {len(zones)} zones ({', '.join(zones)})"
    if len(zones) >= needed:
        return ok("zones", sentence)
    if len(zones) == 2:
        return failed("zones", sentence, "Deploy with the parameter Zones=2.")
    return failed("zones", sentence, "Take another region.")


def judge_offers(
    machines: Machines, offers: Mapping[str, Collection[str]], zones: Collection[str], region: str
) -> Check:
    """Batch refuses an environment with a type that its region does not have at all.

    Args:
        offers: the zones of each type.
        zones: those in which machines are bought.
    """
    missing = [kind for kind in machines.instance_types if not offers[kind]]
    bought = [kind for kind in machines.instance_types if set(offers[kind]) & set(zones)]
    if missing:
        lists = "gpu-types" if machines.is_gpu else "cpu-types"
        remedy = f"Take {', '.join(missing)} out of `&{lists}` in template.yaml; at least one type must stay."
        return failed(machines.label, f"{region} has no {', '.join(missing)}: Batch would refuse the stack", remedy)
    sentence = f"{len(bought)} of {len(machines.instance_types)} types in {', '.join(zones)}"
    if bought:
        return ok(machines.label, sentence)
    return failed(machines.label, sentence, "Take another region.")


def check_spot_role(account: Account) -> Iterator[Check]:
    """EC2 makes the role at the first Spot request of an account, if whoever asks for it may."""
    try:
        account.client("iam").get_role(RoleName=SPOT_ROLE)
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        remedy = "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"
        yield warning("Spot role", f"this account has no {SPOT_ROLE} yet: it has never bought a Spot machine", remedy)
    else:
        yield ok("Spot role", SPOT_ROLE)
