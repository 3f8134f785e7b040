"""template.yaml for the embedded cloud. Pure: a template in; a template and what was removed from it out.

The SAM transform runs offline. The embedded cloud does not support AWS::Batch, so those resources are removed and go to
the local Batch. Its EventBridge and its asynchronous Lambda try everything once, and all at the same time; so each
target of a rule that is a Batch queue or a function gets an SQS queue in its place, and `poller.py` takes the messages
from there. None of the wiring is repeated here: a target that the template does not have does not exist.

What the removed resources refer to (bucket names, role ARNs) is only known after the deployment, so each such value
becomes an output of the stack.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from boto3.session import Session
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import intrinsics_multi_constructor

from spaceport.local.access import ACCOUNT, REGION

REMOVED = "AWS::Batch::"
UNWATCHED = "AWS::CloudWatch::Alarm"
"""No metric arrives in the embedded cloud, and it does not support alarms on several: it gets none."""
KINDS = {"AWS::Batch::JobQueue": "job-queue", "AWS::Batch::JobDefinition": "job-definition"}
VISIBILITY_SECONDS = 1800  # a message is handled long before: Lambda's longest time limit is 900
LAMBDA_TIMEOUT = 3  # seconds, of a function that sets none

Tree = dict[str, Any]


class _Tags(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """SAM's reader of short tags on libyaml, where it is there: 0.05 s instead of 0.4 at each start."""


_Tags.add_multi_constructor("!", intrinsics_multi_constructor)


@dataclass(frozen=True)
class BatchTarget:
    """A rule's target that submits Batch jobs. Outputs of the stack name the queues."""

    queue_output: str
    dead_letters_output: str | None
    """Of the dead-letter queue that the target has."""
    job_queue: str
    job_definition: str
    job_name: str


@dataclass(frozen=True)
class FunctionTarget:
    """A rule's target that invokes a function. Outputs of the stack name the function and the queues."""

    queue_output: str
    dead_letters_output: str | None
    """Of the dead-letter queue that the function has."""
    function_output: str
    timeout: int
    """Seconds that an invocation may take."""


@dataclass(frozen=True)
class Translation:
    """A template that the embedded cloud can deploy, and what this package takes over."""

    template: Tree
    batch_targets: tuple[BatchTarget, ...]
    function_targets: tuple[FunctionTarget, ...]
    job_definitions: dict[str, Tree]
    """ARN to properties; a value `{"Output": NAME}` stands for that output of the stack."""
    job_queues: tuple[str, ...]


def translate(template: Path, code: Tree) -> Translation:
    """Translate a SAM template. `code` is the `{"Bucket", "Key"}` from which every function's package comes.

    Raises:
        ValueError: the template is not valid SAM.
    """
    return without_batch(_without_alarms(_plain(load(template), code)))


def load(template: Path) -> Tree:
    """Read a CloudFormation template with its short tags (`!Ref`, `!Sub`…) in their long form."""
    tree: Tree = yaml.load(template.read_text(), _Tags)  # noqa: S506  a safe loader
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


def _without_alarms(plain: Tree) -> Tree:
    resources = {name: each for name, each in plain["Resources"].items() if each["Type"] != UNWATCHED}
    return plain | {"Resources": resources}


def without_batch(plain: Tree) -> Translation:
    """Remove AWS::Batch from a plain CloudFormation template, and put a queue before each function."""
    plain = copy.deepcopy(plain)
    resources: Tree = plain["Resources"]
    removed = {name: resources.pop(name) for name in list(resources) if resources[name]["Type"].startswith(REMOVED)}
    arns = {name: _arn(name, resource["Type"]) for name, resource in removed.items()}
    batch_targets, function_targets = _replace_targets(resources, plain.setdefault("Outputs", {}), arns)
    outputs: Tree = {}
    job_definitions = {
        arns[name]: _replace_by_outputs(resource["Properties"], arns, outputs)
        for name, resource in removed.items()
        if resource["Type"] == "AWS::Batch::JobDefinition"
    }
    template = _replace_references(plain, arns)
    template["Outputs"] |= _replace_references(outputs, arns)
    queues = tuple(arns[name] for name, resource in removed.items() if resource["Type"] == "AWS::Batch::JobQueue")
    return Translation(template, tuple(batch_targets), tuple(function_targets), job_definitions, queues)


def _arn(name: str, kind: str) -> str:
    return f"arn:aws:batch:{REGION}:{ACCOUNT}:{KINDS.get(kind, 'resource')}/{name}"


def _replace_targets(
    resources: Tree, outputs: Tree, arns: dict[str, str]
) -> tuple[list[BatchTarget], list[FunctionTarget]]:
    """Replace every target that is a Batch queue or a function by a queue. Returns what each would have done."""
    batch_targets = []
    function_targets = []
    queues = {}
    for rule, resource in resources.items():
        for number, target in enumerate(resource["Properties"].get("Targets", []) if _is_rule(resource) else []):
            batch = target.pop("BatchParameters", None)
            function = _logical_name(target["Arn"], resources, "AWS::Lambda::Function")
            if batch is None and function is None:
                continue
            queue = f"{rule}Queue{number}"
            if batch is not None:
                dead_letters = _dead_letters(queue, target.get("DeadLetterConfig", {}).get("Arn"), resources, outputs)
                job_queue, definition = (
                    _replace_references(it, arns) for it in (target["Arn"], batch["JobDefinition"])
                )
                batch_targets.append(BatchTarget(queue, dead_letters, job_queue, definition, batch["JobName"]))
            if function is not None:
                properties = resources[function]["Properties"]
                arn = properties.get("DeadLetterConfig", {}).get("TargetArn")
                dead_letters = _dead_letters(queue, arn, resources, outputs)
                outputs[f"{queue}Function"] = {"Value": {"Ref": function}}
                timeout = properties.get("Timeout", LAMBDA_TIMEOUT)
                function_targets.append(FunctionTarget(queue, dead_letters, f"{queue}Function", timeout))
            target.pop("RoleArn", None)
            target["Arn"] = {"Fn::GetAtt": [queue, "Arn"]}
            queues[queue] = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": VISIBILITY_SECONDS}}
            outputs[queue] = {"Value": {"Ref": queue}}
    resources.update(queues)
    return batch_targets, function_targets


def _is_rule(resource: Tree) -> bool:
    return bool(resource["Type"] == "AWS::Events::Rule")


def _dead_letters(queue: str, arn: Any, resources: Tree, outputs: Tree) -> str | None:
    """The output with the URL of the dead-letter queue that `arn` names; None when there is none.

    Raises:
        ValueError: it is no queue of the template.
    """
    if arn is None:
        return None
    name = _logical_name(arn, resources, "AWS::SQS::Queue")
    if name is None:
        raise ValueError(f"{queue}: dead letters go to {arn}, which is no queue of this template")
    outputs[f"{queue}Dead"] = {"Value": {"Ref": name}}
    return f"{queue}Dead"


def _logical_name(arn: Any, resources: Tree, kind: str) -> str | None:
    """The resource of the template whose ARN `arn` is, if it is one of this kind."""
    match arn:
        case {"Fn::GetAtt": [str(name), "Arn"]} if name in resources and resources[name]["Type"] == kind:
            return name
    return None


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
