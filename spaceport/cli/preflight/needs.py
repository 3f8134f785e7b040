"""What the template needs of an account. Pure: read out of the template, so that nothing is written twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]


@dataclass(frozen=True)
class Machines:
    """The machines that one job queue buys."""

    queue: str
    """Its name in the template."""
    cpus: int
    """vCPUs of its largest job: what a quota must allow at least."""
    instance_types: tuple[str, ...]

    @property
    def is_gpu(self) -> bool:
        """Whether they count as G and VT instances, not as standard ones."""
        return self.instance_types[0].startswith(("g", "vt"))

    @property
    def label(self) -> str:
        return "GPU machines" if self.is_gpu else "CPU machines"


@dataclass(frozen=True)
class Needs:
    machines: tuple[Machines, ...]
    zones: int
    rules: int
    """Of EventBridge, that the stack adds to the account's."""
    max_cpus: int
    """vCPUs that an environment may buy: what to ask a quota for."""


def needs_of(template: Tree) -> Needs:
    """What a template needs whose short tags are in their long form, with its parameters' defaults."""
    resources: Tree = template["Resources"]
    parameters: Tree = template["Parameters"]
    return Needs(
        machines=tuple(_machines(resources, name) for name in _of_type(resources, "AWS::Batch::JobQueue")),
        zones=int(parameters["Zones"]["Default"]),
        rules=len(_of_type(resources, "AWS::Events::Rule")),
        max_cpus=int(parameters["MaxCpus"]["Default"]),
    )


def _machines(resources: Tree, queue: str) -> Machines:
    order = _properties(resources, queue)["ComputeEnvironmentOrder"]
    bought = [_properties(resources, each["ComputeEnvironment"]["Ref"])["ComputeResources"] for each in order]
    types = [kind for environment in bought for kind in environment["InstanceTypes"]]
    cpus = max(_cpus(_properties(resources, job)) for job in _jobs_of(resources, queue))
    return Machines(queue, cpus, tuple(dict.fromkeys(types)))


def _jobs_of(resources: Tree, queue: str) -> list[str]:
    """The job definitions whose jobs the rules submit to a queue."""
    targets = [
        target
        for rule in _of_type(resources, "AWS::Events::Rule")
        for target in _properties(resources, rule)["Targets"]
        if "BatchParameters" in target and target["Arn"] == {"Ref": queue}
    ]
    return [target["BatchParameters"]["JobDefinition"]["Ref"] for target in targets]


def _cpus(job_definition: Tree) -> int:
    needs = job_definition["ContainerProperties"]["ResourceRequirements"]
    return next(int(each["Value"]) for each in needs if each["Type"] == "VCPU")


def _of_type(resources: Tree, kind: str) -> list[str]:
    return [name for name, resource in resources.items() if resource["Type"] == kind]


def _properties(resources: Tree, name: str) -> Tree:
    properties: Tree = resources[name]["Properties"]
    return properties
