"""Work that a service does for the command line: a child process that tells how far it is, one JSON object a line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class ChildFailed(Exception):
    """The work was not done. `str` is a sentence for people."""


def run_child(module: str, arguments: list[str], console: Console) -> dict[str, Any]:
    """Run `python -m module` behind a progress bar and return its result. Ctrl-C ends the child too.

    Raises:
        ChildFailed: it said why it could not, or ended without a word.
    """
    command = [sys.executable, "-m", module, *arguments]
    with _bar(console) as bar, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        task = bar.add_task("Starting", total=1.0)
        last: dict[str, Any] = {}
        try:
            for line in child.stdout or ():
                last = json.loads(line)
                if "fraction" in last:
                    bar.update(task, completed=last["fraction"], description=last["message"])
        except BaseException:
            child.terminate()
            raise
    if "error" in last:
        raise ChildFailed(last["error"])
    if child.returncode == -signal.SIGKILL:
        raise ChildFailed("The work was killed, most likely because this machine has too little memory for it.")
    if "result" not in last:
        raise ChildFailed(f"The work ended with exit code {child.returncode} before it was done.")
    result: dict[str, Any] = last["result"]
    return result


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=28), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
