"""Many uploads at once, and an event that no function can handle: each ends, few processes run, nothing is lost."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cloud_cases import Cloud
from waiting import PATIENCE, until

from spaceport.local.children import survivors
from spaceport.local.functions import concurrency
from spaceport.pipeline.contract import JobState
from spaceport.pipeline.jobs.state import END_STATES

UPLOADS = 20
POISON = json.dumps({"source": "aws.s3", "detail": "no object"})


def queue(sqs: Any, prefix: str) -> str:
    (url,) = sqs.list_queues(QueueNamePrefix=prefix)["QueueUrls"]
    return str(url)


def messages(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def test_many_uploads_at_once_and_a_poisoned_event(cloud: Cloud) -> None:
    sqs: Any = cloud.embedded.access.client("sqs")
    woken = queue(sqs, "spaceport-UploadToIntakeQueue0")
    sqs.send_message(QueueUrl=woken, MessageBody=POISON)

    jobs = [f"upload-{number}" for number in range(UPLOADS)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda job: cloud.upload(b"not a zip", job), jobs))
    deadline = time.monotonic() + PATIENCE
    most = 0
    while (ended := sum(row is not None and row.state in END_STATES for row in map(cloud.row, jobs))) < UPLOADS:
        most = max(most, len(survivors(cloud.embedded.state.resolve(), "_worker.py")))
        assert time.monotonic() < deadline, f"{ended} have ended\n{cloud.logs()}"
        time.sleep(0.02)
    assert {row.state for row in map(cloud.row, jobs) if row} == {JobState.REJECTED}
    cloud.mails(UPLOADS)
    workers, share = concurrency()
    assert 1 <= most <= workers + 4 * share, "those that run, and one idle share of each other function"

    dead = queue(sqs, "spaceport-DeadInvocations")
    until(lambda: messages(sqs, dead), cloud.logs)
    (letter,) = sqs.receive_message(QueueUrl=dead, MessageAttributeNames=["All"])["Messages"]
    assert letter["Body"] == POISON
    assert set(letter["MessageAttributes"]) == {"RequestID", "ErrorCode", "ErrorMessage"}
    until(lambda: messages(sqs, woken) == 0, cloud.logs)
    assert messages(sqs, dead) == 1, "of all events only the poisoned one has no good end"
    assert messages(sqs, queue(sqs, "spaceport-DeadEvents")) == 0

    logs = cloud.embedded.state / "logs"
    lines = [json.loads(line) for line in (logs / "functions.log").read_text().splitlines()]
    inspected = {line["correlation_id"] for line in lines if line.get("message") == "upload inspected"}
    assert len(inspected) == UPLOADS, "by the job's id one reads here what a function did for it"
    assert sum(line.get("level") == "ERROR" and "Traceback" in line.get("message", "") for line in lines) == 3
    assert "try 3 of 3 failed" in (logs / "cloud.log").read_text()
