"""Alarms and the dashboard: they look at metrics that the functions really send."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from template import ROOT, of_type

from functions.clients import NAMESPACE

SENT = re.compile(r'(?:add_metric|_count)\(\s*"([A-Za-z]+)"|: "([A-Z][A-Za-z]*PSNR|PSNR)"')
ALARMS = of_type("AWS::CloudWatch::Alarm")


def sent() -> set[str]:
    sources = [path.read_text() for path in (ROOT / "functions").rglob("*.py")]
    return {one or other for source in sources for one, other in SENT.findall(source)}


def dashboard() -> list[dict[str, Any]]:
    (board,) = of_type("AWS::CloudWatch::Dashboard").values()
    body = board["DashboardBody"]
    assert isinstance(body, str)
    widgets: list[dict[str, Any]] = json.loads(body)["widgets"]
    return widgets


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_tells_the_operator_what_to_read(name: str) -> None:
    assert "docs/operations.md" in ALARMS[name]["AlarmDescription"]
    assert name in (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("name", [name for name in sorted(ALARMS) if ALARMS[name].get("Namespace") == NAMESPACE])
def test_an_alarm_watches_a_metric_that_is_sent(name: str) -> None:
    assert ALARMS[name]["MetricName"] in sent()


def test_the_dashboard_shows_metrics_that_are_sent() -> None:
    text = json.dumps(dashboard())
    searched = set(re.findall(r'MetricName=\\+"([A-Za-z]+)', text))
    named = set(re.findall(r'\["Spaceport", "([A-Za-z]+)"', text))
    assert searched == {"Ended", "Failed", "Seconds", "Usd"}
    assert searched | named <= sent()


def test_the_dashboard_s_widgets_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard():
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24
        taken |= cells
