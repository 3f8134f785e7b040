"""What the template's roles may do in the embedded cloud: as in AWS, and so a missing right fails on a laptop too.

Functions and stages sign with credentials of their own roles, and each of their calls is checked against the policies
that were deployed. ministack's own check (its `AUTH`) is not used: it knows neither `dynamodb:LeadingKeys` nor
`ses:FromAddress`, and reads every policy anew for every call. docs/decisions/0019-roles-hold-on-a-laptop.md.

Each kind of call is written down once, with the rights that allow it, in `logs/roles.jsonl` of the state folder: a
right that no call needs can be taken away.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from ministack.core.iam_evaluator import EvalContext, _conditions_met, fnmatch_iam_cs

from spaceport.local.access import ACCOUNT, REGION
from spaceport.local.calls import Call

LOG: Final = "roles.jsonl"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Right:
    """One action on one resource pattern of a statement that allows it."""

    action: str
    resource: str
    condition: dict[str, Any] = field(default_factory=dict, hash=False)

    def allows(self, call: Call) -> bool:
        return (
            self.action == call.action
            and fnmatch_iam_cs(call.resource, self.resource)
            and _conditions_met(self.condition, _context(call))
        )

    def as_json(self) -> list[Any]:
        return [self.action, self.resource, self.condition]


def rights_of(policies: Iterable[Any]) -> list[Right]:
    """The rights in policy documents, as text or as objects.

    Raises:
        ValueError: a statement denies something, or has wildcards in an action, which the template's never do.
    """
    rights = []
    for policy in policies:
        document = json.loads(policy) if isinstance(policy, str) else policy
        for statement in _listed(document["Statement"]):
            actions = _listed(statement["Action"])
            if statement["Effect"] != "Allow" or any("*" in action for action in actions):
                raise ValueError(f"{statement} is of a kind that is not supported here")
            rights += [
                Right(action, resource, statement.get("Condition", {}))
                for action in actions
                for resource in _listed(statement["Resource"])
            ]
    return rights


class Roles:
    """The rights of all roles of one embedded cloud. Every method may be called from any thread.

    Args:
        policies_of: the policies of a role by its name; none for a role that there is not.
        record: where kinds of calls are written down, if anywhere.
    """

    def __init__(self, policies_of: Callable[[str], Iterable[Any]], record: Path | None = None) -> None:
        self._rights = cache(lambda role: _by_action(rights_of(policies_of(role))))
        self._record = record
        self._recorded: set[tuple[str, tuple[Right, ...]]] = set()

    def refused(self, role: str, calls: Sequence[Call]) -> Call | None:
        """The first of these calls that a role may not make; None when it may make all of them."""
        for call in calls:
            allowing = tuple(right for right in self._rights(role).get(call.action, ()) if right.allows(call))
            if not allowing:
                log.warning("the role %s may not %s: the template has to allow it", role, call)
                return call
            self._write_down(role, call, allowing)
        return None

    def allows(self, role: str, call: Call) -> bool:
        return self.refused(role, [call]) is None

    def _write_down(self, role: str, call: Call, allowing: tuple[Right, ...]) -> None:
        if self._record is None or (role, allowing) in self._recorded:
            return
        self._recorded.add((role, allowing))
        line = {"role": role, "call": str(call), "rights": [right.as_json() for right in allowing]}
        with self._record.open("a") as file:
            file.write(json.dumps(line) + "\n")


def deployed_policies(iam: Any, role: str) -> list[Any]:
    """The policies of a deployed role, from IAM's API; none for a role that there is not."""
    try:
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    except iam.exceptions.NoSuchEntityException:
        return []
    return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]


def _by_action(rights: Iterable[Right]) -> dict[str, list[Right]]:
    grouped: dict[str, list[Right]] = defaultdict(list)
    for right in rights:
        grouped[right.action].append(right)
    return grouped


def _context(call: Call) -> EvalContext:
    return EvalContext(
        principal_arn="",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=call.action,
        resource_arn=call.resource,
        region=REGION,
        service_context=call.keys,
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
