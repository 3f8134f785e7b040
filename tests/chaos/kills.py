"""Kills and stops of random processes of the cloud."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator

from ledger import Ledger
from processes import CLOUD, Process, Role
from watch import UNREACHABLE
from world import World

from spaceport.pipeline.jobs.table import JobTable

WEIGHTS = {Role.UP: 3, Role.AWS: 3, Role.GUARD: 6, Role.FUNCTION: 30, Role.STAGE: 26, Role.CHILD: 26}
MOST_PER_BATCH_JOB = 3
"""A Batch job has five attempts: a storm that took them all would only test that it ends as `machine_lost`."""
LONGEST_STOP = 6.0  # seconds
LIFE_SECONDS = 60.0
"""From when the cloud is up to its next kill: of a cloud that dies at once, with its queues and its mailbox in its
memory, nobody can say whether a mail was sent."""
SENDER = "-NotifyFunction-"
"""In the command of whoever sends mails at the end of jobs."""


class Killer:
    """Chooses a victim by what it is, and counts."""

    def __init__(self, world: World, ledger: Ledger, seed: int) -> None:
        self._world = world
        self._ledger = ledger
        self._random = random.Random(seed)
        self._of_batch_job: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.stopped: Counter[str] = Counter()

    def kill(self) -> bool:
        """SIGKILL for one process. False when there is none that may be killed."""
        victim = self._choose()
        if victim is None:
            return False
        batch_id = victim.batch_id
        ends_cloud = victim.role in CLOUD or (victim.role is Role.GUARD and not batch_id)
        if ends_cloud and time.time() - (self._world.life.up_since or time.time()) < LIFE_SECONDS:
            return False
        if ends_cloud:
            self._world.life.is_killed = True
        if not (self._kill_sender(victim) if SENDER in victim.command else victim.send(signal.SIGKILL)):
            return False
        if batch_id:
            self._of_batch_job[batch_id] += 1
        self.killed[victim.role] += 1
        return True

    def _kill_sender(self, victim: Process) -> bool:
        """SIGKILL, and before it SIGSTOP, so as to read from the table which mails it takes unrecorded with it."""
        if not victim.send(signal.SIGSTOP):
            return False
        try:
            unrecorded = frozenset(unrecorded_mails(self._world.deployment.table))
        except UNREACHABLE:  # then nothing excuses a second mail
            unrecorded = frozenset()
        if not victim.send(signal.SIGKILL):
            return False
        self._ledger.see_sender_killed(time.time(), unrecorded)
        return True

    def stop(self) -> bool:
        """SIGSTOP for one process, and SIGCONT after a few seconds."""
        victim = self._choose()
        if victim is None or not victim.send(signal.SIGSTOP):
            return False
        threading.Timer(self._random.uniform(1.0, LONGEST_STOP), victim.send, (signal.SIGCONT,)).start()
        self.stopped[victim.role] += 1
        return True

    def _choose(self) -> Process | None:
        candidates: dict[Role, list[Process]] = {}
        for process in self._world.processes() if self._world.is_up else []:
            if process.role in WEIGHTS and self._of_batch_job[process.batch_id or "none"] < MOST_PER_BATCH_JOB:
                candidates.setdefault(process.role, []).append(process)
        if not candidates:
            return None
        roles = sorted(candidates)
        (role,) = self._random.choices(roles, [WEIGHTS[each] for each in roles])
        return self._random.choice(candidates[role])


def unrecorded_mails(table: JobTable) -> Iterator[str]:
    """The jobs for whose mail there is a reservation, but no record that it was sent."""
    pages = table.table.meta.client.get_paginator("scan").paginate(
        TableName=table.table.name,
        FilterExpression="begins_with(#record, :mail) AND #status = :reserved",
        ExpressionAttributeNames={"#record": "record", "#status": "status"},
        ExpressionAttributeValues={":mail": "mail#", ":reserved": "INPROGRESS"},
    )
    for page in pages:
        for item in page["Items"]:
            yield str(item["job_id"])
