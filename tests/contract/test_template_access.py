"""Who is let in, and what is refused at the deploy: pages by their origin, parameters that need each other."""

from __future__ import annotations

import re
from typing import Any

import pytest
from template import of_type, raw

from spaceport.local.cloud import PARAMETERS

NONE = {"Ref": "AWS::NoValue"}
PAGE_ORIGIN = {"Fn::If": ["HasWebOrigin", "WebOrigin", "https://PageDistribution.DomainName"]}
"""What the parameter says, or the name that CloudFront has given our page."""


def rules() -> dict[str, dict[str, Any]]:
    rules: dict[str, dict[str, Any]] = raw()["Rules"]
    return rules


def test_no_page_is_let_in_unless_its_origin_is_set() -> None:
    conditions = raw()["Conditions"]
    assert (raw()["Parameters"]["WebOrigin"]["Default"], raw()["Parameters"]["Page"]["Default"]) == ("", "false")
    assert conditions["HasWebOrigin"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "WebOrigin"}, ""]}]}
    assert conditions["HasOrigin"] == {"Fn::Or": [{"Condition": "HasWebOrigin"}, {"Condition": "HasPage"}]}
    for bucket in ("UploadsBucket", "PipelineBucket"):
        condition, rules_of_bucket, otherwise = of_type("AWS::S3::Bucket")[bucket]["CorsConfiguration"]["Fn::If"]
        assert (condition, otherwise) == ("HasOrigin", "AWS::NoValue")
        (rule,) = rules_of_bucket["CorsRules"]
        assert rule["AllowedOrigins"] == [PAGE_ORIGIN]
    responses = raw()["Resources"]["Api"]["Properties"]["GatewayResponses"]
    header = responses["DEFAULT_4XX"]["ResponseParameters"]["Headers"]["Access-Control-Allow-Origin"]
    own = {"Fn::Sub": "'https://${PageDistribution.DomainName}'"}
    assert header == {"Fn::If": ["HasWebOrigin", {"Fn::Sub": "'${WebOrigin}'"}, {"Fn::If": ["HasPage", own, NONE]}]}
    variables = of_type("AWS::Lambda::Function")["ApiFunction"]["Environment"]["Variables"]
    assert variables["SPACEPORT_WEB_ORIGIN"] == {"Fn::If": ["HasOrigin", PAGE_ORIGIN, ""]}


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        ("", True),
        ("*", True),
        ("https://splats.example", True),
        ("http://localhost:8080", True),
        ("https://splats.example/", False),
        ("https://a.example,https://b.example", False),  # a browser takes a list for no origin at all
        ("splats.example", False),
        ("https://a.example'", False),
    ],
)
def test_what_an_origin_is(origin: str, taken: bool) -> None:
    assert bool(re.fullmatch(raw()["Parameters"]["WebOrigin"]["AllowedPattern"], origin)) == taken


@pytest.mark.parametrize(
    ("rule", "parameter", "nothing", "needed"),
    [
        ("PageHasOrigin", "WebUrl", "", "WebOrigin"),
        ("BudgetHasReader", "MonthlyBudgetUsd", 0, "OperatorMail"),
        ("UsersHaveClient", "UserPoolArn", "", "UserPoolClientId"),
    ],
)
def test_a_parameter_without_the_one_that_it_needs_is_refused_with_a_sentence(
    rule: str, parameter: str, nothing: Any, needed: str
) -> None:
    assert rules()[rule]["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, nothing]}]}
    assert raw()["Parameters"][parameter]["Default"] == nothing
    (assertion,) = rules()[rule]["Assertions"]
    is_named = {"Fn::Not": [{"Fn::Equals": [{"Ref": needed}, ""]}]}
    assert is_named in (assertion["Assert"], *assertion["Assert"].get("Fn::And", []))
    assert assertion["AssertDescription"].startswith(f"{parameter} needs {needed}")


def test_the_embedded_cloud_answers_pages_and_its_own_guard_says_which() -> None:
    assert PARAMETERS["WebOrigin"] == "*"


def test_a_budget_writes_before_and_when_it_is_spent() -> None:
    (budget,) = of_type("AWS::Budgets::Budget").values()
    assert raw()["Resources"]["MonthlyBudget"]["Condition"] == "HasBudget"
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "MonthlyBudgetUsd", "Unit": "USD"}
    notifications = [each["Notification"] for each in budget["NotificationsWithSubscribers"]]
    kinds = {(each["NotificationType"], each["Threshold"], each["ThresholdType"]) for each in notifications}
    assert kinds == {("ACTUAL", 80, "PERCENTAGE"), ("FORECASTED", 100, "PERCENTAGE"), ("ACTUAL", 100, "PERCENTAGE")}
    for each in budget["NotificationsWithSubscribers"]:
        assert each["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": "OperatorMail"}]
