"""template.yaml for the embedded cloud. Pure: a template in; a template and what was removed from it out.

The SAM transform runs offline. The embedded cloud does not support AWS::Batch, so those resources are removed and go to
the local Batch; each rule that would have submitted a Batch job gets an SQS queue as its target instead, and the local
Batch polls that queue. None of the wiring is repeated here: a target that the template does not have does not exist.

What the removed resources refer to (bucket names, role ARNs) is only known after the deployment, so each such value
becomes an output of the stack.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boto3.session import Session
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from spaceport.local.access import ACCOUNT, REGION

REMOVED = "AWS::Batch::"
KINDS = {"AWS::Batch::JobQueue": "job-queue", "AWS::Batch::JobDefinition": "job-definition"}

Tree = dict[str, Any]


@dataclass(frozen=True)
class BatchTarget:
    """A rule's target that submits Batch jobs: the output with the queue that replaces it, and what it submits."""

    queue_output: str
    job_queue: str
    job_definition: str
    job_name: str


@dataclass(frozen=True)
class Translation:
    """A template that the embedded cloud can deploy, and the resources that the local Batch takes over."""

    template: Tree
    batch_targets: tuple[BatchTarget, ...]
    job_definitions: dict[str, Tree]
    """ARN to properties; a value `{"Output": NAME}` stands for that output of the stack."""
    job_queues: tuple[str, ...]


def translate(template: Path, code: Tree) -> Translation:
    """Translate a SAM template. `code` is the `{"Bucket", "Key"}` from which every function's package comes.

    Raises:
        ValueError: the template is not valid SAM.
    """
    return without_batch(_plain(load(template), code))


def load(template: Path) -> Tree:
    """Read a CloudFormation template with its short tags (`!Ref`, `!Sub`…) in their long form."""
    tree: Tree = yaml_parse(template.read_text())
    return tree


def _plain(tree: Tree, code: Tree) -> Tree:
    """SAM to CloudFormation."""
    tree = copy.deepcopy(tree)
    for resource in tree["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = code
            resource.pop("Metadata", None)  # only `sam build` needs it
    tree.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of features that are not in use
    translator = Translator({}, Parser(), boto_session=Session(region_name=REGION))
    plain: Tree = translator.translate(tree, parameter_values={"AWS::Region": REGION})
    return plain


def without_batch(plain: Tree) -> Translation:
    """Remove AWS::Batch from a plain CloudFormation template."""
    plain = copy.deepcopy(plain)
    resources: Tree = plain["Resources"]
    removed = {name: resources.pop(name) for name in list(resources) if resources[name]["Type"].startswith(REMOVED)}
    arns = {name: _arn(name, resource["Type"]) for name, resource in removed.items()}
    batch_targets = tuple(_batch_targets(resources, plain.setdefault("Outputs", {}), arns))
    outputs: Tree = {}
    job_definitions = {
        arns[name]: _replace_by_outputs(resource["Properties"], arns, outputs)
        for name, resource in removed.items()
        if resource["Type"] == "AWS::Batch::JobDefinition"
    }
    template = _replace_references(plain, arns)
    template["Outputs"] |= _replace_references(outputs, arns)
    queues = tuple(arns[name] for name, resource in removed.items() if resource["Type"] == "AWS::Batch::JobQueue")
    return Translation(template, batch_targets, job_definitions, queues)


def _arn(name: str, kind: str) -> str:
    return f"arn:aws:batch:{REGION}:{ACCOUNT}:{KINDS.get(kind, 'resource')}/{name}"


def _batch_targets(resources: Tree, outputs: Tree, arns: dict[str, str]) -> list[BatchTarget]:
    """Replace every Batch target by a queue. Returns what each would have submitted."""
    batch_targets = []
    queues = {}
    for rule, resource in resources.items():
        if resource["Type"] != "AWS::Events::Rule":
            continue
        for number, target in enumerate(resource["Properties"].get("Targets", [])):
            batch = target.pop("BatchParameters", None)
            if batch is None:
                continue
            target.pop("RoleArn", None)
            queue = f"{rule}Queue{number}"
            job_queue = _replace_references(target["Arn"], arns)
            target["Arn"] = {"Fn::GetAtt": [queue, "Arn"]}
            queues[queue] = {"Type": "AWS::SQS::Queue"}
            outputs[queue] = {"Value": {"Ref": queue}}
            batch_targets.append(
                BatchTarget(queue, job_queue, _replace_references(batch["JobDefinition"], arns), batch["JobName"])
            )
    resources.update(queues)
    return batch_targets


def _replace_references(value: Any, arns: dict[str, str]) -> Any:
    """Replace references to removed resources by their ARNs in the local Batch."""
    if isinstance(value, list):
        return [_replace_references(part, arns) for part in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inside),) = value.items()
        target = inside if name == "Ref" else inside[0] if name == "Fn::GetAtt" else None
        if isinstance(target, str) and target in arns:
            return arns[target]
        if name == "Fn::Sub" and isinstance(inside, str):
            for logical, arn in arns.items():
                inside = inside.replace(f"${{{logical}}}", arn)
            return {name: inside}
    return {name: _replace_references(part, arns) for name, part in value.items()}


def _replace_by_outputs(value: Any, arns: dict[str, str], outputs: Tree) -> Any:
    """Replace every value that only the deployment knows by an output of the stack."""
    if isinstance(value, list):
        return [_replace_by_outputs(part, arns, outputs) for part in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (next(iter(value)) == "Ref" or next(iter(value)).startswith("Fn::")):
        name = f"Batch{len(outputs)}"
        outputs[name] = {"Value": value}
        return {"Output": name}
    return {name: _replace_by_outputs(part, arns, outputs) for name, part in value.items()}


def fill(value: Any, outputs: dict[str, str]) -> Any:
    """The inverse of `_replace_by_outputs`: the outputs of the deployed stack in their places."""
    if isinstance(value, list):
        return [fill(part, outputs) for part in value]
    if isinstance(value, dict):
        if set(value) == {"Output"}:
            return outputs[value["Output"]]
        return {name: fill(part, outputs) for name, part in value.items()}
    return value
