"""Sends "Batch Job State Change" events to the targets of every rule that matches them.

PutEvents refuses sources that begin with `aws.`, here as in AWS. So the deployed rules are tested for a match, and
their functions are invoked directly, with the event that Batch would have sent.
"""

from __future__ import annotations

import json
import logging
import uuid
from datetime import UTC, datetime
from typing import Any

from spaceport.local.access import ACCOUNT, REGION, Access
from spaceport.local.batch.model import Job

log = logging.getLogger(__name__)


class StateChanges:
    """Delivers state changes of jobs. Rules are read once: they do not change while the embedded cloud runs."""

    def __init__(self, access: Access) -> None:
        self._events = access.client("events")
        self._functions = access.client("lambda")
        rules = [rule for page in self._pages() for rule in page["Rules"]]
        self._rules = [
            rule for rule in rules if rule.get("State") == "ENABLED" and "aws.batch" in rule.get("EventPattern", "")
        ]

    def deliver(self, event: dict[str, Any]) -> None:
        """Invoke the targets of each rule that matches."""
        for rule in self._rules:
            if self._events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(event))["Result"]:
                for target in self._events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                    self._functions.invoke(
                        FunctionName=target["Arn"], InvocationType="Event", Payload=json.dumps(event).encode()
                    )

    def _pages(self) -> Any:
        return self._events.get_paginator("list_rules").paginate()


def state_change(job: Job) -> dict[str, Any]:
    """The event that Batch sends when a job has a new state."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Batch Job State Change",
        "source": "aws.batch",
        "account": ACCOUNT,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": [f"arn:aws:batch:{REGION}:{ACCOUNT}:job/{job.id}"],
        "detail": job.describe(),
    }
