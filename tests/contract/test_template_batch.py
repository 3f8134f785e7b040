"""The stages in the template: when Batch tries again, and what a container gets."""

from __future__ import annotations

from typing import Any

import pytest
from template import of_type

from spaceport.local.batch.runner import EXITED
from spaceport.pipeline.pricing import USD_PER_HOUR
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
def test_a_container_knows_where_it_works_and_what_its_machine_costs(name: str) -> None:
    container = definition(name)["ContainerProperties"]
    environment = {each["Name"]: each["Value"] for each in container["Environment"]}
    assert {"SPACEPORT_PIPELINE_BUCKET", "SPACEPORT_TABLE", "SPACEPORT_WORK"} <= set(environment)
    assert environment["SPACEPORT_INSTANCE_TYPE"] in USD_PER_HOUR


def test_only_training_takes_a_gpu() -> None:
    kinds = {name: {each["Type"] for each in _needs(name)} for name in STAGES}
    assert [name for name in STAGES if "GPU" in kinds[name]] == ["TrainJob"]
    assert all({"VCPU", "MEMORY"} <= kind for kind in kinds.values())


def test_the_machines_of_the_queues_are_the_ones_that_are_priced() -> None:
    environments = of_type("AWS::Batch::ComputeEnvironment")
    queues = {"SfmJob": "CpuQueue", "CompressJob": "CpuQueue", "TrainJob": "GpuQueue"}
    for job, queue in queues.items():
        first = of_type("AWS::Batch::JobQueue")[queue]["ComputeEnvironmentOrder"][0]["ComputeEnvironment"]
        bought = environments[first]["ComputeResources"]
        (size,) = bought["InstanceTypes"]
        environment = {each["Name"]: each["Value"] for each in definition(job)["ContainerProperties"]["Environment"]}
        assert environment["SPACEPORT_INSTANCE_TYPE"] == size + (":spot" if bought["Type"] == "SPOT" else "")


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
