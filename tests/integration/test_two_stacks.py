"""The template twice in one account and region: two stacks share no name, and no event of one reaches the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from cloud_cases import MAIL, Cloud
from pipeline_cases import photo_zip
from waiting import until

from spaceport.cli.deployment import Deployment, connect
from spaceport.local.cloud import PARAMETERS, ROOT, STACK
from spaceport.local.deploy import CODE, deploy
from spaceport.local.functions import function_consumers
from spaceport.local.package import package
from spaceport.local.poller import Poller
from spaceport.local.translate import translate
from spaceport.pipeline.contract import JobState
from spaceport.pipeline.layout import JOBS

SECOND = "acme"


class Second:
    """A second stack. Its functions are woken, its Batch jobs wait in the queue of their rule."""

    def __init__(self, cloud: Cloud) -> None:
        self.access = cloud.embedded.access
        translation = translate(ROOT / "template.yaml", CODE)
        parameters = PARAMETERS | {"CreateSender": "false"}
        self.outputs = deploy(self.access, SECOND, translation, package(ROOT), parameters)
        self.events: list[str] = []
        """What its functions were woken by."""
        consumers = function_consumers(self.access, translation.function_targets, self.outputs)
        recorded = [replace(each, handle=partial(self._handle, each.handle)) for each in consumers]
        self.poller = Poller(lambda: self.access.client("sqs"), recorded)

    def _handle(self, handle: Callable[[str], None], body: str) -> None:
        self.events.append(body)
        handle(body)


@pytest.fixture
def second(cloud: Cloud) -> Iterator[Second]:
    second = Second(cloud)
    with closing(second.poller):
        yield second


@pytest.mark.slow
def test_two_stacks_side_by_side(cloud: Cloud, second: Second) -> None:
    access = cloud.embedded.access
    first_names, second_names = (_physical_names(access.client("cloudformation"), name) for name in (STACK, SECOND))
    assert len(first_names) == len(second_names) + 1, "all but the sender, which the second shares"
    assert first_names & second_names == set()

    ours, theirs = cloud.deployment, connect(SECOND, access.session, access.endpoint, access.batch_endpoint)
    _upload(ours, "rejected-in-the-first", b"no zip")
    _upload(theirs, "rejected-in-the-second", b"no zip")
    _upload(theirs, "begun-in-the-second", photo_zip())
    until(lambda: _ended(ours) and _ended(theirs), cloud.logs)
    assert len(cloud.mails(2)) == 2, "one of each stack"
    (message,) = _messages(access.client("sqs"), second.outputs["RequestToSfmQueue0"])
    assert "begun-in-the-second" in message
    assert len(second.events) >= 5, "two uploads, a request, two rejections"
    assert not [event for event in second.events if ours.bucket.name in event or ours.uploads.name in event]
    assert _jobs(ours) == {"rejected-in-the-first"}
    assert _jobs(theirs) == {"rejected-in-the-second", "begun-in-the-second"}
    assert list((cloud.embedded.state / "logs").glob("sfm-*")) == [], "no Batch job of the first stack began"


def _upload(deployment: Deployment, job_id: str, body: bytes) -> None:
    metadata = {"job-id": job_id, "email": MAIL}
    deployment.uploads.client.put_object(
        Bucket=deployment.uploads.name, Key=f"uploads/{job_id}.zip", Body=body, Metadata=metadata
    )


def _messages(sqs: Any, queue: str) -> list[str]:
    """All messages of a queue, as soon as there are any."""
    bodies: list[str] = []

    def received() -> bool:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        bodies.extend(message["Body"] for message in messages)
        return not messages and bool(bodies)

    until(received)
    return bodies


def _ended(deployment: Deployment) -> bool:
    return bool(deployment.table.by_state(JobState.REJECTED))


def _jobs(deployment: Deployment) -> set[str]:
    """Of all jobs in the bucket and in the table."""
    keys = {item.key.split("/")[1] for item in deployment.bucket.list_objects(JOBS)}
    return keys | {row.job_id for state in JobState for row in deployment.table.by_state(state)}


def _physical_names(cloudformation: Any, stack: str) -> set[tuple[str, str]]:
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    named = {(each["ResourceType"], each["PhysicalResourceId"]) for each in resources}
    return named - {("AWS::ApiGateway::Stage", "v1")}  # a name within its API
