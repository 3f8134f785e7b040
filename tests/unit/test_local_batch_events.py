"""Which rules get what the local Batch sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from spaceport.local.batch.events import DETAIL_TYPE, StateChanges

QUEUE, TOPIC = "arn:aws:sqs:us-east-1:000000000000:tracker", "arn:aws:sns:us-east-1:000000000000:operator"


class Deployed:
    """EventBridge, SQS and the access to both, with both rules for events of Batch."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def client(self, _: str) -> Deployed:
        return self

    def get_paginator(self, _: str) -> Deployed:
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        for name, kind in (("failed", DETAIL_TYPE), ("blocked", "Batch Job Queue Blocked")):
            pattern = json.dumps({"source": ["aws.batch"], "detail-type": [kind]})
            yield {"Rules": [{"Name": name, "State": "ENABLED", "EventPattern": pattern}]}

    def list_targets_by_rule(self, Rule: str) -> dict[str, Any]:  # AWS's own names
        blocked = {"Arn": TOPIC, "InputTransformer": {"InputTemplate": '"a sentence"'}}
        return {"Targets": [{"Arn": QUEUE} if Rule == "failed" else blocked]}

    def get_queue_url(self, QueueName: str) -> dict[str, str]:
        return {"QueueUrl": QueueName}

    def test_event_pattern(self, EventPattern: str, Event: str) -> dict[str, bool]:
        return {"Result": json.loads(Event)["detail-type"] in json.loads(EventPattern)["detail-type"]}

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:
        self.sent.append(QueueUrl)


def test_a_rule_for_other_events_of_batch_is_none_of_its_targets() -> None:
    """A stack with `OperatorMail` could not be deployed here: its target has an input of its own."""
    deployed = Deployed()
    access: Any = deployed
    StateChanges(access).deliver({"detail-type": DETAIL_TYPE})
    assert deployed.sent == ["tracker"]
