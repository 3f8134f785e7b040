"""Looks up known vulnerabilities of everything that the locks pin, and of torch: `make audit`, part of `make check`.

Runs in the environment of requirements/audit.txt, and takes pip-audit's word, by default from PyPI's JSON API. What
audit.toml lets pass must say why and until when.

Exit codes: 0 nothing is known that audit.toml does not answer; 1 something is, or an exception has expired; 2 nobody
could be asked. With --optional that is 0 too, and a line says so: on a train `make check` has to work.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOCKS = ("dev", "sam", "audit", "checkov")
"""All that is installed anywhere: what the images and the functions get is in dev.txt too."""
PYPI = "https://pypi.org/pypi/pip/24.0/json"
"""What pip-audit reads for each package, of one that is there."""
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
REACH_SECONDS = 10
AUDIT_SECONDS = 300


class Unreachable(Exception):
    """Nobody could be asked about vulnerabilities. `str` says why."""


@dataclass(frozen=True)
class Exemption:
    """A known vulnerability that may pass, until a day."""

    id: str
    package: str
    reason: str
    until: date


@dataclass(frozen=True)
class Finding:
    """A known vulnerability of a pinned package."""

    package: str
    version: str
    ids: tuple[str, ...]
    """Its id and other names of the same."""
    fixed_in: str

    def __str__(self) -> str:
        remedy = f"fixed in {self.fixed_in}: make lock UPGRADE=--upgrade" if self.fixed_in else "no version fixes it"
        return f"{self.package} {self.version}: {' '.join(self.ids)}, {remedy}"


def main() -> int:
    """Audit. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optional", action="store_true", help="without a network, say so and succeed")
    parser.add_argument("--osv-url", help="ask this OSV API, or a mirror of it, instead of PyPI")
    parser.add_argument("--exceptions", type=Path, default=HERE / "audit.toml")
    arguments = parser.parse_args()
    exemptions = read_exemptions(arguments.exceptions)
    try:
        findings = sorted(set(audit(arguments.osv_url)), key=str)
    except Unreachable as error:
        print(f"audit: skipped, so nothing is known about vulnerabilities: {error}")
        return 0 if arguments.optional else 2
    open_ = unanswered(findings, exemptions, datetime.now(UTC).date())
    for line in open_:
        print(f"audit: {line}")
    print(f"audit: {len(findings)} known vulnerabilities, {len(open_)} lines to see to")
    return 1 if open_ else 0


def read_exemptions(path: Path) -> list[Exemption]:
    """Raises `TypeError` or `ValueError` for an entry without an id, a package, a reason or a date."""
    exemptions = [Exemption(**entry) for entry in tomllib.loads(path.read_text()).get("exception", [])]
    for each in exemptions:
        if not each.reason.strip() or type(each.until) is not date:
            raise ValueError(f"{path}: {each.id} needs a reason, and a day in `until`")
    return exemptions


def unanswered(findings: list[Finding], exemptions: list[Exemption], today: date) -> list[str]:
    """A line for each finding that nothing exempts, and for each exemption that has expired or exempts nothing."""
    lines = [str(finding) for finding in findings if not any(_exempts(each, finding) for each in exemptions)]
    for each in exemptions:
        if not any(_exempts(each, finding) for finding in findings):
            lines.append(f"{each.package}: {each.id} is not reported any more: take it out of audit.toml")
        elif each.until <= today:
            lines.append(f"{each.package}: the exception for {each.id} ended on {each.until}: {each.reason}")
    return lines


def _exempts(exemption: Exemption, finding: Finding) -> bool:
    return exemption.id in finding.ids and exemption.package == finding.package


def audit(osv_url: str | None) -> Iterator[Finding]:
    """What is known about the packages of all locks. Raises `Unreachable`."""
    _check_reachable(osv_url)
    for pins in _pins():
        for package in _pip_audit(pins, osv_url)["dependencies"]:
            if "skip_reason" in package:
                print(f"audit: not looked up: {package['skip_reason']}")
            for known in package.get("vulns", []):
                ids = (known["id"], *known.get("aliases", []))
                yield Finding(package["name"], package["version"], ids, " or ".join(known["fix_versions"]))


def _pins() -> list[dict[str, str]]:
    """Package to version, in several parts because two locks may have two versions of one.

    Markers are left out: what another system installs is looked up too.
    """
    text = "\n".join((HERE / f"{lock}.txt").read_text() for lock in LOCKS)
    train = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]["train"]
    pins = {*PINNED.findall(text), *(tuple(line.split("==")) for line in train if line.startswith("torch=="))}
    parts: list[dict[str, str]] = []
    for name, version in sorted(pins):
        part = next((part for part in parts if name not in part), None)
        if part is None:
            part = {}
            parts.append(part)
        part[name] = version
    return parts


def _check_reachable(osv_url: str | None) -> None:
    """Fail within seconds where there is no network, or only a mirror without advisories."""
    query = json.dumps({"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "24.0"}).encode()
    request = urllib.request.Request(osv_url or PYPI, query if osv_url else None)  # noqa: S310  who runs us names it
    try:
        urllib.request.urlopen(request, timeout=REACH_SECONDS).close()  # noqa: S310
    except (OSError, ValueError) as error:
        raise Unreachable(f"{request.full_url} says {error}") from error


def _pip_audit(pins: dict[str, str], osv_url: str | None) -> Any:
    """pip-audit's JSON about packages of exact versions."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    command += ["--format", "json", "--desc", "off", "--aliases", "on", "--requirement", "/dev/stdin"]
    command += ["--vulnerability-service", "osv", "--osv-url", osv_url] if osv_url else []
    lines = "".join(f"{name}=={version}\n" for name, version in pins.items())
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=AUDIT_SECONDS, check=False)  # noqa: S603
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"pip-audit failed: {done.stderr[-2000:]}") from None


if __name__ == "__main__":
    sys.exit(main())
