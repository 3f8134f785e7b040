"""EventBridge refuses a rule that is "too complex": the arithmetic of its open-sourced core, event-ruler.

Its `MachineComplexityEvaluator` counts, for the worst input of one field, how many beginnings of wildcard patterns
match it at once. Only `wildcard` counts, alone or in `anything-but`. AWS publishes no limit: event-ruler's README
suggests 10 for one rule and 30 rules with wildcards, which is EventBridge's quota, and a refused rule agrees with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from template import of_type

MOST, MOST_CHARACTERS = 10, 2048
STACKS = ["SharedStack", "ApiStack", "WorkerStack", "MonitoringStack"]


def complexity(wildcards: list[str]) -> int:
    """Of the wildcard patterns of one field."""
    bytes_of_all = {*"".join(wildcards)} - {"*"} | {"\0"}
    begin = _with_empty_wildcards(wildcards, {(number, 0) for number in range(len(wildcards))})
    seen, waiting = {begin}, [begin]
    while waiting:
        matched = waiting.pop()
        for byte in bytes_of_all:
            grown = _with_empty_wildcards(wildcards, set(_matched_with(wildcards, matched, byte)))
            if grown not in seen:
                seen.add(grown)
                waiting.append(grown)
    return max(sum(length > 0 for _, length in matched) for matched in seen)


def _matched_with(wildcards: list[str], matched: frozenset[tuple[int, int]], byte: str) -> Iterator[tuple[int, int]]:
    """The beginnings, as pattern and length, that match an input after one more byte."""
    for number, length in matched:
        pattern = wildcards[number]
        if pattern[length - 1 : length] == "*":
            yield number, length
        if pattern[length : length + 1] == byte:
            yield number, length + 1


def _with_empty_wildcards(wildcards: list[str], matched: set[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    more = {(number, length + 1) for number, length in matched if wildcards[number][length : length + 1] == "*"}
    return frozenset(matched | more)


def wildcards_by_field(pattern: dict[str, Any]) -> Iterator[list[str]]:
    for wanted in pattern.values():
        if isinstance(wanted, dict):
            yield from wildcards_by_field(wanted)
        else:
            yield [text for each in wanted if isinstance(each, dict) for text in _wildcards_of(each)]


def _wildcards_of(filter: dict[str, Any]) -> list[str]:
    inner = filter.get("anything-but", filter)
    texts = inner.get("wildcard", []) if isinstance(inner, dict) else []
    return [texts] if isinstance(texts, str) else list(texts)


def complexity_of_rule(pattern: dict[str, Any]) -> int:
    return max((complexity(texts) for texts in wildcards_by_field(pattern) if texts), default=0)


def patterns() -> dict[str, dict[str, Any]]:
    return {name: rule["EventPattern"] for name, rule in of_type("AWS::Events::Rule").items() if "EventPattern" in rule}


@pytest.mark.parametrize(
    ("wildcards", "published"),
    [
        (["*"], 1),
        (["abc"], 1),
        (["*", "ab*c"], 3),
        (["*aa"], 3),
        (["a*bcb"], 3),
        (["a*bbb"], 4),
        (["*ab*ad"], 4),
        (["*ab*d"], 3),
        (["a*b*bb"], 5),
        (["a*b*cd"], 3),
        (["ab*c", "x*xx"], 3),
        (["*abc", "*abcde"], 4),
        (["a*aaa", "aa*aa"], 7),
        (["a*aax", "aaa*x"], 5),
        (["abc*", "abcde*"], 3),
        (["ab*cd", "ab*wx", "ab*yz"], 6),
        (["*ab*b*b*"], 7),
        (["*a*a*a*a*a*a*a*a*"], 17),
    ],
)
def test_the_arithmetic_is_event_ruler_s(wildcards: list[str], published: int) -> None:
    """Cases of its MachineComplexityEvaluatorTest."""
    assert complexity(wildcards) == published


@pytest.mark.parametrize("stacks", [3, 4])
def test_a_rule_that_eventbridge_has_refused_is_beyond_the_limit(stacks: int) -> None:
    """It took such a rule with three stacks and refused it with a fourth: vals-ai/Valkyrie, pull request 278."""
    resources = [{"wildcard": f"*:stack/{name}/*"} for name in STACKS[:stacks]]
    assert (complexity_of_rule({"detail": {"stack-id": resources}}) > MOST) == (stacks == 4)


def test_five_manifests_by_wildcards_would_be_beyond_the_limit() -> None:
    pattern = patterns()["ManifestToTracker"]
    keys = [{"wildcard": f"jobs/*{filter['suffix']}"} for filter in pattern["detail"]["object"]["key"]]
    assert len(keys) == 5
    assert complexity_of_rule({"detail": {"object": {"key": keys}}}) > MOST
    assert complexity_of_rule({"key": [{"anything-but": {"wildcard": "*a"}}]}) == 2


@pytest.mark.parametrize("name", sorted(patterns()))
def test_a_rule_is_simple_and_short_enough(name: str) -> None:
    assert complexity_of_rule(patterns()[name]) == 0, f"at most {MOST}, and 30 rules with wildcards on a bus"
    assert len(json.dumps(patterns()[name])) < MOST_CHARACTERS / 2  # names of an account may be longer than these
