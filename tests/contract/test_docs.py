"""What the documents point at is there: links, and paths of our own code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from template import ROOT

DOCUMENTS = sorted(
    path for path in ROOT.rglob("*.md") if not {".venv", ".aws-sam", "node_modules"} & set(path.relative_to(ROOT).parts)
)
BUILT = {"spaceport/web/static"}  # by `make web`; not in git
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`((?:spaceport|functions|services|tests|benchmarks|docs|events|requirements)/[\w./-]+)`")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(path: Path) -> None:
    text = path.read_text()
    assert [link for link in LINK.findall(text) if not (path.parent / link).exists()] == []
    if path.name != "CHANGELOG.md":  # which also names what was
        assert [code for code in CODE.findall(text) if not _exists(code)] == []


def _exists(code: str) -> bool:
    if re.search("NAME|STAGE", code) or code in BUILT:  # NAME and STAGE stand for any
        return True
    return any((ROOT / f"{code.rstrip('/')}{ending}").exists() for ending in ("", ".py"))
