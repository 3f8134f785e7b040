"""Messages of the queues before functions and Batch: handled once, tried three times, then a dead letter."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import waiting
from botocore.exceptions import ClientError, ReadTimeoutError

from spaceport.local.batch.runner import Runner
from spaceport.local.batch.submission import JobSubmission
from spaceport.local.functions import MAX_ERROR, Invocation, concurrency
from spaceport.local.poller import Consumer, NotHandled, Poller
from spaceport.local.translate import BatchTarget


class Queues:
    """A queue and its dead-letter queue, and pollers that are closed at the end."""

    def __init__(self) -> None:
        self.sqs: Any = boto3.client("sqs")
        self.url = self.sqs.create_queue(QueueName="events", Attributes={"VisibilityTimeout": "1800"})["QueueUrl"]
        self.dead = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        self.pollers: list[Poller] = []

    def poll(self, handle: Callable[[str], None], **settings: Any) -> None:
        consumer = Consumer("intake", self.url, settings.pop("dead_letters", self.dead), handle, **settings)
        self.pollers.append(Poller(lambda: self.sqs, [consumer], pauses=(0, 0)))

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self, url: str) -> int:
        """Messages that are in a queue, visible or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def dead_letter(self) -> dict[str, Any]:
        waiting.until(lambda: self.left(self.dead))
        (message,) = self.sqs.receive_message(QueueUrl=self.dead, MessageAttributeNames=["All"])["Messages"]
        return dict(message)


@pytest.fixture
def queues(aws: None) -> Iterator[Queues]:
    made = Queues()
    yield made
    for poller in made.pollers:
        poller.close()


def test_a_message_is_deleted_after_it_was_handled_and_not_before(queues: Queues) -> None:
    seen: list[tuple[str, int]] = []
    queues.poll(lambda body: seen.append((body, queues.left(queues.url))))
    queues.send("one")
    waiting.until(lambda: queues.left(queues.url) == 0)
    assert seen == [("one", 1)]
    assert queues.left(queues.dead) == 0


def test_a_second_try_may_succeed(queues: Queues) -> None:
    tries: list[str] = []

    def handle(body: str) -> None:
        tries.append(body)
        if len(tries) < 2:
            raise NotHandled("table throttled")

    queues.poll(handle)
    queues.send("one")
    waiting.until(lambda: queues.left(queues.url) == 0)
    assert tries == ["one", "one"]
    assert queues.left(queues.dead) == 0


