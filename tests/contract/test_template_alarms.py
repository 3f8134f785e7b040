"""Alarms and the dashboard: they look at metrics that the functions really send, and say what to do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from template import ROOT, STACK, event, of_type, raw

from functions.tracker.measure import QUALITY

NAMESPACE = f"Spaceport/{STACK}"
SENT = re.compile(r'(?:add_metric|_send)\(\s*"([A-Za-z]+)"')
ALARMS = of_type("AWS::CloudWatch::Alarm")
LINK = re.compile(r"docs/operations\.md#([a-z0-9-]+)$")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def sent() -> set[str]:
    sources = [path.read_text() for path in (ROOT / "functions").rglob("*.py")]
    return {name for source in sources for name in SENT.findall(source)} | set(QUALITY.values())


def anchors() -> set[str]:
    titles = re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def functions() -> set[str]:
    return set(of_type("AWS::Lambda::Function"))


def widgets() -> list[dict[str, Any]]:
    (board,) = of_type("AWS::CloudWatch::Dashboard").values()
    body = board["DashboardBody"]
    assert isinstance(body, str)
    parsed: list[dict[str, Any]] = json.loads(body)["widgets"]
    return parsed


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_tells_the_operator_what_to_do_and_where_to_read(name: str) -> None:
    link = LINK.search(ALARMS[name]["AlarmDescription"])
    assert link and link[1] in anchors()
    assert name in OPERATIONS
    assert ALARMS[name]["AlarmActions"] == {"Fn::If": ["HasOperator", ["Operator"], "AWS::NoValue"]}


def test_the_message_of_a_blocked_queue_says_where_to_read() -> None:
    (target,) = of_type("AWS::Events::Rule")["QueueBlockedToOperator"]["Targets"]
    link = LINK.search(json.loads(target["InputTransformer"]["InputTemplate"]))
    assert link and link[1] in anchors()


@pytest.mark.parametrize("name", [name for name in sorted(ALARMS) if "Spaceport" in ALARMS[name].get("Namespace", "")])
def test_an_alarm_watches_a_metric_that_is_sent_by_this_stack(name: str) -> None:
    assert ALARMS[name]["Namespace"] == NAMESPACE
    assert ALARMS[name]["MetricName"] in sent()


def test_the_functions_send_their_metrics_under_the_name_of_their_stack() -> None:
    for function in of_type("AWS::Lambda::Function").values():
        assert function["Environment"]["Variables"]["SPACEPORT_METRICS"] == NAMESPACE


def test_errors_of_every_function_are_watched() -> None:
    metrics = [
        each["MetricStat"]["Metric"] for each in ALARMS["FunctionErrorsAlarm"]["Metrics"] if "MetricStat" in each
    ]
    assert {metric["MetricName"] for metric in metrics} == {"Errors"}
    assert {metric["Dimensions"][0]["Value"] for metric in metrics} == functions()


def test_the_age_of_each_queue_is_watched_by_the_name_that_the_sweeper_sends() -> None:
    for alarm, queue in (("CpuQueueAgeAlarm", "CpuQueue"), ("GpuQueueAgeAlarm", "GpuQueue")):
        (dimension,) = raw()["Resources"][alarm]["Properties"]["Dimensions"]
        name = {"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": queue}]}]}
        assert dimension == {"Name": "queue", "Value": name}
        assert ALARMS[alarm]["Threshold"] == "QueueSeconds"
    assert event("batch_blocked")["detail"]["jobQueue"].count("/") == 1


def test_only_cloudwatch_and_our_rule_write_to_the_operator() -> None:
    (policy,) = of_type("AWS::SNS::TopicPolicy").values()
    alarms, rules = policy["PolicyDocument"]["Statement"]
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    assert rules["Principal"] == {"Service": "events.amazonaws.com"}
    assert rules["Condition"]["ArnLikeIfExists"] == {"aws:SourceArn": "arn:QueueBlockedToOperator"}
    assert {alarms["Action"], rules["Action"]} == {"sns:Publish"}


def test_without_an_operator_there_is_nobody_to_write_to() -> None:
    resources = raw()["Resources"]
    conditions = {
        name: resources[name]["Condition"] for name in ("Operator", "OperatorPolicy", "QueueBlockedToOperator")
    }
    assert set(conditions.values()) == {"HasOperator"}


def test_the_dashboard_shows_metrics_that_are_sent() -> None:
    text = json.dumps(widgets())
    searched = set(re.findall(r"SEARCH\('\{\\+\"([^\\]+)\\+\",[a-z]+\} MetricName=\\+\"([A-Za-z]+)", text))
    named = set(re.findall(rf'\["{NAMESPACE}", "([A-Za-z]+)"', text))
    assert {namespace for namespace, _ in searched} == {NAMESPACE}
    assert {name for _, name in searched} | named <= sent()
    waits, runs = {"Waiting", "SecondsInQueue"}, {"Running"}
    fails, costs = {"Ended", "Failed"}, {"Usd", "Seconds", "MachineSeconds"}
    assert {name for _, name in searched} == waits | runs | fails | costs


def test_the_dashboard_lists_which_jobs_failed_and_why() -> None:
    (log,) = [widget["properties"]["query"] for widget in widgets() if widget["type"] == "log"]
    (line,) = re.findall(r"message = '([^']+)'", log)
    fields = set(re.findall(r"fields ([^|]+) \|", log)[0].split(", ")) - {"@timestamp", "correlation_id"}
    source = (ROOT / "functions/tracker/app.py").read_text()
    (arguments,) = re.findall(rf'logger\.warning\("{line}", ([^)]+)\)', source)
    assert fields == set(re.findall(r"(\w+)=", arguments))
    assert "SOURCE 'FunctionLogs'" in log


def test_the_dashboard_s_widgets_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in widgets():
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24
        taken |= cells
