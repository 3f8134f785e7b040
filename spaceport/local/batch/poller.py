"""Polls the SQS queue that replaces each rule's Batch target, and submits a job for each message."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spaceport.local.access import Access
from spaceport.local.batch.runner import Runner
from spaceport.local.translate import BatchTarget

WAIT_SECONDS = 1  # a long poll: messages arrive at once, and closing takes a second at most
log = logging.getLogger(__name__)


class Poller:
    """One thread for each target, until `close`."""

    def __init__(
        self, access: Access, batch_targets: tuple[BatchTarget, ...], outputs: dict[str, str], runner: Runner
    ) -> None:
        self._access = access
        self._runner = runner
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(target, outputs[target.queue_output]))
            for target in batch_targets
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _follow(self, target: BatchTarget, url: str) -> None:
        sqs = self._access.client("sqs")
        while not self._done.is_set():
            try:
                response = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_SECONDS)
                for message in response.get("Messages", []):
                    self._submit(target, json.loads(message["Body"]))
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            except (ClientError, BotoCoreError, KeyError, ValueError) as error:
                if not self._done.wait(WAIT_SECONDS):
                    log.warning("%s: %s", target.job_name, error)

    def _submit(self, target: BatchTarget, target_input: dict[str, Any]) -> None:
        """`target_input` is what EventBridge passes to SubmitJob: its member names are capitalised."""
        overrides = target_input.get("ContainerOverrides", {}).get("Environment", [])
        self._runner.submit(
            target.job_queue,
            target.job_definition,
            target.job_name,
            target_input.get("Parameters", {}),
            {item["Name"]: item["Value"] for item in overrides},
        )
