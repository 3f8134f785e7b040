"""A training that kills itself with SIGKILL: `killed_training.py SOURCE OUTPUT OPTIONS ITERATION`.

The kill comes from a thread of its own shortly after that iteration, so it strikes anywhere: in a step, in
the writing of a checkpoint. Checkpoints are written all the time. With ITERATION 0 it is not killed.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from services.train.checkpoint import CheckpointInterval
from services.train.stage import run
from spaceport.pipeline.options import TrainOptions
from spaceport.progress import Count, Silent


class KilledAt(Silent):
    """Progress is reported every tenth iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration
        self.due = threading.Event()
        threading.Thread(target=self._strike, daemon=True).start()

    def _strike(self) -> None:
        self.due.wait()
        time.sleep(random.uniform(0, 0.02))
        os.kill(os.getpid(), signal.SIGKILL)

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        if 0 < self.iteration <= int(counts.get("iteration", 0)):
            self.due.set()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    source, output, options, iteration = sys.argv[1:]
    run(
        Path(source),
        Path(output),
        TrainOptions.model_validate_json(options),
        KilledAt(int(iteration)),
        checkpoint_interval=CheckpointInterval(min_seconds=0.05, max_seconds=0.05, time_share=1.0),
    )
