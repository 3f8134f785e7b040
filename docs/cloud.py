"""Draws docs/pictures/cloud.svg from template.yaml: `make architecture`.

Above, each rule: its event, and whom it wakes; a dashed arrow where whoever was woken may write the next row's
manifest, as its role says. Below, the machines, the API, the page, the alarms, and who may touch what. Narrow, for
phones.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from spaceport.local.translate import load

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "cloud.svg"
WIDTH, MARGIN = 440, 12
LEFT_BOX, RIGHT_BOX, ROW, GAP = 214, 156, 52, 24
LINE = 16
RIGHT = WIDTH - MARGIN - RIGHT_BOX
ACCESS = {
    "uploads/": ("UploadsBucket", ("s3:Get*",), ("s3:Put*", "s3:Delete*")),
    "jobs/": ("PipelineBucket", ("s3:Get*",), ("s3:Put*", "s3:Delete*")),
    "table": ("JobTable", ("dynamodb:Get*", "dynamodb:Query"), ("dynamodb:Put*", "dynamodb:Update*")),
    "Batch": ("", ("batch:Describe*", "batch:List*"), ("batch:Terminate*", "batch:Submit*")),
    "mails": ("", (), ("ses:Send*",)),
}
"""Columns of the last table: part of the resource's name, what counts as reading, what as writing."""


@dataclass(frozen=True)
class Arrow:
    """A target of a rule."""

    rule: str
    event: str
    keys: tuple[str, ...]
    """The ends of keys of which any sets it off."""
    target: str
    service: str
    role: str
    """The resource whose policies say what the target may do; empty where it has none."""


def draw() -> str:
    """The picture's SVG text."""
    resources = load(ROOT / "template.yaml")["Resources"]
    body: list[str] = []
    y = _arrows(body, _in_chain(resources, list(_rules(resources))), resources)
    y = _machines(body, resources, y + 40)
    y = _api(body, resources, y + 34)
    y = _page(body, resources, y + 34)
    y = _alarms(body, resources, y + 34)
    y = _access(body, resources, y + 34)
    return _head(y + 16) + "\n".join(body) + "\n</svg>\n"


def _rules(resources: Any) -> Iterator[Arrow]:
    for rule, properties in _of_type(resources, "AWS::Events::Rule"):
        for target in properties["Targets"]:
            yield _arrow(rule, properties, target, resources)


def _arrow(rule: str, properties: Any, target: Any, resources: Any) -> Arrow:
    detail = properties.get("EventPattern", {}).get("detail", {})
    keys = tuple(_end(each["suffix"]) for each in detail.get("object", {}).get("key", []))
    event = properties.get("ScheduleExpression") or properties["EventPattern"]["detail-type"][0]
    if keys:
        event = f"*{keys[0]}".removeprefix("*/") if len(keys) == 1 else f"{len(keys)} kinds of manifests"
    if "BatchParameters" in target:
        job = target["BatchParameters"]["JobDefinition"]["Ref"]
        role = resources[job]["Properties"]["ContainerProperties"]["JobRoleArn"]["Fn::GetAtt"]
        return Arrow(rule, event, keys, job, f"Batch: {target['Arn']['Ref']}", _logical(role))
    name = _logical(next(iter(target["Arn"].values())))
    kind = resources[name]["Type"].split("::")[1]
    return Arrow(rule, event, keys, name, {"Serverless": "Lambda"}.get(kind, kind), name)


def _in_chain(resources: Any, arrows: list[Arrow]) -> list[Arrow]:
    """The arrows in the order of a job's way, as far as the roles say it; then the others."""
    ordered = [arrows.pop(0)]
    while arrows:
        following = [arrow for arrow in arrows if _leads_to(resources, ordered[-1], arrow)]
        ordered.append(following[0] if following else arrows[0])
        arrows.remove(ordered[-1])
    return ordered


def _leads_to(resources: Any, first: Arrow, second: Arrow) -> bool:
    """Whether the target of the first may write a manifest that sets off the second."""
    keys = [f"${{PipelineBucket.Arn}}/jobs/ID{key}" for key in second.keys if key.endswith("/manifest.json")]
    return any(
        fnmatchcase(key, resource)
        for statement in _statements(resources, first.role)
        if "s3:PutObject" in _list(statement["Action"])
        for resource in _texts(statement["Resource"])
        for key in keys
    )


