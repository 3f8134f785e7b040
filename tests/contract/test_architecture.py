"""The picture of the architecture is the one that docs/architecture.py draws from the code."""

from __future__ import annotations

import runpy

from template import ROOT

SCRIPT = runpy.run_path(str(ROOT / "docs" / "architecture.py"))


def test_the_picture_of_the_architecture_is_up_to_date() -> None:
    assert SCRIPT["PICTURE"].read_text() == SCRIPT["draw"](), "imports have changed: run `make architecture`"
