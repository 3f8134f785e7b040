"""Who calls is known before a route reads anything; only routes that a token opens are without."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from function_cases import Context, call, deploy
from test_template_routes import OF_SHARES, PUBLIC, routes

from functions.api import app
from functions.api.caller import OPEN_ROUTES
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

OPEN = OF_SHARES | PUBLIC
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    deploy(monkeypatch, WEB_ORIGIN="")
    yield
    assert table.table.scan()["Items"] == []


def ask(route: str, key: str | None) -> tuple[int, str]:
    method, _, path = route.partition(" ")
    loaded = call("api_stop", "{", path=path, httpMethod=method)
    del loaded["headers"]["x-api-key"]
    loaded["requestContext"]["identity"]["apiKeyId"] = key
    answer = app.handler(loaded, Context())
    return answer["statusCode"], str(json.loads(answer["body"])["slug"])


def test_the_open_routes_are_those_of_the_template() -> None:
    assert {" ".join(route) for route in OPEN_ROUTES} == OPEN


@pytest.mark.parametrize("route", sorted(set(routes()) - OPEN))
def test_no_body_is_read_before_it_is_known_who_calls(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: APIGatewayProxyEvent) -> Any:
        pytest.fail("the body was read")

    for name in ("body", "decoded_body", "json_body"):
        monkeypatch.setattr(APIGatewayProxyEvent, name, property(read))
    assert ask(re.sub(r"\{\w+\}", "a-job-of-nobody", route), None) == (403, "forbidden")


@pytest.mark.parametrize(
    "route", ["GET /not-there-yet", "DELETE /confirm", "GET /shared/", "GET /shared/models", "PUT /jobs"]
)
def test_a_route_that_nobody_has_written_yet_asks_too(route: str) -> None:
    assert ask(route, None) == (403, "forbidden")
    assert ask(route, "k3y1d00001") == (404, "not_found")
