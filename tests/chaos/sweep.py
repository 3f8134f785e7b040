"""Runs the deployed sweeper's handler again and again: `python tests/chaos/sweep.py STATE SILENCE`.

The embedded cloud's schedule calls it every five minutes, for jobs that are silent for ten: too seldom for a storm of
ten. Here it is the same handler, with the environment of the deployed function and `SILENCE` seconds of its own. They
are negative: a row may have been written by a machine whose clock is fast.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from spaceport.local.address import running

SECONDS_BETWEEN = 15.0


def main(state: Path, silence: float) -> None:
    """Until it is killed, or the cloud ends."""
    access = running(state)
    assert access, "no cloud is running"
    functions = access.client("lambda")
    (name,) = (
        each["FunctionName"] for each in functions.list_functions()["Functions"] if "Sweeper" in each["FunctionName"]
    )
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    os.environ.update(access.environment() | variables)
    from functions.sweeper import app  # noqa: PLC0415  its clients are made of the environment

    app.SILENCE = timedelta(seconds=silence)
    context: Any = SimpleNamespace(
        function_name=name,
        memory_limit_in_mb=512,
        invoked_function_arn=name,
        aws_request_id="chaos",
        get_remaining_time_in_millis=lambda: 60_000,
    )
    while (now := running(state)) and now.secret == access.secret:
        app.handler({}, context)
        time.sleep(SECONDS_BETWEEN)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
