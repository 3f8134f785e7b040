"""Work that a service does for the command line: child processes that report their progress as JSON lines."""

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

OnProgress = Callable[[float, str], None]
"""Called with the fraction that is done, 0 to 1, and what happens now."""


class ChildFailed(Exception):
    """The work was not done. `str` is a sentence for people."""


class ChildProcesses:
    """Runs `python -m module` for any number of threads, until one of them terminates all."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self.terminated = False

    def run(self, module: str, arguments: list[str], on_progress: OnProgress) -> dict[str, Any]:
        """Return the child's result.

        Raises:
            ChildFailed: the child reported an error, ended without a result, or came after `terminate`.
        """
        with self._lock:
            if self.terminated:
                raise ChildFailed("It was stopped before it began.")
            child = _start([sys.executable, "-m", module, *arguments])
            self._running.add(child)
        try:
            with child:
                last = _follow(child, on_progress)
        finally:
            with self._lock:
                self._running.discard(child)
        return _result(last, child.returncode)

    def terminate(self) -> None:
        """Terminate those that run, and start no more. They remove what they have written so far."""
        with self._lock:
            self.terminated = True
            for child in self._running:
                child.terminate()


def run_child(module: str, arguments: list[str], console: Console) -> dict[str, Any]:
    """Run `python -m module` behind a progress bar and return its result. Ctrl-C ends the child too.

    Raises:
        ChildFailed: the child reported an error, or ended without a result.
    """
    with _progress_bar(console) as bar:
        task = bar.add_task("Starting", total=1.0)

        def on_progress(fraction: float, message: str) -> None:
            bar.update(task, completed=fraction, description=message)

        return ChildProcesses().run(module, arguments, on_progress)


def _start(command: list[str]) -> subprocess.Popen[str]:
    """In a process group of its own, so that Ctrl-C reaches it only through us, not again during its cleanup."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, text=True, process_group=0)  # noqa: S603


def _follow(child: subprocess.Popen[str], on_progress: OnProgress) -> dict[str, Any]:
    """The last object that a child printed."""
    last: dict[str, Any] = {}
    try:
        for line in child.stdout or ():
            last = json.loads(line)
            if "fraction" in last:
                on_progress(last["fraction"], last["message"])
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


def _progress_bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=28), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
