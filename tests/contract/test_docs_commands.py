"""What the documents say to type exists: commands, targets of make, parameters, outputs, resources, headings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from template import ROOT, raw, resources
from test_docs import DOCUMENTS
from typer.main import get_command

from spaceport.cli import app

GUIDES = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/operations.md", "docs/uploads.md")
]
OPERATIONS = ROOT / "docs" / "operations.md"
CODE = re.compile(r"```sh\n(?P<block>.*?)```|`(?P<span>[^`\n]+)`", re.DOTALL)
SPACEPORT = re.compile(r"(?:^ *|/bin/|&& )spaceport (?P<command>[a-z][a-z-]*)(?P<rest>[^\n#;|]*)", re.MULTILINE)
MAKE = re.compile(r"(?:^|[\s(])make (?P<target>[a-z-]+)", re.MULTILINE)
CAMEL = re.compile(r"(?P<name>[A-Z][a-z]+(?:[A-Z][a-z]+)+)(?P<value>=\S*)?")
ELSEWHERE = {"ErrorMessage", "ErrorCode", "InsufficientStorage", "MailsUnconfirmed", "MailsOverQuota"}
"""Attributes, codes and metrics."""


def code_of(path: Path) -> list[str]:
    """Every piece of code: blocks of shell, and spans in the text."""
    return [match["block"] or match["span"] for match in CODE.finditer(path.read_text())]


@cache
def options_of_commands() -> dict[str, set[str]]:
    commands = get_command(app).commands  # type: ignore[attr-defined]  # a group
    return {name: {option for each in command.params for option in each.opts} for name, command in commands.items()}


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_commands_and_their_options_exist(path: Path) -> None:
    commands = options_of_commands()
    for code in code_of(path):
        for match in SPACEPORT.finditer(code):
            assert match["command"] in commands, code
            assert set(re.findall(r"(?<!\S)--[a-z-]+", match["rest"])) <= commands[match["command"]] | {"--help"}, code


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_targets_of_make_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for code in code_of(path):
        assert {match["target"] for match in MAKE.finditer(code)} <= targets, code


@pytest.mark.parametrize("path", [OPERATIONS, ROOT / "README.md"], ids=lambda path: path.name)
def test_parameters_and_parts_of_the_stack_exist(path: Path) -> None:
    template = raw()
    parts = {*template["Parameters"], *template["Outputs"], *resources()}
    for code in code_of(path):
        assert set(re.findall(r"\bout ([A-Z]\w+)", code)) <= set(template["Outputs"]), code
        assert set(re.findall(r"\bpart ([A-Z]\w+)", code)) <= set(resources()), code
        for match in CAMEL.finditer(code) if re.fullmatch(r"[A-Za-z]+(=\S*)?", code) else ():
            assert match["name"] in (template["Parameters"] if match["value"] else parts | ELSEWHERE), code
    assert set(re.findall(r"\b\w+Alarm\b", path.read_text())) <= set(resources())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_headings_lead_to_one(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)]+)\)", path.read_text()):
        assert anchor in headings(path.parent / target if target else path), f"{target}#{anchor}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_conflict_is_left(path: Path) -> None:
    assert not re.search(r"^(<{7}|>{7}) ", path.read_text(), re.MULTILINE)


def test_what_needs_an_account_is_marked_as_untried() -> None:
    """No block of shell deploys, pushes or asks for a quota without saying that nobody has tried it."""
    for text in (OPERATIONS.read_text(), (ROOT / "README.md").read_text()):
        for match in re.finditer(r"```sh\n(.*?)```", text, re.DOTALL):
            if re.search(r"sam (deploy|delete)|service-quotas|ecr |restore-table|docker ", match[1]):
                around = text[max(0, match.start() - 400) : match.end()].lower()
                assert "untried" in around, match[0]


@cache
def headings(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^ {0,3}#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