def test_after_three_tries_it_is_a_dead_letter_and_a_line_in_the_log(
    queues: Queues, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []

    def handle(body: str) -> None:
        tries.append(body)
        raise NotHandled("no such bucket", {"ErrorCode": "200", "ErrorMessage": "no such bucket"})

    with caplog.at_level(logging.WARNING):
        queues.poll(handle)
        queues.send('{"id": 1}')
        letter = queues.dead_letter()
        waiting.until(lambda: queues.left(queues.url) == 0)
    assert len(tries) == 3
    assert letter["Body"] == '{"id": 1}'
    values = {name: (value["DataType"], value["StringValue"]) for name, value in letter["MessageAttributes"].items()}
    assert values == {"ErrorCode": ("Number", "200"), "ErrorMessage": ("String", "no such bucket")}
    assert "try 3 of 3 failed: no such bucket" in caplog.text
    assert 'the event is a dead letter after the last try: {"id": 1}' in caplog.text


def test_a_failed_try_may_say_when_the_next_one_can_help(queues: Queues) -> None:
    tries: list[float] = []

    def handle(_: str) -> None:
        tries.append(time.monotonic())
        if len(tries) < 2:
            raise NotHandled("another invocation is in progress", pause=1)

    queues.poll(handle)
    queues.send("one")
    waiting.until(lambda: queues.left(queues.url) == 0)
    assert tries[1] - tries[0] >= 0.9
    assert queues.left(queues.dead) == 0


def test_a_poisoned_message_keeps_no_other_waiting(queues: Queues) -> None:
    handled: list[str] = []

    def handle(body: str) -> None:
        if body == "poison":
            raise NotHandled("always")
        handled.append(body)

    queues.send("poison", "one", "two")
    queues.poll(handle, dead_letters=None)
    waiting.until(lambda: queues.left(queues.url) == 0)
    assert sorted(handled) == ["one", "two"]


def test_a_bug_in_a_consumer_ends_no_thread(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaceport.local.poller.WAIT_SECONDS", 0)
    handled: list[str] = []

    def handle(body: str) -> None:
        if body == "bug":
            raise RuntimeError("a bug")
        handled.append(body)

    queues.poll(handle)
    queues.send("bug", "one")
    waiting.until(lambda: handled == ["one"] and queues.left(queues.url) == 1)  # the bug's: it was not handled


def test_consumers_share_slots(queues: Queues) -> None:
    lock = threading.Lock()
    now, most = 0, 0
    all_in = threading.Event()

    def handle(_: str) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        all_in.wait(0.05)
        with lock:
            now -= 1

    queues.send(*"abcdefgh")
    queues.poll(handle, threads=6, slots=threading.Semaphore(2))
    waiting.until(lambda: queues.left(queues.url) == 0)
    assert most == 2


def test_a_function_may_take_half_of_the_workers_at_most() -> None:
    assert [concurrency(cores) for cores in (1, 2, 4, 64)] == [(2, 1), (2, 1), (4, 2), (64, 4)]


class Lambda:
    """What the client of Lambda answers."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer
        self.invoked: list[tuple[str, bytes]] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # boto3's names
        self.invoked.append((FunctionName, Payload))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_function_gets_the_event_as_it_is() -> None:
    client = Lambda({"ResponseMetadata": {}, "Payload": io.BytesIO(b"null")})
    Invocation(client, "intake", 60)('{"detail": {"name": "ü"}}')
    assert client.invoked == [("intake", '{"detail": {"name": "ü"}}'.encode())]


def test_a_failed_invocation_has_the_attributes_of_lambdas_dead_letters() -> None:
    payload = json.dumps({"errorMessage": "ä" * MAX_ERROR, "errorType": "KeyError"}).encode()
    metadata = {"RequestId": "r-1", "HTTPStatusCode": 200}
    client = Lambda({"FunctionError": "Unhandled", "ResponseMetadata": metadata, "Payload": io.BytesIO(payload)})
    with pytest.raises(NotHandled) as error:
        Invocation(client, "intake", 60)("{}")
    assert error.value.attributes == {"RequestID": "r-1", "ErrorCode": "200", "ErrorMessage": "ä" * (MAX_ERROR // 2)}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ClientError({"ResponseMetadata": {"HTTPStatusCode": 429}}, "Invoke"), "429"),  # type: ignore[typeddict-item]
        (ReadTimeoutError(endpoint_url="http://127.0.0.1"), "500"),
        ({"FunctionError": "Unhandled", "ResponseMetadata": {}, "Payload": io.BytesIO(b"[1]")}, "500"),
    ],
)
def test_an_invocation_that_does_not_come_about_is_a_failed_try(answer: Any, code: str) -> None:
    with pytest.raises(NotHandled) as error:
        Invocation(Lambda(answer), "intake", 60)("{}")
    assert error.value.attributes["ErrorCode"] == code


@pytest.mark.parametrize(
    "body", ["no json", "[1]", '{"Parameters": {}, "ContainerOverrides": {"Environment": [{}]}}', "{}"]
)
def test_a_job_that_cannot_be_submitted_is_a_failed_try(body: str) -> None:
    class Full(Runner):
        def __init__(self) -> None:
            """No queues."""

        def submit(self, *_: Any) -> Any:
            raise KeyError("queue")

    target = BatchTarget("queue", None, "arn:queue", "arn:job", "sfm")
    with pytest.raises(NotHandled) as error:
        JobSubmission(target, Full())(body)
    assert error.value.attributes["TARGET_ARN"] == "arn:queue"