def _arrows(body: list[str], arrows: list[Arrow], resources: Any) -> int:
    y = 66
    body.append(_text(MARGIN, 52, "An event, and its rule", "small"))
    body.append(_text(RIGHT, 52, "Whom it wakes", "small"))
    for arrow, following in zip(arrows, [*arrows[1:], None], strict=True):
        body.append(_box(MARGIN, y, LEFT_BOX, "event", (arrow.event, "title"), (arrow.rule, "code")))
        body.append(_box(RIGHT, y, RIGHT_BOX, "woken", (arrow.target, "title"), (arrow.service, "small")))
        body.append(
            f'<path class="arrow" marker-end="url(#arrow)" d="M{MARGIN + LEFT_BOX} {y + ROW / 2}H{RIGHT - 4}"/>'
        )
        if following and _leads_to(resources, arrow, following):
            left, right, middle = MARGIN + LEFT_BOX / 2, RIGHT + RIGHT_BOX / 2, y + ROW + GAP / 2
            way = f"M{right} {y + ROW}V{middle}H{left}V{y + ROW + GAP - 4}"
            body.append(f'<path class="writes" marker-end="url(#writes)" d="{way}"/>')
            body.append(_text((left + right) / 2, middle - 4, "writes it", "small middle"))
        y += ROW + GAP
    return y - GAP


def _machines(body: list[str], resources: Any, y: int) -> int:
    body.append(_text(MARGIN, y, "What the queues buy, in this order", "title"))
    for queue, properties in _of_type(resources, "AWS::Batch::JobQueue"):
        y += LINE + 6
        body.append(_text(MARGIN, y, queue, "code"))
        order = sorted(properties["ComputeEnvironmentOrder"], key=lambda each: each["Order"])
        for number, name in enumerate(each["ComputeEnvironment"]["Ref"] for each in order):
            bought = resources[name]["Properties"]["ComputeResources"]
            market = "Spot" if bought["Type"] == "SPOT" else "on demand"
            types = ", ".join(bought["InstanceTypes"])
            for line in textwrap.wrap(f"{number + 1}. {market}: {types}", 62):
                y += LINE
                body.append(_text(MARGIN + 12, y, line, "small"))
    return y


def _api(body: list[str], resources: Any, y: int) -> int:
    routes: dict[str, list[str]] = {}
    for _, properties in _of_type(resources, "AWS::Serverless::Function"):
        for event in properties.get("Events", {}).values():
            if event["Type"] == "Api" and event["Properties"]["Method"] != "options":
                routes.setdefault(event["Properties"]["Path"], []).append(event["Properties"]["Method"].upper())
    body.append(_text(MARGIN, y, "The API, of ApiFunction", "title"))
    return _list_of(body, y, [f"{', '.join(sorted(methods))} {path}" for path, methods in sorted(routes.items())])


def _page(body: list[str], resources: Any, y: int) -> int:
    """The page's distribution with what it fetches from, and whom each API lets in; what is optional says so."""
    body.append(_text(MARGIN, y, "The page, and who may call the API", "title"))
    lines = []
    for name, properties in _of_type(resources, "AWS::CloudFront::Distribution"):
        buckets = [text.strip("${}").split(".")[0] for text in _texts(properties["DistributionConfig"]["Origins"])]
        origins = ", ".join(bucket for bucket in buckets if bucket in resources and bucket.endswith("Bucket"))
        lines.append(f"{name} (CloudFront, {_condition(resources, name)}) serves {origins}")
    for name, properties in _of_type(resources, "AWS::Serverless::Api"):
        by_key = properties.get("Auth", {}).get("ApiKeyRequired")
        people = f"people of a Cognito pool, {_condition(resources, name)}"
        who = "programs and people with an API key" if by_key else people
        lines.append(f"{name}: {who}")
    for line in (part for each in lines for part in textwrap.wrap(each, 62, break_on_hyphens=False)):
        y += LINE
        body.append(_text(MARGIN + 12, y, line, "small"))
    return y


def _condition(resources: Any, name: str) -> str:
    return f"if {resources[name]['Condition']}" if "Condition" in resources[name] else "always"


def _alarms(body: list[str], resources: Any, y: int) -> int:
    body.append(_text(MARGIN, y, "What alarms the operator", "title"))
    return _list_of(body, y, [name.removesuffix("Alarm") for name, _ in _of_type(resources, "AWS::CloudWatch::Alarm")])


def _list_of(body: list[str], y: int, items: list[str]) -> int:
    """Items in lines that break only between them."""
    for line in textwrap.wrap(
        " · ".join(item.replace(" ", "\N{NO-BREAK SPACE}") for item in items), 62, break_on_hyphens=False
    ):
        y += LINE
        body.append(_text(MARGIN + 12, y, line, "small"))
    return y


