"""The storm's timetable: kills in bursts with pauses between them, so that jobs come to their end all the same."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from disk import fill
from disturb import Disturber
from kills import Killer
from watch import UNREACHABLE
from world import World

FULL_SECONDS = 600.0
KILLS = 100
BURST = 5
"""Kills come in fives, one each second or two; then there is peace for twenty seconds."""
STOPS = 16
DISTURBANCES = 110
FILLS = 3
FULL_DISK_SECONDS = 4.0
CLOCK_SHIFT = 600.0
"""Seconds by which machines are wrong. AWS itself refuses who is off by more than fifteen minutes."""
APART_SECONDS = 0.75
"""Between one thing that is done to the cloud and the next."""
LATE_SECONDS = 600.0
"""For so long what is owed is made up for, when the cloud was down for a part of the storm."""


class Storm:
    """Everything that is done to the cloud but for what is dropped into it."""

    def __init__(
        self, world: World, killer: Killer, disturber: Disturber, seed: int, seconds: float, *, fills: bool
    ) -> None:
        self._world = world
        self._seconds = seconds
        self._random = random.Random(seed)
        self._fills = FILLS if fills else 0
        self._actions: dict[str, Callable[[], bool]] = {
            "kill": killer.kill,
            "stop": killer.stop,
            "disturb": lambda: _done(disturber.disturb),
            "fill": self._fill,
        }
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        """Until all is done that the timetable asks for."""
        begin = time.monotonic()
        owed: list[str] = []
        timetable = sorted(self._timetable())
        while timetable or owed:
            now = time.monotonic() - begin
            while timetable and timetable[0][0] <= now:
                owed.append(timetable.pop(0)[1])
            if owed and self._is_done(owed[0]):  # one by one, also when the cloud was down and much is owed
                owed.pop(0)
                time.sleep(APART_SECONDS)
            if now > self._seconds + LATE_SECONDS:
                return
            time.sleep(0.25)

    def _is_done(self, name: str) -> bool:
        try:
            is_done = self._world.is_up and self._actions[name]()
        except UNREACHABLE:  # it was killed meanwhile
            return False
        self.done[name] += is_done
        return is_done

    def _timetable(self) -> Iterator[tuple[float, str]]:
        share = self._seconds / FULL_SECONDS
        bursts = max(1, round(KILLS * share / BURST))
        for burst in range(bursts):
            at = self._seconds * (burst + 0.3) / bursts
            for number in range(BURST):
                yield at + number * self._random.uniform(1.0, 2.0), "kill"
        for name, count in (("stop", STOPS * share), ("disturb", DISTURBANCES * share), ("fill", self._fills)):
            for number in range(max(1, round(count)) if count else 0):
                yield self._seconds * (number + self._random.random()) / count, name

    def _fill(self) -> bool:
        """The disk is full for some seconds."""
        file: Path = fill(self._world.state)
        time.sleep(FULL_DISK_SECONDS)
        file.unlink()
        return True


def _done(action: Callable[[], None]) -> bool:
    action()
    return True
