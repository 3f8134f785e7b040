"""Writes what functions print into a file; ministack keeps it in the memory of its CloudWatch Logs, for ever.

`tests/contract/test_ministack_logs.py` says what this relies on in the exactly pinned ministack.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ministack.services import lambda_svc

from spaceport.local.logs import LogFile


def install(path: Path) -> None:
    """Let ministack write the output of each invocation to `path`."""
    log = LogFile(path)

    def emit(func: Any, request_id: str, log_text: str, error: bool, *_: Any, **__: Any) -> None:
        name = (func.get("config") or func).get("FunctionName", "")
        for line in json_lines(name, request_id, log_text, error):
            log.write(line)

    lambda_svc._emit_lambda_logs = emit


def json_lines(function: str, request_id: str, text: str, is_error: bool) -> list[str]:
    """The output of one invocation as JSON lines: those of powertools as they are, all else together in one more."""
    lines: list[str] = []
    rest: list[str] = []
    for line in text.splitlines():
        (lines if _is_object(line) else rest).append(line)
    if rest or is_error:
        record = {
            "level": "ERROR" if is_error else "INFO",
            "message": "\n".join(rest) or "the invocation failed",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "function_name": function,
            "function_request_id": request_id,
        }
        lines.append(json.dumps(record))
    return lines


def _is_object(line: str) -> bool:
    try:
        return line.startswith("{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
