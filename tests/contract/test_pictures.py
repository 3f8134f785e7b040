"""Pictures of others are opened in one place, and Pillow's limits are set there."""

from __future__ import annotations

import re

import pytest
from template import ROOT

OWN = ROOT / "spaceport/pictures.py"
LIMITS = ("MAX_IMAGE_PIXELS", "LOAD_TRUNCATED_IMAGES", "MAX_TEXT_CHUNK", "MAX_TEXT_MEMORY")


@pytest.mark.parametrize("words", [r"\bImage\.open\(", *(rf"\b{limit}\s*=" for limit in LIMITS)])
def test_pictures_are_opened_in_one_place(words: str) -> None:
    files = [path for part in ("spaceport", "services", "functions") for path in (ROOT / part).rglob("*.py")]
    assert [path for path in files if re.search(words, path.read_text())] == [OWN]
