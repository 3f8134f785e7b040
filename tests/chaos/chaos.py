"""A storm over the embedded cloud, and what is left of its jobs afterwards: `make chaos`.

    SEED=1 CHAOS_SECONDS=600 python tests/chaos/chaos.py

Small surveys and a hostile corpus are dropped while random processes are killed and stopped, events come twice, late,
in another order or never, machines have wrong clocks, and the disk is full now and then. Afterwards everything must
come to its end. Exit code 1 when anything was lost, came twice, is wrong, or outlives the cloud.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from corpus import corpus
from disk import small_disk
from disturb import Disturber
from drop import Dropper
from inputs import Kind
from judge import Verdict, judge, settle
from kills import Killer
from ledger import Ledger
from storm import CLOCK_SHIFT, FULL_SECONDS, Storm
from surveys import shared_survey
from watch import Watcher
from world import World

from spaceport.demo import load_truth

SETTLE_SECONDS = 3600.0
MODELS = Path(__file__).with_name("models.py")


@dataclass
class Outcome:
    """What a storm did, and what was seen afterwards."""

    verdict: Verdict
    world: World
    ledger: Ledger
    watcher: Watcher
    done: dict[str, Counter[str]]
    seconds: tuple[float, float]
    """Of the storm, and until all had ended."""
    exit_code: int | None = None


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whatever ends it, nothing stays
    seed = int(os.environ.get("SEED", "1"))
    seconds = float(os.environ.get("CHAOS_SECONDS", FULL_SECONDS))
    home = Path(tempfile.mkdtemp(prefix="spaceport-chaos-"))
    state = home / "state"
    state.mkdir()
    print(f"Seed {seed}, {seconds:.0f} s. The logs of `up` are in {home}.", flush=True)
    with small_disk(state) as is_small:
        if not is_small:
            print("The disk is not filled: this user may not mount a small one.", flush=True)
        world = World(state, seed, CLOCK_SHIFT)
        try:
            with _models(seed, seconds / FULL_SECONDS) as models:
                outcome = _storm(world, seed, seconds, is_small)
                _count_models(models, outcome.ledger, outcome.verdict)
            outcome.exit_code = world.stop()
        finally:
            world.close()
            _keep_logs(state, home)
    return _report(outcome)


def _storm(world: World, seed: int, seconds: float, is_small: bool) -> Outcome:
    survey = shared_survey(12, 512, 384)
    inputs = corpus(survey.zip_path, seed, seconds / FULL_SECONDS)
    ledger = Ledger()
    world.start()
    with Watcher(world, ledger) as watcher:
        killer, disturber = Killer(world, ledger, seed), Disturber(world, ledger, seed)
        dropper = Dropper(world, ledger, inputs, 0.85 * seconds)
        storm = Storm(world, killer, disturber, seed, seconds, fills=is_small)
        begin = time.monotonic()
        dropper.start()
        storm.run()
        dropper.join()
        stormed = time.monotonic() - begin
        settle(world, ledger, SETTLE_SECONDS)
        watcher.look_at_mails()
        watcher.look_at_manifests()
        seconds_each = (stormed, time.monotonic() - begin - stormed)
        for error in (watcher.failure, dropper.failure):
            if error:
                raise error
        verdict = judge(world, ledger, load_truth(survey.truth_path))
    done: dict[str, Counter[str]] = {
        "killed": killer.killed,
        "stopped for seconds": killer.stopped,
        "events": disturber.done,
        "disk filled": Counter(times=storm.done["fill"]),
    }
    return Outcome(verdict, world, ledger, watcher, done, seconds_each)


@contextmanager
def _models(seed: int, share: float) -> Iterator[subprocess.Popen[str]]:
    """Model files are read in a process beside the cloud."""
    command = [sys.executable, str(MODELS), str(seed), str(share)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _count_models(process: subprocess.Popen[str], ledger: Ledger, verdict: Verdict) -> None:
    lines = process.communicate(timeout=300)[0].splitlines()
    ledger.count(Kind.MODEL, len(lines))
    verdict.wrong += [line for line in lines if line != "ok"]
    if process.returncode:
        verdict.wrong.append(f"the reader of model files ended with {process.returncode}")


def _keep_logs(state: Path, home: Path) -> None:
    """The state folder is gone with its disk; the logs stay."""
    if (state / "logs").is_dir():
        subprocess.run(["cp", "-r", str(state / "logs"), str(home / "logs")], check=False)


def _report(outcome: Outcome) -> int:
    verdict, world = outcome.verdict, outcome.world
    outliving = [each.command for each in outcome.watcher.processes if each.is_alive]
    leaked = world.leaked + outliving
    if outcome.exit_code != 0:
        verdict.wrong.append(f"`up` ended with {outcome.exit_code} after Ctrl-C")
    hostile = outcome.ledger.dropped.total() - outcome.ledger.dropped[Kind.SURVEY]
    dropped = Counter({kind.value: count for kind, count in outcome.ledger.dropped.items()})
    for name, counts in {"dropped": dropped, **outcome.done, "ends": verdict.ends}.items():
        print(f"{name:20} {sum(counts.values()):5}  " + ", ".join(f"{key} {n}" for key, n in sorted(counts.items())))
    fell = [life for life in world.lives[:-1] if not life.is_killed]
    print(f"{'starts of the cloud':20} {len(world.lives):5}  {len(fell)} after it ended though nobody killed it")
    again = f"{verdict.mails_again} again after a kill of the cloud, {len(verdict.unrecorded)} of their sender"
    print(f"{'mails':20} {verdict.mails:5}  {verdict.mails_unknown} unknown, {again}")
    for sentence in verdict.unrecorded:
        print(f"  sent again: {sentence}")
    storm, after = outcome.seconds
    print(f"{'seconds':20} {storm + after:5.0f}  {storm:.0f} of storm, {after:.0f} after it")
    for life in fell:
        print(f"  ended by itself: {life.log.name}: {life.log.read_text(errors='replace').strip()[-300:]}")
    middle = {"lost": verdict.lost, "twice": verdict.twice, "wrong": verdict.wrong, "leaked": leaked}
    for name, sentences in {**middle, "given up": verdict.given_up}.items():
        for sentence in sentences:
            print(f"  {name}: {sentence[:400]}")
    print("\n| jobs | hostile inputs | kills | lost | twice | wrong | leaked | given up | peak memory |")
    print("|---|---|---|---|---|---|---|---|---|")
    figures = [verdict.jobs, hostile, sum(outcome.done["killed"].values()), *map(len, middle.values())]
    cells = [*map(str, figures), str(len(verdict.given_up)), f"{outcome.watcher.peak_bytes / 1e6:,.0f} MB"]
    print(f"| {' | '.join(cells)} |")
    return 1 if any(middle.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
