"""Calls of the API in the tests' own process."""

from __future__ import annotations

import json
from typing import Any

from function_cases import Context, call

from functions.api import app


def ask(name: str, body: Any = None, **changes: Any) -> tuple[int, dict[str, Any]]:
    answer = app.handler(call(name, body, **changes), Context())
    assert "Access-Control-Allow-Origin" not in answer["multiValueHeaders"], "no page, unless its origin is set"
    return answer["statusCode"], json.loads(answer["body"])
