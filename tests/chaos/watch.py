"""Watches the cloud during the storm: memory, mails, manifests. And starts the cloud again when it has ended."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from ledger import Ledger
from processes import Process, memory_bytes
from world import World

from spaceport.local.access import Access
from spaceport.local.mailbox import mails
from spaceport.pipeline.layout import JOBS, MANIFEST

SWEEP = Path(__file__).with_name("sweep.py")
SILENCE = -900.0
MEMORY_SECONDS = 1.0
TELL_SECONDS = 30.0
MAIL_SECONDS = 2.0
MANIFEST_SECONDS = 10.0
MAIL_RULE = "EndToNotify"
WAITING = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
UNREACHABLE = (OSError, ClientError, BotoCoreError, ValueError)
"""What a call may meet while the cloud is being killed."""


def mails_waiting(access: Access) -> int:
    """How many events of ends are in the queue before the function that sends mails, or with it."""
    sqs = access.client("sqs")
    waiting = 0
    for url in sqs.list_queues().get("QueueUrls", []):
        if MAIL_RULE in url:
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(WAITING))["Attributes"]
            waiting += sum(int(attributes[name]) for name in WAITING)
    return waiting


class Watcher:
    """Two threads: one that keeps the cloud up, and its jobs swept; and one that looks at it."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self._world = world
        self._ledger = ledger
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._keep), threading.Thread(target=self._watch)]
        self._began = time.monotonic()
        self._mails_seen = (-1, 0.0)
        """A life of the cloud, and how many mails it had sent when the mailbox was last read."""
        self.peak_bytes = 0
        self.failure: BaseException | None = None
        self.processes: set[Process] = set()
        """Every one that was ever seen."""

    def __enter__(self) -> Watcher:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def look_at_mails(self) -> None:
        life, access, at = self._world.life.number, self._world.access, time.time()
        waiting = mails_waiting(access)
        sent = access.client("ses").get_send_quota()["SentLast24Hours"]
        if (life, sent) != self._mails_seen:  # the whole mailbox is megabytes
            self._ledger.see_mails(life, mails(access))
            self._mails_seen = (life, sent)
        if not waiting:
            self._ledger.see_no_mail_waiting(life, at)

    def look_at_manifests(self) -> None:
        bucket = self._world.deployment.bucket
        pages = bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=JOBS)
        for page in pages:
            for item in page.get("Contents", []):
                if item["Key"].endswith(f"/{MANIFEST}"):
                    self._ledger.see_manifest(item["Key"], item["ETag"], item["LastModified"].timestamp())

    def _keep(self) -> None:
        sweeper = self._sweeper()
        try:
            while not self._done.wait(0.1):
                if self._world.keep():  # it would wait long for answers of a cloud that is no more
                    sweeper.kill()
                if sweeper.poll() is not None:
                    sweeper = self._sweeper()
        except BaseException as error:
            self.failure = error
            raise
        finally:
            sweeper.kill()
            sweeper.wait()

    def _sweeper(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(SWEEP), str(self._world.state), str(SILENCE)]
        with (self._world.state.parent / "sweeper.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def _watch(self) -> None:
        looks = (self._look_at_memory, self.look_at_mails, self.look_at_manifests, self._tell)
        due = dict.fromkeys(looks, 0.0)
        every = dict(zip(looks, (MEMORY_SECONDS, MAIL_SECONDS, MANIFEST_SECONDS, TELL_SECONDS), strict=True))
        while not self._done.wait(0.2):
            for look, at in due.items():
                if time.monotonic() >= at and self._world.is_up:
                    try:
                        look()
                    except UNREACHABLE:
                        continue
                    due[look] = time.monotonic() + every[look]

    def _tell(self) -> None:
        ledger = self._ledger
        ends = sum("/end/" in key and "/garbage-" not in key for key in ledger.manifest_keys())
        clock = f"{time.monotonic() - self._began:5.0f} s"
        print(f"{clock}: {len(ledger.uploads)} uploads, {ends} ends, start {len(self._world.lives)}", flush=True)

    def _look_at_memory(self) -> None:
        processes = self._world.processes()
        self.processes.update(processes)
        self.peak_bytes = max(self.peak_bytes, memory_bytes(processes))
