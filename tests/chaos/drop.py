"""Drops inputs into the cloud as their senders would: again and again, until the cloud acknowledges."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from botocore.config import Config
from inputs import Call, Garbage, Input, Upload
from ledger import Ledger
from test_cloud_api import Api
from watch import UNREACHABLE
from world import World

TRIES = 400
PAUSE_SECONDS = 0.5
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=60)
"""Somebody who sends an upload twice has uploaded twice; so we look first, and boto3 must not."""
NOT_THERE_YET = frozenset({403, 404, 429})
"""What a gateway says that is just being deployed, or is busy."""


class Dropper(threading.Thread):
    """Drops all inputs, evenly over some seconds."""

    def __init__(self, world: World, ledger: Ledger, inputs: list[Input], seconds: float) -> None:
        super().__init__(name="dropper", daemon=True)
        self._world = world
        self._ledger = ledger
        self._inputs = inputs
        self._seconds = seconds
        self._clients: Clients | None = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        begin = time.monotonic()
        try:
            for number, item in enumerate(self._inputs):
                time.sleep(max(0.0, begin + self._seconds * number / len(self._inputs) - time.monotonic()))
                self._until_acknowledged(self._sender(item))
                self._ledger.dropped_in(item)
        except BaseException as error:
            self.failure = error
            raise

    def _sender(self, item: Input) -> Callable[[Clients], bool]:
        match item:
            case Upload():
                return lambda clients: clients.put(clients.uploads, item.key, item.body, item.metadata)
            case Garbage():
                return lambda clients: clients.put(clients.bucket, item.key, item.body, {})
            case Call():
                return lambda clients: self._is_answered(clients, item.body)

    def _until_acknowledged(self, send: Callable[[Clients], bool]) -> None:
        for _ in range(TRIES):
            try:
                if send(self._clients_of_life()):
                    return
            except UNREACHABLE:
                pass
            time.sleep(PAUSE_SECONDS)
        raise TimeoutError("an input is not acknowledged")

    def _clients_of_life(self) -> Clients:
        life = self._world.life.number
        if self._clients is None or self._clients.life != life:
            deployment = self._world.deployment
            self._clients = Clients(self._world, life, deployment.uploads.name, deployment.bucket.name)
        return self._clients

    def _is_answered(self, clients: Clients, body: bytes) -> bool:
        """Send a call that must be refused with a 400. False when the cloud was not there to refuse it."""
        status, text = clients.start_job(body)
        if status >= 500 or status in NOT_THERE_YET:
            return False
        if status != 400:
            self._ledger.is_wrong(f"{status} for a call with {body[:80]!r}: {text!r}")
        return True


@dataclass
class Clients:
    """Clients of one life of the cloud."""

    world: World
    life: int
    uploads: str
    bucket: str

    @cached_property
    def _s3(self) -> Any:
        access = self.world.access
        return access.session.client("s3", endpoint_url=access.endpoint, config=ONCE)

    @cached_property
    def _api(self) -> Api:
        running: Any = SimpleNamespace(embedded=SimpleNamespace(access=self.world.access))
        return Api(running)

    def put(self, bucket: str, key: str, body: bytes, metadata: dict[str, str]) -> bool:
        """Put an object, unless an earlier try has: only its acknowledgement may have been lost."""
        listed = self._s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
        if all(item["Key"] != key for item in listed):
            self._s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata)
        return True

    def start_job(self, body: bytes) -> tuple[int, bytes]:
        """The status and the beginning of the answer."""
        request = urllib.request.Request(self._api.url + "/start-job", body, self._api.headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, response.read(1000)
        except urllib.error.HTTPError as error:
            return error.code, error.read(1000)
