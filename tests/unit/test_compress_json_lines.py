"""How a signal ends a conversion that reports to its parent."""

from __future__ import annotations

import sys
import weakref

import pytest

from services.compress.json_lines import JsonLinesProgress


class Thing:
    """Something that can be finalised."""


def test_a_signal_that_goes_under_in_a_callback_ends_the_work_at_its_next_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    progress, thing = JsonLinesProgress(), Thing()
    weakref.finalize(thing, progress.end)
    progress.check()
    del thing  # its callback cannot pass an exception on
    assert complaints == []
    with pytest.raises(KeyboardInterrupt):
        progress.check()
