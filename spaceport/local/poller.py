"""Takes the messages of the queues that stand in for the rules' targets, and hands each to its consumer.

A message is deleted only once it was handled. One that could not be handled is visible again after a pause; after the
last try it goes to the dead-letter queue, with the reason in its attributes, and a line goes to the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from spaceport.pipeline.text import visible

WAIT_SECONDS: Final = 1  # a long poll: messages arrive at once, and closing takes a second at most
PAUSES: Final = (1, 5)
"""Seconds before the second and the third try; asynchronous Lambda waits 60 and 120."""
CLOSE_SECONDS: Final = 5.0
MAX_TEXT: Final = 2000  # characters of an event in the log; all of it is in the dead letter

log = logging.getLogger(__name__)


class NotHandled(Exception):
    """A consumer could not handle a message; another try may help.

    Args:
        reason: for the log.
        attributes: of the dead letter, if it becomes one.
        pause: seconds before which no other try can help; None if the next one may.
    """

    def __init__(self, reason: str, attributes: Mapping[str, str] | None = None, pause: int | None = None) -> None:
        self.attributes = dict(attributes or {})
        self.pause = pause
        super().__init__(reason)


@dataclass(frozen=True)
class Consumer:
    """Who handles the messages of a queue."""

    name: str
    queue: str
    """Its URL."""
    dead_letters: str | None
    """The URL of the queue for what was tried in vain; without one it is only logged."""
    handle: Callable[[str], None]
    """Called with a message's body. Raises `NotHandled`."""
    threads: int = 1
    """How many messages it handles at a time."""
    slots: AbstractContextManager[Any] = field(default_factory=nullcontext)
    """Entered while a message is handled: what several consumers share."""


class Poller:
    """Polls every consumer's queue, until `close`.

    Args:
        new_client: makes a client of SQS; each thread has its own.
        pauses: seconds before each further try.
    """

    def __init__(
        self, new_client: Callable[[], Any], consumers: Sequence[Consumer], pauses: Sequence[int] = PAUSES
    ) -> None:
        self._pauses = tuple(pauses)
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(consumer, new_client()), name=consumer.name, daemon=True)
            for consumer in consumers
            for _ in range(consumer.threads)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Take no more messages. What is still being handled after some seconds is left behind."""
        self._done.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _follow(self, consumer: Consumer, sqs: Any) -> None:
        while not self._done.is_set():
            try:
                response = sqs.receive_message(
                    QueueUrl=consumer.queue, WaitTimeSeconds=WAIT_SECONDS, AttributeNames=["ApproximateReceiveCount"]
                )
                for message in response.get("Messages", []):
                    with consumer.slots:
                        if not self._done.is_set():
                            self._handle(consumer, sqs, message)
            except Exception as error:  # a thread that ended would leave its queue unread
                if not self._done.wait(WAIT_SECONDS):
                    log.warning("%s: %s: %s", consumer.name, type(error).__name__, error)

    def _handle(self, consumer: Consumer, sqs: Any, message: dict[str, Any]) -> None:
        receipt = {"QueueUrl": consumer.queue, "ReceiptHandle": message["ReceiptHandle"]}
        attempt = int(message["Attributes"]["ApproximateReceiveCount"])
        try:
            consumer.handle(message["Body"])
        except NotHandled as error:
            if self._done.is_set():  # we have stopped it ourselves
                return
            log.warning("%s: try %d of %d failed: %s", consumer.name, attempt, len(self._pauses) + 1, _text(error))
            if attempt <= len(self._pauses):
                pause = self._pauses[attempt - 1] if error.pause is None else error.pause
                sqs.change_message_visibility(**receipt, VisibilityTimeout=pause)
                return
            _bury(consumer, sqs, message["Body"], error)
        sqs.delete_message(**receipt)


def _bury(consumer: Consumer, sqs: Any, body: str, error: NotHandled) -> None:
    """Send a message to the dead-letter queue."""
    fate = "a dead letter" if consumer.dead_letters else "lost"
    log.error("%s: the event is %s after the last try: %s", consumer.name, fate, _text(body))
    if consumer.dead_letters:
        sqs.send_message(
            QueueUrl=consumer.dead_letters,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "Number" if value.isdecimal() else "String", "StringValue": value}
                for name, value in error.attributes.items()
            },
        )


def _text(value: object) -> str:
    """What a log may hold of an event or of an error about it."""
    return visible(str(value), MAX_TEXT)
