"""What was dropped, and what was seen of it while the storm went on. Thread-safe."""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from inputs import Garbage, Input, Kind, Upload

_JOB_LINE = re.compile(r"^Job: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Mail:
    """A mail that the embedded SES has taken, in one life of the cloud."""

    life: int
    message_id: str
    job_id: str
    sent_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class SenderKill:
    """A SIGKILL of a process that sends mails."""

    at: float
    """Seconds since the epoch; when the process had been stopped already, and the table been read."""
    unrecorded: frozenset[str]
    """Jobs for whose mail the table then had a reservation, but no record that it was sent."""


class Ledger:
    """All that the judge needs beside the buckets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.uploads: list[Upload] = []
        self.garbage: list[Garbage] = []
        self.dropped: Counter[Kind] = Counter()
        self.etags: defaultdict[str, set[str]] = defaultdict(set)
        """Of each manifest, every one that was ever seen: what is written once has one."""
        self.written_at: dict[str, float] = {}
        """When each manifest was first seen to be written, seconds since the epoch."""
        self.mails: set[Mail] = set()
        self.all_sent_at: dict[int, float] = {}
        """In each life of the cloud, the last time at which no event was left for which a mail was to be sent."""
        self.senders_killed: list[SenderKill] = []
        self.wrong: list[str] = []
        """What was wrong at once, while the storm went on."""

    def dropped_in(self, item: Input) -> None:
        """An input is in the cloud: it was acknowledged."""
        with self._lock:
            self.dropped += item.holds
            if isinstance(item, Upload):
                self.uploads.append(item)
            elif isinstance(item, Garbage):
                self.garbage.append(item)

    def count(self, kind: Kind, number: int = 1) -> None:
        with self._lock:
            self.dropped[kind] += number

    def is_wrong(self, sentence: str) -> None:
        with self._lock:
            self.wrong.append(sentence)

    def see_manifest(self, key: str, etag: str, modified: float) -> None:
        with self._lock:
            self.etags[key].add(etag)
            self.written_at.setdefault(key, modified)

    def see_mails(self, life: int, mails: list[dict[str, Any]]) -> None:
        with self._lock:
            for mail in mails:
                if match := _JOB_LINE.search(mail.get("BodyText") or ""):
                    self.mails.add(Mail(life, str(mail["MessageId"]), match[1], float(mail["Timestamp"])))

    def see_no_mail_waiting(self, life: int, at: float) -> None:
        with self._lock:
            self.all_sent_at[life] = at

    def manifest_keys(self) -> list[str]:
        with self._lock:
            return sorted(self.etags)

    def see_sender_killed(self, at: float, unrecorded: frozenset[str]) -> None:
        with self._lock:
            self.senders_killed.append(SenderKill(at, unrecorded))

    def mails_of(self, job_id: str) -> dict[int, list[float]]:
        """When the mails of a job were sent, in each life of the cloud."""
        times: defaultdict[int, list[float]] = defaultdict(list)
        with self._lock:
            for mail in self.mails:
                if mail.job_id == job_id:
                    times[mail.life].append(mail.sent_at)
        return {life: sorted(sent_at) for life, sent_at in times.items()}
