"""The API's routes: each is in the documents' table, and says who it is for. A new one fails until it is classified."""

from __future__ import annotations

import re

import pytest
from template import ROOT, raw

PUBLIC = {"GET /confirm", "POST /confirm"}
"""For whoever got a mail."""
OF_SHARES = {"GET /shared", "GET /shared/model"}
"""For whoever has a share's token; `tests/unit/test_shares.py` says what all others answer to one."""


def routes(function: str = "ApiFunction") -> dict[str, bool]:
    """Whether a route needs a key, by method and path; preflights left out."""
    events = raw()["Resources"][function]["Properties"]["Events"].values()
    calls = [event["Properties"] for event in events if event["Type"] == "Api"]
    return {
        f"{call['Method'].upper()} {call['Path']}": call.get("Auth", {}).get("ApiKeyRequired", True)
        for call in calls
        if call["Method"] != "options"
    }


def test_only_shares_and_confirmations_need_no_key() -> None:
    assert {route for route, needs_key in routes().items() if not needs_key} == PUBLIC | OF_SHARES


def test_every_route_is_in_the_documents_and_no_other() -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("\n## The API\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = [route for row in rows for route in re.findall(r"`((?:GET|POST|DELETE) [^`]+)`", row)]
    assert sorted(listed) == sorted(routes())


@pytest.mark.parametrize("route", sorted(routes()))
def test_a_browser_may_ask_before_it_calls(route: str) -> None:
    """Routes for pages have a preflight; the page of a confirmation is on the API's own origin."""
    events = raw()["Resources"]["ApiFunction"]["Properties"]["Events"].values()
    asked = {event["Properties"]["Path"] for event in events if event["Properties"].get("Method") == "options"}
    assert (route.partition(" ")[2] in asked) is (route not in PUBLIC)
