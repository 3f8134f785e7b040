"""Invokes functions for the messages of their queues, as asynchronous Lambda does, but only a few at a time.

How many run at once depends on the cores, over all functions together, and no function may take more than half of
that: sixty uploads keep neither the tracker nor the mails waiting.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from spaceport.local.access import Access
from spaceport.local.poller import Consumer, NotHandled
from spaceport.local.translate import FunctionTarget

MAX_SHARE: Final = 4
"""Invocations of one target at a time, on a machine with many cores: each has a process and threads of its own."""
MAX_ERROR: Final = 1024  # bytes of the message that Lambda puts into a dead letter
IN_PROGRESS: Final = "Execution already in progress with idempotency key"
"""So begins the error of Powertools for an event that another invocation has reserved, and which it may not outlive."""
_PATIENT: Final = Config(read_timeout=960, retries={"total_max_attempts": 1}, max_pool_connections=64)
"""Longer than any function may run, and an invocation is never repeated behind our back."""


def concurrency(cores: int | None = None) -> tuple[int, int]:
    """How many invocations run at once in all, and for one target."""
    workers = max(2, cores or os.cpu_count() or 2)
    return workers, min(MAX_SHARE, workers // 2)


def function_consumers(
    access: Access, targets: tuple[FunctionTarget, ...], outputs: dict[str, str]
) -> tuple[Consumer, ...]:
    """A consumer for each target, which share the workers."""
    client = access.client("lambda", _PATIENT)
    workers, share = concurrency()
    slots = threading.Semaphore(workers)
    return tuple(
        Consumer(
            name=outputs[target.function_output],
            queue=outputs[target.queue_output],
            dead_letters=outputs[target.dead_letters_output] if target.dead_letters_output else None,
            handle=Invocation(client, outputs[target.function_output], target.timeout),
            threads=share,
            slots=slots,
        )
        for target in targets
    )


class Invocation:
    """Invokes one function with a message's body, and waits for it."""

    def __init__(self, client: Any, function: str, timeout: int) -> None:
        """`client`: of Lambda. `timeout`: seconds that an invocation may take."""
        self._client = client
        self._function = function
        self._timeout = timeout

    def __call__(self, body: str) -> None:
        """Raises `NotHandled` with the attributes of Lambda's dead letters: RequestID, ErrorCode, ErrorMessage."""
        try:
            response = self._client.invoke(FunctionName=self._function, Payload=body.encode())
        except ClientError as error:
            raise _not_handled(error.response.get("ResponseMetadata", {}), str(error)) from error
        except BotoCoreError as error:
            raise _not_handled({}, str(error)) from error
        if "FunctionError" in response:
            message = _error_message(response["Payload"].read())
            raise _not_handled(response["ResponseMetadata"], message, self._pause_after(message))

    def _pause_after(self, message: str) -> int | None:
        """Seconds after which another invocation of the same event, dead or alive, is over; None if there is none.

        Lambda's own pauses are as long as most functions may take, or longer.
        """
        return self._timeout + 1 if message.startswith(IN_PROGRESS) else None


def _error_message(payload: bytes) -> str:
    try:
        return str(json.loads(payload)["errorMessage"])
    except (ValueError, TypeError, KeyError):
        return payload.decode(errors="replace")


def _not_handled(metadata: Any, message: str, pause: int | None = None) -> NotHandled:
    attributes = {
        "RequestID": metadata.get("RequestId") or "-",
        "ErrorCode": str(metadata.get("HTTPStatusCode") or 500),
        "ErrorMessage": message.encode()[:MAX_ERROR].decode(errors="ignore") or "-",
    }
    return NotHandled(message, attributes, pause)
