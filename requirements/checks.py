"""Runs checkov over template.yaml, and compares what fails with checks.toml: part of `make sam`.

    python requirements/checks.py .venv/checkov/bin/checkov

Exit codes: 0 exactly what checks.toml lets fail does; 1 something else does, or an entry is no longer needed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
OPTIONS = ("--framework", "cloudformation", "--compact", "--skip-download", "--output", "json")


@dataclass(frozen=True)
class Exemption:
    """A check of checkov that may fail for these resources."""

    check: str
    resources: tuple[str, ...]
    reason: str


def read_exemptions(path: Path = HERE / "checks.toml") -> list[Exemption]:
    """Raises `TypeError` or `ValueError` for an entry that lacks something."""
    exemptions = [Exemption(**entry) for entry in tomllib.loads(path.read_text())["exception"]]
    for each in exemptions:
        if not (each.reason.strip() and each.resources):
            raise ValueError(f"{each.check}: it needs a reason and resources")
    return exemptions


def differences(failed: Iterable[tuple[str, str]], exemptions: Iterable[Exemption]) -> Iterator[str]:
    """A line for each check and resource that fails and may not, or may and does not."""
    actual = set(failed)
    allowed = {(each.check, resource) for each in exemptions for resource in each.resources}
    for check, resource in sorted(actual - allowed):
        yield f"{resource} fails {check}: mend it, or say in requirements/checks.toml why it may"
    for check, resource in sorted(allowed - actual):
        yield f"{resource} passes {check} now: take it out of requirements/checks.toml"


def failed_checks(checkov: str, template: Path) -> Iterator[tuple[str, str]]:
    """Check and logical name of the resource of all that fails."""
    command = [checkov, "--file", str(template), *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  the caller names it
    try:
        results = json.loads(done.stdout)["results"]
    except (ValueError, KeyError, TypeError):
        results = None
    if not results or results["parsing_errors"]:
        raise SystemExit(f"checkov could not read {template}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    for each in results["failed_checks"]:
        yield each["check_id"], each["resource"].rpartition(".")[2]


def main(checkov: str) -> int:
    lines = list(differences(failed_checks(checkov, HERE.parent / "template.yaml"), read_exemptions()))
    print("\n".join(lines) or "checkov: nothing fails but what requirements/checks.toml says why it may")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
