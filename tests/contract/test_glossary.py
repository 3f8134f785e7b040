"""The words that the glossary in CONTRIBUTING.md has replaced: no module, class or function is called so any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from template import ROOT

CODE = ("spaceport", "functions", "services")
DEFINED = re.compile(r"^ *(?:async )?(?:def|class) (\w+)[(\[:]", re.MULTILINE)
ROW = re.compile(r"^\| ([^|]*) \|", re.MULTILINE)


def test_no_name_carries_a_replaced_word() -> None:
    words = _replaced()
    assert {"told", "wish", "pull_back", "settle"} <= words
    carried = re.compile(rf"(^|_)({'|'.join(words)})(_|$)")
    assert [f"{path}: {name}" for path, name in _names() if carried.search(_snake(name))] == []


def _replaced() -> set[str]:
    """The words in backticks in the left column of every table of the glossary."""
    glossary = (ROOT / "CONTRIBUTING.md").read_text().split("## Words: the glossary")[1]
    return {word for cell in ROW.findall(glossary) for word in re.findall(r"`(\w+)`", cell)}


def _names() -> Iterator[tuple[Path, str]]:
    for path in (path for top in CODE for path in (ROOT / top).rglob("*.py")):
        yield path.relative_to(ROOT), path.stem
        for name in DEFINED.findall(path.read_text()):
            yield path.relative_to(ROOT), name


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
