"""The stages in the template: when Batch tries again, and what a container gets."""

from __future__ import annotations

import email
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from template import of_type, raw

from functions.sweeper.heal import INTERVAL, MAX_QUEUED, MAX_STANDSTILL
from spaceport.local.batch.runner import EXITED
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.pricing import MACHINES, SPOT, USD_PER_HOUR
from spaceport.pipeline.stages.stage import REFUSED, RETRY

STAGES = ("SfmJob", "TrainJob", "CompressJob")


def definition(name: str) -> dict[str, Any]:
    return of_type("AWS::Batch::JobDefinition")[name]


def decide(name: str, **exit: str) -> str:
    """What Batch does after an attempt: the first rule all of whose conditions fit; without one, it tries again."""
    for rule in definition(name)["RetryStrategy"]["EvaluateOnExit"]:
        conditions = {condition: pattern for condition, pattern in rule.items() if condition != "Action"}
        if all(_fits(pattern, exit.get(condition, "")) for condition, pattern in conditions.items()):
            return str(rule["Action"])
    return "RETRY"


def _fits(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


@pytest.mark.parametrize("name", STAGES)
def test_batch_takes_at_most_five_rules(name: str) -> None:
    assert 1 <= len(definition(name)["RetryStrategy"]["EvaluateOnExit"]) <= 5


@pytest.mark.parametrize("name", STAGES)
def test_what_is_lost_is_tried_again_and_what_is_bad_is_not(name: str) -> None:
    assert decide(name, OnStatusReason="Host EC2 (instance i-0123) terminated.") == "RETRY"
    assert decide(name, OnExitCode=str(RETRY), OnStatusReason=EXITED) == "RETRY"
    assert decide(name, OnReason="CannotPullContainerError: pull access denied") == "RETRY"
    assert decide(name, OnExitCode=str(REFUSED), OnStatusReason=EXITED) == "EXIT"
    assert decide(name, OnExitCode="1", OnStatusReason=EXITED) == "EXIT"


@pytest.mark.parametrize("name", STAGES)
def test_a_killed_container_is_tried_again_unless_it_took_too_much_memory(name: str) -> None:
    assert decide(name, OnExitCode="137", OnStatusReason=EXITED) == "RETRY"
    assert decide(name, OnExitCode="143", OnStatusReason=EXITED) == "RETRY"
    memory = "OutOfMemoryError: Container killed due to memory usage"
    assert decide(name, OnExitCode="137", OnStatusReason=EXITED, OnReason=memory) == "EXIT"


@pytest.mark.parametrize("name", STAGES)
def test_a_container_is_bounded_and_not_root(name: str) -> None:
    container = definition(name)["ContainerProperties"]
    assert container["User"] not in {"", "0", "root"}
    assert not container.get("Privileged")
    assert definition(name)["Timeout"]["AttemptDurationSeconds"]
    assert container["LogConfiguration"]["Options"]["awslogs-group"] == "StageLogs"
    assert container["LinuxParameters"]["InitProcessEnabled"]


@pytest.mark.parametrize("name", STAGES)
def test_a_container_knows_where_it_works_and_on_which_machine(name: str) -> None:
    container = definition(name)["ContainerProperties"]
    environment = {each["Name"]: each["Value"] for each in container["Environment"]}
    assert {"SPACEPORT_PIPELINE_BUCKET", "SPACEPORT_TABLE", "SPACEPORT_WORK"} <= set(environment)
    assert environment["AWS_DEFAULT_REGION"] == "us-east-1", "boto3 knows no region without it"
    (volume,), (mount,) = container["Volumes"], container["MountPoints"]
    assert (mount["SourceVolume"], mount["ReadOnly"]) == (volume["Name"], True)
    file = Path(environment["SPACEPORT_MACHINE_FILE"])
    assert str(file.parent) == mount["ContainerPath"]
    assert f"> {volume['Host']['SourcePath']}/{file.name}\n" in user_data()


@pytest.mark.parametrize("name", STAGES)
def test_an_event_on_its_way_still_finds_the_revision_that_it_names(name: str) -> None:
    assert definition(name)["ResourceRetentionPolicy"] == {"SkipDeregisterOnUpdate": True}
    (statement,) = of_type("AWS::IAM::Role")["SubmitRole"]["Policies"][0]["PolicyDocument"]["Statement"]
    named = [each["Fn::Sub"] for each in statement["Resource"] if isinstance(each, dict) and "Fn::Sub" in each]
    (arn,) = [form for form, names in named if f"'{name}'" in str(names) or f'"{name}"' in str(names)]
    assert arn.endswith("${Name}:*")


def test_a_machine_keeps_containers_from_its_own_role() -> None:
    user = {definition(name)["ContainerProperties"]["User"].split(":")[0] for name in STAGES}
    assert user == {"1000"}
    assert "iptables -w -I OUTPUT -d 169.254.169.254 -m owner --uid-owner 1000 -j REJECT\n" in user_data()
    options = of_type("AWS::EC2::LaunchTemplate")["Machine"]["LaunchTemplateData"]["MetadataOptions"]
    assert options["HttpTokens"] == "required"


def test_what_a_machine_runs_at_its_start_is_what_batch_takes_and_bash_reads() -> None:
    (part,) = list(email.message_from_string(user_data()).walk())[1:]
    assert part.get_content_type() == "text/x-shellscript"
    script = part.get_payload()
    assert isinstance(script, str) and script.startswith("#!/bin/bash\n")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def user_data() -> str:
    data = of_type("AWS::EC2::LaunchTemplate")["Machine"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]
    assert isinstance(data, str)
    return data


def test_only_training_takes_a_gpu() -> None:
    kinds = {name: {each["Type"] for each in _needs(name)} for name in STAGES}
    assert [name for name in STAGES if "GPU" in kinds[name]] == ["TrainJob"]
    assert all({"VCPU", "MEMORY"} <= kind for kind in kinds.values())


def test_every_machine_that_can_be_bought_has_its_price() -> None:
    for environment in of_type("AWS::Batch::ComputeEnvironment").values():
        assert set(environment["ComputeResources"]["InstanceTypes"]) <= set(USD_PER_HOUR)


def test_estimates_are_of_machines_that_the_queues_buy_first() -> None:
    environments = of_type("AWS::Batch::ComputeEnvironment")
    queues = {StageName.SFM: "CpuQueue", StageName.COMPRESS: "CpuQueue", StageName.TRAIN: "GpuQueue"}
    for stage, queue in queues.items():
        first = of_type("AWS::Batch::JobQueue")[queue]["ComputeEnvironmentOrder"][0]["ComputeEnvironment"]
        bought = environments[first]["ComputeResources"]
        assert bought["Type"] == "SPOT"
        assert MACHINES[stage].removesuffix(SPOT) in bought["InstanceTypes"]


def test_spot_has_several_pools_and_on_demand_comes_second() -> None:
    for queue in of_type("AWS::Batch::JobQueue").values():
        order = [each["ComputeEnvironment"] for each in queue["ComputeEnvironmentOrder"]]
        bought = [of_type("AWS::Batch::ComputeEnvironment")[name]["ComputeResources"] for name in order]
        assert [each["Type"] for each in bought] == ["SPOT", "EC2"]
        assert all(len(each["InstanceTypes"]) >= 4 for each in bought)


def test_spot_is_bought_in_three_zones() -> None:
    """Twelve pools and more, with the types. A fourth zone would add few, and seven endpoints to a `PrivateNetwork`."""
    zones = [each["AvailabilityZone"]["Fn::Select"][0] for each in of_type("AWS::EC2::Subnet").values()]
    assert sorted(zones) == [0, 1, 2]
    third = {"Fn::If": ["ThirdZone", "SubnetC", "AWS::NoValue"]}
    for environment in of_type("AWS::Batch::ComputeEnvironment").values():
        assert environment["ComputeResources"]["Subnets"] == ["SubnetA", "SubnetB", third]
    assert raw()["Parameters"]["Zones"]["Default"] == 3


def test_another_month_is_another_launch_template_and_so_machines_with_the_newest_image() -> None:
    data = of_type("AWS::EC2::LaunchTemplate")["Machine"]["LaunchTemplateData"]
    (tags,) = [each["Tags"] for each in data["TagSpecifications"]]
    assert "MachinesRenewed" in {tag["Value"] for tag in tags}


def test_a_changed_launch_template_arrives_and_lets_running_jobs_end() -> None:
    for environment in of_type("AWS::Batch::ComputeEnvironment").values():
        resources = environment["ComputeResources"]
        assert resources["LaunchTemplate"]["Version"] == "Machine.LatestVersionNumber"
        assert resources["UpdateToLatestImageVersion"] is True
        assert environment["UpdatePolicy"] == {"TerminateJobsOnUpdate": False, "JobExecutionTimeoutMinutes": 360}
        assert environment["ReplaceComputeEnvironment"] is False


def test_gpu_machines_have_an_image_that_batch_still_takes() -> None:
    for name, environment in of_type("AWS::Batch::ComputeEnvironment").items():
        (image,) = environment["ComputeResources"]["Ec2Configuration"]
        assert image["ImageType"] == ("ECS_AL2023_NVIDIA" if name.startswith("Gpu") else "ECS_AL2023")


def test_no_job_waits_for_ever() -> None:
    for queue in of_type("AWS::Batch::JobQueue").values():
        reasons = {each["Reason"] for each in queue["JobStateTimeLimitActions"]}
        assert reasons == {
            "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
            "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        }


def _needs(name: str) -> list[dict[str, str]]:
    needs: list[dict[str, str]] = definition(name)["ContainerProperties"]["ResourceRequirements"]
    return needs


def test_the_sweeper_is_as_patient_as_it_counts_and_no_more_than_the_time_limits() -> None:
    assert of_type("AWS::Events::Rule")["SweeperSchedule"]["ScheduleExpression"] == "rate(5 minutes)"
    assert timedelta(minutes=5) == INTERVAL
    for stage, name in zip(StageName, STAGES, strict=True):
        parameter = definition(name)["Timeout"]["AttemptDurationSeconds"]
        limit = timedelta(seconds=raw()["Parameters"][parameter]["Default"])
        assert MAX_STANDSTILL[stage] <= limit / 2
    for queue in of_type("AWS::Batch::JobQueue").values():
        for action in queue["JobStateTimeLimitActions"]:
            assert timedelta(seconds=action["MaxTimeSeconds"]) < MAX_QUEUED
