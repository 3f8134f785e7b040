"""Images built and containers run by buildah, as root and without a registry, a daemon or namespaces.

No registry is asked: the base that the Dockerfiles name is made from Debian's packages, which are also the base of the
one that Docker Hub has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from template import ROOT

BASE: Final = re.findall(r"^FROM \$\{REGISTRY\}(\S+)", (ROOT / "services/sfm/Dockerfile").read_text(), re.MULTILINE)[0]
PACKAGES: Final = "python3.11,python3.11-venv,python3.11-dev,python3-distutils,ca-certificates"
"""Debian's, of which the made base has what the official one has: Python with its headers, and certificates."""
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
STORE: Final = Path(os.environ.get("SPACEPORT_IMAGES", "/var/tmp/spaceport-images"))
"""Images and their layers, kept for the next run: torch alone has gigabytes. It may be deleted at any time."""


def missing() -> str | None:
    """Why images cannot be built here, as a phrase; None when they can."""
    if os.geteuid() != 0:
        return "only root builds images without a container engine"
    lacking = [program for program in ("buildah", "debootstrap") if not shutil.which(program)]
    if lacking:
        return f"there is no {' and no '.join(lacking)}: apt-get install buildah debootstrap"
    return None


@dataclass
class Engine:
    """buildah with a store of its own. `seconds` of each thing that was done, for the report."""

    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, *arguments: str) -> str:
        """Run buildah. Returns what it printed. Raises `AssertionError` with its last lines when it fails."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout.strip()

    @staticmethod
    def command(*arguments: str) -> list[str]:
        store = ["--root", str(STORE / "layers"), "--runroot", str(STORE / "run")]
        return ["buildah", *store, "--storage-driver", "overlay", *arguments]

    def make_base(self) -> None:
        """The image under the name of the one in the Dockerfiles, unless the store has it."""
        if BASE in self.run("images", "--format", "{{.Name}}:{{.Tag}}").replace("docker.io/library/", ""):
            return
        begin = time.monotonic()
        root = STORE / "base"
        shutil.rmtree(root, ignore_errors=True)
        STORE.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3.11")
        shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))  # this machine's, perhaps with a proxy's
        container = self.run("from", "scratch")
        self.run("copy", "--quiet", container, str(root), "/")
        path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.run("config", "--env", f"PIP_CERT={CERTIFICATES}", "--env", f"PATH={path}", container)
        self.run("commit", "--quiet", "--rm", container, f"docker.io/library/{BASE}")
        shutil.rmtree(root)
        self.seconds["base"] = time.monotonic() - begin

    def build(self, image: str, **build_arguments: str) -> None:
        """Build one of ours, with what earlier builds left."""
        begin = time.monotonic()
        pairs = [each for name, value in build_arguments.items() for each in ("--build-arg", f"{name}={value}")]
        self.run(
            *("bud", "--layers", "--isolation", "chroot", "--network", "host", "--pull-never", *pairs),
            *("--file", f"services/{image}/Dockerfile", "--tag", f"spaceport-{image}", "."),
        )
        self.seconds[f"build {image}"] = time.monotonic() - begin

    def megabytes(self, image: str) -> int:
        """Of all layers, unpacked."""
        size = self.run("images", "--format", "{{.Size}}", f"spaceport-{image}")
        number, unit = size.split()
        return round(float(number) * {"MB": 1, "GB": 1000}[unit])

    def container(self, image: str) -> str:
        """A new one, of which `remove` must dispose."""
        return self.run("from", "--pull-never", f"localhost/spaceport-{image}")

    def remove(self, container: str) -> None:
        self.run("rm", container)