def _access(body: list[str], resources: Any, y: int) -> int:
    body.append(_text(MARGIN, y, "Who may read (r) and write (w) what", "title"))
    columns = {name: 186 + 56 * number for number, name in enumerate(ACCESS)}
    y += LINE + 4
    body.extend(_text(x, y, name, "small middle") for name, x in columns.items())
    functions = [(name, name) for name, _ in _of_type(resources, "AWS::Serverless::Function")]
    jobs = [
        (name, _logical(properties["ContainerProperties"]["JobRoleArn"]["Fn::GetAtt"]))
        for name, properties in _of_type(resources, "AWS::Batch::JobDefinition")
    ]
    for name, role in functions + jobs:
        y += LINE + 4
        body.append(f'<path class="line" d="M{MARGIN} {y - LINE + 1}H{WIDTH - MARGIN}"/>')
        body.append(_text(MARGIN, y, name, "code"))
        body.extend(_text(x, y, _may(resources, role, column), "middle") for column, x in columns.items())
    return y


def _may(resources: Any, role: str, column: str) -> str:
    part, reading, writing = ACCESS[column]
    actions = {
        action
        for statement in _statements(resources, role)
        if any(part in text for text in _texts(statement["Resource"]))
        for action in _list(statement["Action"])
    }
    kinds = {"r": reading, "w": writing}
    return "".join(
        letter for letter, forms in kinds.items() if any(fnmatchcase(each, form) for each in actions for form in forms)
    )


def _statements(resources: Any, role: str) -> Iterator[Any]:
    """What a role, or a function's own, allows."""
    for policy in resources[role]["Properties"].get("Policies", []) if role else []:
        yield from _list(policy.get("PolicyDocument", policy).get("Statement", []))


def _texts(value: Any) -> list[str]:
    """All texts in a value, with the names that it refers to as `${NAME}`."""
    match value:
        case {"Ref": str(name)}:
            return [f"${{{name}}}"]
        case {"Fn::GetAtt": [name, attribute]}:
            return [f"${{{name}.{attribute}}}"]
        case dict():
            return [text for part in value.values() for text in _texts(part)]
        case list():
            return [text for part in value for text in _texts(part)]
    return [str(value)]


def _of_type(resources: Any, kind: str) -> Iterator[tuple[str, Any]]:
    return ((name, each["Properties"]) for name, each in resources.items() if each["Type"] == kind)


def _logical(reference: Any) -> str:
    """The logical name in the value of `Ref` or `Fn::GetAtt`."""
    return str(reference[0] if isinstance(reference, list) else reference).removesuffix(".Arn")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _end(suffix: Any) -> str:
    """The text of a suffix filter, which may ignore case."""
    return str(suffix["equals-ignore-case"] if isinstance(suffix, dict) else suffix)


def _box(x: int, y: int, width: int, kind: str, *lines: tuple[str, str]) -> str:
    texts = [_text(x + 10, y + 21 + 19 * number, text, style) for number, (text, style) in enumerate(lines)]
    return "\n".join([f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{ROW}" rx="6"/>', *texts])


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}">{html.escape(text)}</text>'


def _head(height: int) -> str:
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">
<title>The cloud of Spaceport: rules, functions, queues, machines, and who may touch what</title>
<style>
text {{ font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2937 }}
.title {{ font-weight: 600; font-size: 13.5px }}
.code {{ font: 12px ui-monospace, Menlo, "DejaVu Sans Mono", monospace; fill: #4b5563 }}
.small {{ font-size: 12px; fill: #4b5563 }}
.middle {{ text-anchor: middle }}
.event {{ fill: #fef3c7; stroke: #d97706 }}
.woken {{ fill: #e0e7ff; stroke: #4f46e5 }}
.arrow {{ stroke: #1d4ed8; stroke-width: 1.5; fill: none }}
.writes {{ stroke: #6b7280; stroke-width: 1.5; stroke-dasharray: 4 3; fill: none }}
.line {{ stroke: #e5e7eb }}
</style>
<marker id="arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8z" fill="#1d4ed8"/></marker>
<marker id="writes" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8z" fill="#6b7280"/></marker>
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text class="title" x="{MARGIN}" y="28">The cloud, as template.yaml wires it</text>
"""


if __name__ == "__main__":
    PICTURE.write_text(draw())
