"""Events that come twice, late, in another order, or never."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ledger import Ledger
from processes import process_of
from world import World

from spaceport.local.access import Access

GOLDEN = Path(__file__).parents[2] / "events"
MOST_DELAY = 15  # seconds
HOLD_SECONDS = 2.5
"""For so long nobody takes messages but we: longer than a long poll of the embedded cloud."""
NEVER_DROPPED = ("UploadToIntake", "EndToNotify")
"""Rules whose events nobody makes up for while the cloud runs: AWS keeps them for a day, and tries 185 times."""


class Disturber:
    """Disturbs the events of one cloud, in the ways in which AWS may."""

    def __init__(self, world: World, ledger: Ledger, seed: int) -> None:
        self._world = world
        self._ledger = ledger
        self._random = random.Random(seed)
        self.done: Counter[str] = Counter()

    def disturb(self) -> None:
        """One disturbance. Raises what boto3 raises when the cloud is down."""
        self._random.choices((self._nudge, self._invoke, self._submit, self._hold), (3, 5, 2, 2))[0]()

    def _nudge(self) -> None:
        """A manifest is written once more: all its events come again, now or long after the job has ended."""
        if key := self._any_manifest():
            self._world.deployment.bucket.nudge(key)
            self.done["doubled: manifest written again"] += 1

    def _invoke(self) -> None:
        """A function gets an event that it had already: of a manifest, of an end, of an upload."""
        access = self._world.access
        deployment = self._world.deployment
        name, bucket, key = self._random.choice(
            (
                ("Tracker", deployment.bucket.name, self._any_manifest()),
                ("Notify", deployment.bucket.name, self._any_manifest("/end/")),
                ("Intake", deployment.uploads.name, self._any_upload()),
            )
        )
        if key:
            payload = json.dumps(_object_created(bucket, key)).encode()
            access.client("lambda").invoke(
                FunctionName=_function(access, name), InvocationType="Event", Payload=payload
            )
            self.done[f"doubled: event for {name.lower()}"] += 1

    def _submit(self) -> None:
        """A stage gets the message that woke it once more."""
        folder, rule = self._random.choice(
            (("/request/", "RequestToSfm"), ("/colmap/", "ColmapToTrain"), ("/gaussian/", "GaussianToCompress"))
        )
        key = self._any_manifest(folder)
        urls = [url for url in self._queues() if rule in url]
        if key and urls:
            body = json.dumps({"Parameters": {"bucket": self._world.deployment.bucket.name, "key": key}})
            sqs = self._world.access.client("sqs")
            sqs.send_message(
                QueueUrl=urls[0], MessageBody=body, DelaySeconds=self._random.choice((0, 0, 5, MOST_DELAY))
            )
            self.done["doubled: message for a stage"] += 1

    def _hold(self) -> None:
        """Stop whoever takes messages, and lose, double, delay and reorder those that come meanwhile."""
        up = process_of(self._world.life.process.pid)
        if up is None or not up.send(signal.SIGSTOP):
            raise OSError("the cloud is down")
        try:
            time.sleep(HOLD_SECONDS)
            sqs = self._world.access.client("sqs")
            for url in self._queues():
                response = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
                self._shuffle(sqs, url, response.get("Messages", []))
        finally:
            up.send(signal.SIGCONT)

    def _shuffle(self, sqs: Any, url: str, messages: list[dict[str, Any]]) -> None:
        """Messages that were received, and that nobody else sees meanwhile."""
        self._random.shuffle(messages)
        for message in messages:
            ways = ("dropped", "doubled", "delayed", "reordered")
            what = self._random.choice(ways[any(rule in url for rule in NEVER_DROPPED) :])
            delays = {
                "dropped": (),
                "doubled": (0, 3),
                "delayed": (self._random.randint(3, MOST_DELAY),),
                "reordered": (0,),
            }
            for delay in delays[what]:
                sqs.send_message(QueueUrl=url, MessageBody=message["Body"], DelaySeconds=delay)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            self.done[f"{what}: message in a queue"] += 1

    def _queues(self) -> list[str]:
        urls: list[str] = self._world.access.client("sqs").list_queues().get("QueueUrls", [])
        return [url for url in urls if "Dead" not in url]

    def _any_manifest(self, folder: str = "") -> str | None:
        keys = [key for key in self._ledger.manifest_keys() if folder in key and "/garbage-" not in key]
        return self._random.choice(keys) if keys else None

    def _any_upload(self) -> str | None:
        keys = [upload.key for upload in self._ledger.uploads]
        return self._random.choice(keys) if keys else None


def _function(access: Access, name: str) -> str:
    (function,) = (
        each["FunctionName"]
        for each in access.client("lambda").list_functions()["Functions"]
        if f"-{name}Function" in each["FunctionName"]
    )
    return str(function)


def _object_created(bucket: str, key: str) -> dict[str, Any]:
    """The golden event of an object, with this bucket and key; the embedded cloud's events name no version."""
    event: dict[str, Any] = json.loads((GOLDEN / "upload_put.json").read_text())
    event["detail"]["bucket"]["name"] = bucket
    event["detail"]["object"]["key"] = key
    del event["detail"]["object"]["version-id"]
    return event
