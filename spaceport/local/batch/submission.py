"""Submits a Batch job for each message of a queue that stands in for a rule's Batch target."""

from __future__ import annotations

import json
from typing import Any

from spaceport.local.batch.runner import Runner
from spaceport.local.poller import Consumer, NotHandled
from spaceport.local.translate import BatchTarget


def batch_consumers(targets: tuple[BatchTarget, ...], outputs: dict[str, str], runner: Runner) -> tuple[Consumer, ...]:
    """A consumer for each target."""
    return tuple(
        Consumer(
            name=target.job_name,
            queue=outputs[target.queue_output],
            dead_letters=outputs[target.dead_letters_output] if target.dead_letters_output else None,
            handle=JobSubmission(target, runner),
        )
        for target in targets
    )


class JobSubmission:
    """Submits one target's jobs."""

    def __init__(self, target: BatchTarget, runner: Runner) -> None:
        self._target = target
        self._runner = runner

    def __call__(self, body: str) -> None:
        """`body` is what EventBridge passes to SubmitJob: its member names are capitalised. Raises `NotHandled`."""
        try:
            target_input: dict[str, Any] = json.loads(body)
            overrides = target_input.get("ContainerOverrides", {}).get("Environment", [])
            self._runner.submit(
                self._target.job_queue,
                self._target.job_definition,
                self._target.job_name,
                target_input.get("Parameters", {}),
                {item["Name"]: item["Value"] for item in overrides},
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            attributes = {"TARGET_ARN": self._target.job_queue, "ERROR_CODE": "CLIENT_ERROR", "ERROR_MESSAGE": reason}
            raise NotHandled(reason, attributes) from error
