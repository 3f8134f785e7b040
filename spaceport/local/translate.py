"""template.yaml for the embedded cloud. Pure: a template in, a template and what was taken out of it.

The SAM transform runs offline. AWS::Batch is not known to the embedded cloud, so those resources are taken out and
handed to the local Batch; each rule that would have submitted a Batch job gets an SQS queue as its target instead, and
the local Batch reads that queue. Nothing of the wiring is repeated here: an arrow that the template does not draw does
not exist.

What the removed resources refer to (bucket names, role ARNs) is only known after the deployment, so each such value
leaves the stack as an output of its own.
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
class Arrow:
    """A rule that submits Batch jobs: which queue of ours it now writes to, and what it would have submitted."""

    queue_output: str
    job_queue: str
    job_definition: str
    job_name: str


@dataclass(frozen=True)
class Translation:
    """A template that the embedded cloud can deploy, and the parts that the local Batch plays."""

    template: Tree
    arrows: tuple[Arrow, ...]
    definitions: dict[str, Tree]
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
            resource.pop("Metadata", None)  # how `sam build` makes the package is no concern here
    tree.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of features that nobody switched on
    translator = Translator({}, Parser(), boto_session=Session(region_name=REGION))
    plain: Tree = translator.translate(tree, parameter_values={"AWS::Region": REGION})
    return plain


def without_batch(plain: Tree) -> Translation:
    """Take AWS::Batch out of a plain template."""
    plain = copy.deepcopy(plain)
    resources: Tree = plain["Resources"]
    removed = {name: resources.pop(name) for name in list(resources) if resources[name]["Type"].startswith(REMOVED)}
    arns = {name: _arn(name, resource["Type"]) for name, resource in removed.items()}
    arrows = tuple(_arrows(resources, plain.setdefault("Outputs", {}), arns))
    outputs: Tree = {}
    definitions = {
        arns[name]: _resolved(resource["Properties"], arns, outputs)
        for name, resource in removed.items()
        if resource["Type"] == "AWS::Batch::JobDefinition"
    }
    template = _refer(plain, arns)
    template["Outputs"] |= _refer(outputs, arns)
    queues = tuple(arns[name] for name, resource in removed.items() if resource["Type"] == "AWS::Batch::JobQueue")
    return Translation(template, arrows, definitions, queues)


def _arn(name: str, kind: str) -> str:
    return f"arn:aws:batch:{REGION}:{ACCOUNT}:{KINDS.get(kind, 'resource')}/{name}"


def _arrows(resources: Tree, outputs: Tree, arns: dict[str, str]) -> list[Arrow]:
    """Turn every Batch target into a queue, and say what it would have submitted."""
    found, queues = [], {}
    for rule, resource in resources.items():
        if resource["Type"] != "AWS::Events::Rule":
            continue
        for number, target in enumerate(resource["Properties"].get("Targets", [])):
            if (batch := target.pop("BatchParameters", None)) is None:
                continue
            target.pop("RoleArn", None)
            queue = f"{rule}Queue{number}"
            job_queue = _refer(target["Arn"], arns)
            target["Arn"] = {"Fn::GetAtt": [queue, "Arn"]}
            queues[queue] = {"Type": "AWS::SQS::Queue"}
            outputs[queue] = {"Value": {"Ref": queue}}
            found.append(Arrow(queue, job_queue, _refer(batch["JobDefinition"], arns), batch["JobName"]))
    resources.update(queues)
    return found


def _refer(value: Any, arns: dict[str, str]) -> Any:
    """Replace references to what was removed by the ARNs that the local Batch answers to."""
    if isinstance(value, list):
        return [_refer(part, arns) for part in value]
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
    return {name: _refer(part, arns) for name, part in value.items()}


def _resolved(value: Any, arns: dict[str, str], outputs: Tree) -> Any:
    """Put an output of the stack in the place of every value that only the deployment can tell."""
    if isinstance(value, list):
        return [_resolved(part, arns, outputs) for part in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (next(iter(value)) == "Ref" or next(iter(value)).startswith("Fn::")):
        name = f"Batch{len(outputs)}"
        outputs[name] = {"Value": value}
        return {"Output": name}
    return {name: _resolved(part, arns, outputs) for name, part in value.items()}


def fill(value: Any, outputs: dict[str, str]) -> Any:
    """The other half of `_resolved`: outputs of the deployed stack in their places."""
    if isinstance(value, list):
        return [fill(part, outputs) for part in value]
    if isinstance(value, dict):
        if set(value) == {"Output"}:
            return outputs[value["Output"]]
        return {name: fill(part, outputs) for name, part in value.items()}
    return value
