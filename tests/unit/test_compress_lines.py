"""What a conversion tells its parent, and how a signal ends it."""

from __future__ import annotations

import sys
import weakref

import pytest

from services.compress.command import Lines


class Thing:
    """Something that can be finalised."""


def test_a_signal_that_goes_under_in_a_callback_ends_the_work_at_its_next_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    lines, thing = Lines(), Thing()
    weakref.finalize(thing, lines.end)
    lines.check()
    del thing  # its callback cannot pass an exception on
    assert complaints == []
    with pytest.raises(KeyboardInterrupt):
        lines.check()
