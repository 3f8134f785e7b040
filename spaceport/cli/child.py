"""Work that a service does for the command line: child processes that tell how far they are, one JSON object a line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Tell = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what happens now."""


class ChildFailed(Exception):
    """The work was not done. `str` is a sentence for people."""


class Children:
    """Runs `python -m module` for any number of threads, until one of them ends it all."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self.over = False

    def run(self, module: str, arguments: list[str], tell: Tell) -> dict[str, Any]:
        """Return the child's result.

        Raises:
            ChildFailed: it said why there is none, ended without a word, or was not to begin any more.
        """
        with self._lock:
            if self.over:
                raise ChildFailed("It was stopped before it began.")
            child = _start([sys.executable, "-m", module, *arguments])
            self._running.add(child)
        try:
            with child:
                last = _follow(child, tell)
        finally:
            with self._lock:
                self._running.discard(child)
        return _result(last, child.returncode)

    def end(self) -> None:
        """End those that run, and begin no more. They clear away what they made so far."""
        with self._lock:
            self.over = True
            for child in self._running:
                child.terminate()


def run_child(module: str, arguments: list[str], console: Console) -> dict[str, Any]:
    """Run `python -m module` behind a progress bar and return its result. Ctrl-C ends the child too.

    Raises:
        ChildFailed: it said why it could not, or ended without a word.
    """
    with _bar(console) as bar:
        task = bar.add_task("Starting", total=1.0)
        return Children().run(module, arguments, lambda part, now: bar.update(task, completed=part, description=now))


def _start(command: list[str]) -> subprocess.Popen[str]:
    """In a process group of its own: Ctrl-C reaches it through us alone, not twice while it clears up."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, text=True, process_group=0)  # noqa: S603


def _follow(child: subprocess.Popen[str], tell: Tell) -> dict[str, Any]:
    """The last thing that a child told."""
    last: dict[str, Any] = {}
    try:
        for line in child.stdout or ():
            last = json.loads(line)
            if "fraction" in last:
                tell(last["fraction"], last["message"])
    except BaseException:
        child.terminate()
        raise
    return last


def _result(last: dict[str, Any], exit_code: int) -> dict[str, Any]:
    if "error" in last:
        raise ChildFailed(last["error"])
    if exit_code == -signal.SIGKILL:
        raise ChildFailed("The work was killed, most likely because this machine has too little memory for it.")
    if "result" not in last:
        raise ChildFailed(f"The work ended with exit code {exit_code} before it was done.")
    result: dict[str, Any] = last["result"]
    return result


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=28), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
