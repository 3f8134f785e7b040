"""Sends "Batch Job State Change" events to the targets of every rule that matches them.

PutEvents refuses sources that begin with `aws.`, here as in AWS. So the deployed rules are tested for a match, and the
event that Batch would have sent goes to the queues that stand in for their targets.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from spaceport.local.access import ACCOUNT, REGION, Access
from spaceport.local.batch.model import Job

DETAIL_TYPE = "Batch Job State Change"
"""Of the only events of Batch that are sent here: no queue of ours is ever blocked for want of machines."""


class StateChanges:
    """Delivers state changes of jobs. Rules are read once: they do not change while the embedded cloud runs."""

    def __init__(self, access: Access) -> None:
        """Raises `ValueError` when a target wants another input than the event, which nothing here transforms."""
        self._events = access.client("events")
        self._sqs = access.client("sqs")
        rules = [rule for page in self._events.get_paginator("list_rules").paginate() for rule in page["Rules"]]
        self._queues = [
            (rule["EventPattern"], [self._queue(target) for target in self._targets(rule["Name"])])
            for rule in rules
            if rule.get("State") == "ENABLED" and DETAIL_TYPE in rule.get("EventPattern", "")
        ]

    def deliver(self, event: dict[str, Any]) -> None:
        """Send the event to the targets of each rule that matches."""
        body = json.dumps(event)
        for pattern, queues in self._queues:
            if self._events.test_event_pattern(EventPattern=pattern, Event=body)["Result"]:
                for queue in queues:
                    self._sqs.send_message(QueueUrl=queue, MessageBody=body)

    def _targets(self, rule: str) -> list[dict[str, Any]]:
        targets: list[dict[str, Any]] = self._events.list_targets_by_rule(Rule=rule)["Targets"]
        return targets

    def _queue(self, target: dict[str, Any]) -> str:
        if {"Input", "InputPath", "InputTransformer"} & set(target):
            raise ValueError(f"{target['Arn']}: a target of Batch's events gets the whole event here")
        name = target["Arn"].rsplit(":", 1)[-1]
        return str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"])


def state_change(job: Job) -> dict[str, Any]:
    """The event that Batch sends when a job has a new state."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": DETAIL_TYPE,
        "source": "aws.batch",
        "account": ACCOUNT,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": [f"arn:aws:batch:{REGION}:{ACCOUNT}:job/{job.id}"],
        "detail": job.describe(),
    }
