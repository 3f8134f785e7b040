"""template.yaml for tests: translated to plain CloudFormation offline, with every reference filled in."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
ACCOUNT, REGION, STACK = "123456789012", "us-east-1", "spaceport"
PSEUDO = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::StackName": STACK, "AWS::Partition": "aws"}
PSEUDO |= {"AWS::URLSuffix": "amazonaws.com"}
NAMES = {
    "UploadsBucket": f"{STACK}-uploads-{ACCOUNT}-{REGION}",
    "PipelineBucket": f"{STACK}-pipeline-{ACCOUNT}-{REGION}",
    "AuditBucket": f"{STACK}-audit-{ACCOUNT}-{REGION}",
    "PageBucket": f"{STACK}-page-{ACCOUNT}-{REGION}",
    "JobTable": f"{STACK}-jobs",
    "CpuQueue": f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/CpuQueue-3f0c9a1b",
    "GpuQueue": f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/GpuQueue-3f0c9a1b",
}


def event(name: str) -> dict[str, Any]:
    """A golden event by its file name, without the ending."""
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return loaded


@cache
def resources() -> dict[str, dict[str, Any]]:
    """All resources after SAM's translation, with references as they would read in a deployed stack."""
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    from samtranslator.translator.transform import transform  # noqa: PLC0415  # reads the region when it is imported

    source = raw()
    source["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    translated = transform(source, {}, _NoManagedPolicies())
    return {name: _filled(resource) for name, resource in translated["Resources"].items()}


def raw() -> dict[str, Any]:
    """The template as it is written. Plain values: YAML's aliases would be shared and changed twice."""
    source: dict[str, Any] = json.loads(_as_json())
    return source


@cache
def _as_json() -> str:
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415

    return json.dumps(yaml_parse((ROOT / "template.yaml").read_text()), default=str)


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Name to properties."""
    return {name: each["Properties"] for name, each in resources().items() if each["Type"] == kind}


class _NoManagedPolicies:
    """We name no managed policy that SAM would have to look up."""

    def load(self) -> dict[str, str]:
        return {}


def _filled(value: Any) -> Any:
    match value:
        case {"Ref": str(name)}:
            return _named(name)
        case {"Fn::GetAtt": [name, "Arn"]} | {"Fn::GetAtt": str(name)}:
            return _arn(name.removesuffix(".Arn"))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda match: _named(match[1]), text)
    return _inside(value)


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _filled(part) for name, part in value.items()}
    return [_filled(part) for part in value] if isinstance(value, list) else value


def _named(name: str) -> str:
    if name.endswith(".Arn"):
        return _arn(name.removesuffix(".Arn"))
    return NAMES.get(name) or PSEUDO.get(name) or name


def _arn(name: str) -> str:
    if name.endswith("Bucket"):
        return f"arn:aws:s3:::{NAMES[name]}"
    return f"arn:{name}"
