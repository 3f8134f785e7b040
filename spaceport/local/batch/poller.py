"""The arrows into Batch: reads the queue that stands for each rule's Batch target, and submits what it finds."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spaceport.local.access import Access
from spaceport.local.batch.runner import Runner
from spaceport.local.translate import Arrow

WAIT_SECONDS = 1  # a long poll: a message is seen at once, and closing takes a second at most
log = logging.getLogger(__name__)


class Poller:
    """One thread for each arrow, until it is closed."""

    def __init__(self, access: Access, arrows: tuple[Arrow, ...], outputs: dict[str, str], runner: Runner) -> None:
        self._access, self._runner = access, runner
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(arrow, outputs[arrow.queue_output])) for arrow in arrows
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _follow(self, arrow: Arrow, url: str) -> None:
        sqs = self._access.client("sqs")
        while not self._done.is_set():
            try:
                answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_SECONDS)
                for message in answer.get("Messages", []):
                    self._submit(arrow, json.loads(message["Body"]))
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            except (ClientError, BotoCoreError, KeyError, ValueError) as error:
                if not self._done.wait(WAIT_SECONDS):
                    log.warning("%s: %s", arrow.job_name, error)

    def _submit(self, arrow: Arrow, target_input: dict[str, Any]) -> None:
        """What the transformer made, as EventBridge hands it to SubmitJob: member names are capitalised."""
        overrides = target_input.get("ContainerOverrides", {}).get("Environment", [])
        self._runner.submit(
            arrow.job_queue,
            arrow.job_definition,
            arrow.job_name,
            target_input.get("Parameters", {}),
            {item["Name"]: item["Value"] for item in overrides},
        )
