"""`spaceport up` whose Batch jobs run on machines with wrong clocks: `python tests/chaos/up.py STATE SEED SHIFT`.

It is the daemon and its only user in one process. Each attempt of a job gets a shift of its own. Nothing else of the
product is changed.
"""

from __future__ import annotations

import fcntl
import random
import signal
import sys
from pathlib import Path

from spaceport.local.batch.model import Job
from spaceport.local.batch.runner import Runner
from spaceport.local.daemon import USERS, serve
from spaceport.local.state import prepare

WRONG_CLOCK = Path(__file__).with_name("wrong_clock")


def shift_clocks(seed: int, most: float) -> None:
    """Give a third of all attempts a clock that is slow, and another third one that is fast, by `most` seconds."""
    choose = random.Random(seed).choice
    environment_of = Runner._job_environment

    def job_environment(self: Runner, job: Job, attempt: int, scratch: Path) -> dict[str, str]:
        environment = environment_of(self, job, attempt, scratch)
        path = f"{WRONG_CLOCK}:{environment['PYTHONPATH']}"
        return environment | {"PYTHONPATH": path, "CHAOS_CLOCK_SHIFT": str(choose((-most, 0.0, most)))}

    Runner._job_environment = job_environment  # type: ignore[method-assign]


if __name__ == "__main__":
    state, seed, shift = sys.argv[1:]
    shift_clocks(int(seed), float(shift))
    folder = Path(state).resolve()
    prepare(folder)
    user = (folder / USERS).open("a")
    fcntl.flock(user, fcntl.LOCK_SH)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: user.close())
    serve(folder)
