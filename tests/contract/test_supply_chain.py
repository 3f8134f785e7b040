"""What we build on: known vulnerabilities, bills of materials, images by digest. Others' services are stand-ins."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from http_servers import serving
from template import ROOT, raw

from requirements import checks
from requirements.audit import Exemption, Finding, read_exemptions, unanswered
from requirements.bases import FROM, pin
from requirements.checks import differences

TOOLS = ROOT / ".venv/audit/bin/python"
DOCKERFILES = sorted(ROOT.glob("services/*/Dockerfile"))
DIGEST = "sha256:" + "5f" * 32
needs_tools = pytest.mark.skipif(not TOOLS.exists(), reason="`make check` installs pip-audit and CycloneDX's library")

FINDING = Finding("pillow", "12.3.0", ("GHSA-0000-0000-0001", "CVE-2026-1"), "13.0")
TODAY = date(2026, 11, 27)
TOMORROW = date(2026, 11, 28)


@pytest.mark.parametrize(
    ("exemptions", "line"),
    [
        ([], "pillow 12.3.0: GHSA-0000-0000-0001 CVE-2026-1, fixed in 13.0"),
        ([Exemption("CVE-2026-1", "pillow", "no TGA", TOMORROW)], None),
        ([Exemption("CVE-2026-1", "pillow", "no TGA", TODAY)], "ended on 2026-11-27: no TGA"),
        ([Exemption("CVE-2026-2", "pillow", "no TGA", TOMORROW)], "pillow 12.3.0"),
        ([Exemption("CVE-2026-1", "numpy", "no TGA", TOMORROW)], "numpy: CVE-2026-1 is not reported any more"),
    ],
)
def test_a_vulnerability_passes_only_with_a_reason_and_for_a_time(
    exemptions: list[Exemption], line: str | None
) -> None:
    lines = unanswered([FINDING], exemptions, TODAY)
    assert bool(lines) == bool(line)
    assert any((line or "") in each for each in lines) or not line


@pytest.mark.parametrize("changed", ['reason = ""', 'until = "soon"', "until = 2026-11-27T10:00:00", "why = 1"])
def test_an_exception_without_reason_or_day_is_none(tmp_path: Path, changed: str) -> None:
    entry = {"id": '"CVE-2026-1"', "package": '"pillow"', "reason": '"no TGA"', "until": "2026-11-28"}
    name, value = changed.split(" = ")
    path = tmp_path / "audit.toml"
    path.write_text("[[exception]]\n" + "".join(f"{each} = {text}\n" for each, text in (entry | {name: value}).items()))
    with pytest.raises((ValueError, TypeError)):
        read_exemptions(path)


def test_our_own_exceptions_are_complete() -> None:
    read_exemptions(ROOT / "requirements/audit.toml")


@pytest.mark.parametrize(
    ("failed", "line"),
    [
        ([("CKV_AWS_73", "Api")], None),
        ([("CKV_AWS_73", "Api"), ("CKV_AWS_73", "Other")], "Other fails CKV_AWS_73"),
        ([("CKV_AWS_73", "Api"), ("CKV_AWS_19", "Api")], "Api fails CKV_AWS_19"),
        ([], "Api passes CKV_AWS_73 now"),
    ],
)
def test_a_check_of_the_template_fails_only_with_a_reason_and_an_entry_only_while_it_does(
    failed: list[tuple[str, str]], line: str | None
) -> None:
    lines = list(differences(failed, [checks.Exemption("CKV_AWS_73", ("Api",), "no tracing")]))
    assert (len(lines) == 1 and line in lines[0]) if line else not lines


def test_the_checks_that_may_fail_have_reasons_and_resources_of_the_template() -> None:
    for each in checks.read_exemptions():
        assert set(each.resources) <= set(raw()["Resources"])
        assert all((ROOT / path).exists() for path in re.findall(r"docs/[\w./-]+\.md", each.reason))
    assert "requirements/checks.py $(CHECKOV)" in (ROOT / "Makefile").read_text()


class Service(BaseHTTPRequestHandler):
    """OSV with one vulnerability, and Docker Hub with one digest."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.queries.append((query["package"]["name"], query["version"]))  # type: ignore[attr-defined]
        fixed = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}
        affected = [{"package": {"name": "pillow", "ecosystem": "PyPI"}, "ranges": [fixed]}]
        known = {"id": "GHSA-0000-0000-0001", "aliases": ["CVE-2026-1"], "details": "", "affected": affected}
        self._send({"vulns": [known]} if query["package"]["name"] == "pillow" else {})

    def do_GET(self) -> None:
        self._send({"token": "secret"})

    def do_HEAD(self) -> None:
        self.server.queries.append((self.path, self.headers["Authorization"]))  # type: ignore[attr-defined]
        self._send({}, {"Docker-Content-Digest": DIGEST} if "gone" not in self.path else {})

    def _send(self, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        for name, value in ({"Content-Length": str(len(data))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data if self.command != "HEAD" else b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@contextmanager
def serving_queries() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    with serving(Service) as (server, address):
        server.queries = []  # type: ignore[attr-defined]
        yield address, server.queries  # type: ignore[attr-defined]


def run(python: Path | str, script: str, *arguments: Path | str, **more: str) -> tuple[int, str]:
    command = [str(python), str(ROOT / "requirements" / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | more)
    return done.returncode, done.stdout + done.stderr


@needs_tools
def test_everything_that_is_locked_is_looked_up_and_torch_too() -> None:
    with serving_queries() as (url, queries):
        code, output = run(TOOLS, "audit.py", "--osv-url", f"{url}/v1/query")
    assert (code, output.count("GHSA-0000-0000-0001")) == (1, 1)
    looked_up = Counter(queries)
    for lock in [*ROOT.glob("requirements/*.txt"), ROOT / "functions/requirements.txt"]:
        pins = re.findall(r"^([\w.-]+)==([^ ;\\]+)", lock.read_text(), re.MULTILINE)
        assert set(pins) <= set(looked_up), lock
    assert "torch" in {name for name, _ in looked_up}
    assert len(looked_up) > 150


def test_without_a_network_the_check_says_so_and_passes() -> None:
    nowhere = ("--osv-url", "http://127.0.0.1:9/")
    code, output = run(sys.executable, "audit.py", "--optional", *nowhere)
    assert (code, output.count("\n")) == (0, 1)
    assert output.startswith("audit: skipped")
    assert run(sys.executable, "audit.py", *nowhere)[0] == 2
    assert "audit.py --optional\n" in (ROOT / "Makefile").read_text()


PROGRAMS = {
    "dpkg-query": """import sys
show, form = sys.argv[1:]
fields = {"Package": "libc6", "Version": "1:2.36-9+deb12u1", "Architecture": "amd64"}
for name, value in fields.items():
    form = form.replace("${%s}" % name, value)
print(form.removeprefix("--showformat=").replace("\\\\t", "\\t").replace("\\\\n", "\\n"), end="")
""",
    "pip": """print("numpy==1.0\\ntorch==2.13.0+cu126")
""",
}
"""Of Debian, and of the image's environment."""


@needs_tools
def test_a_bill_of_materials_lists_all_that_is_installed(tmp_path: Path, subtests: pytest.Subtests) -> None:
    code, output = run(TOOLS, "sbom.py", tmp_path / "sbom", "--inventory", f"train={_inventory(tmp_path)}")
    assert code == 0, output
    bills = {path.name.split(".")[0]: json.loads(path.read_text()) for path in (tmp_path / "sbom").iterdir()}
    assert set(bills) == {"sfm", "train", "compress", "functions"}
    for part in set(bills) - {"train"}:
        with subtests.test(part=part):
            lock = ROOT / ("functions/requirements.txt" if part == "functions" else f"requirements/{part}.txt")
            _check_against(lock.read_text(), bills[part]["components"])
            assert bills[part]["metadata"]["component"]["name"] == f"spaceport-{part}"
    assert {each["purl"] for each in bills["train"]["components"]} == {
        "pkg:deb/debian/libc6@1:2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12",
        "pkg:pypi/numpy@1.0",
        "pkg:pypi/torch@2.13.0%2Bcu126",
    }


def _check_against(lock: str, components: list[dict[str, Any]]) -> None:
    listed = {each["name"]: each["version"] for each in components}
    assert dict(re.findall(r"^([\w.-]+)==([^ ;\\]+) \\$", lock, re.MULTILINE)).items() <= listed.items()
    for each in components:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
        (archive,) = each["externalReferences"]
        assert archive["hashes"]
        assert all(digest["content"] in lock for digest in archive["hashes"])


def _inventory(folder: Path) -> Path:
    """What the step of the Dockerfiles writes, run here."""
    step = re.compile(r"^RUN (\. /etc/os-release(?:.*\\\n)+.*)$", re.MULTILINE)
    (script,) = {step.findall(file.read_text())[0] for file in DOCKERFILES}
    for program, text in PROGRAMS.items():
        (folder / program).write_text(f"#!{sys.executable}\n{text}")
        (folder / program).chmod(0o755)
    for path in ("/usr/share/spaceport", "/etc/os-release"):
        script = script.replace(path, str(folder / Path(path).name))
    (folder / "os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    subprocess.run(["sh", "-ec", script], check=True, env={"PATH": f"{folder}:{os.environ['PATH']}"})
    return folder / "spaceport/packages.txt"


def test_base_images_are_pinned_where_their_registry_can_be_reached(tmp_path: Path) -> None:
    copy = tmp_path / "Dockerfile"
    copy.write_text(
        "# a\nFROM ${REGISTRY}python:3.11-slim AS dependencies\nRUN x\nFROM dependencies\n"
        "FROM nvidia/cuda:12.6.3-devel@sha256:" + "0" * 64 + "\n"
    )
    with serving_queries() as (url, queries):
        code, output = run(sys.executable, "bases.py", copy, "--registry", url, "--tokens", f"{url}/token?service=x")
    assert code == 0, output
    assert copy.read_text() == (
        f"# a\nFROM ${{REGISTRY}}python:3.11-slim@{DIGEST} AS dependencies\nRUN x\nFROM dependencies\n"
        f"FROM nvidia/cuda:12.6.3-devel@{DIGEST}\n"
    )
    assert sorted(queries) == [
        ("/v2/library/python/manifests/3.11-slim", "Bearer secret"),
        ("/v2/nvidia/cuda/manifests/12.6.3-devel", "Bearer secret"),
    ]


@pytest.mark.parametrize("tag", ["3.11", "gone"])
def test_a_digest_that_nobody_says_is_not_made_up(tmp_path: Path, tag: str) -> None:
    copy = tmp_path / "Dockerfile"
    copy.write_text(f"FROM python:3.11\nFROM python:{tag}\n")
    before = copy.read_text()
    with serving_queries() as (url, _):
        registry = url if tag == "gone" else "http://127.0.0.1:9"
        code, output = run(sys.executable, "bases.py", copy, "--registry", registry, "--tokens", f"{url}/token")
    assert (code, copy.read_text()) == (1, before), output


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_a_base_image_has_a_tag_and_no_digest_but_a_whole_one(path: Path) -> None:
    text = path.read_text()
    stages = re.findall(r"^FROM .* AS (\w+)$", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line.startswith("FROM ") and line.split()[1] not in stages]
    assert [match[0] for match in FROM.finditer(text)] == lines != []
    assert all(match["tag"] != "latest" for match in FROM.finditer(text))
    assert {(match["mirror"], match["name"]) for match in FROM.finditer(text)} == {("${REGISTRY}", "python")}
    images = {(match["name"], match["tag"]): DIGEST for match in FROM.finditer(text)}
    assert pin(text, images).count(f"@{DIGEST}") == len(lines)


@pytest.mark.parametrize("image", ["SfmImage", "TrainImage", "CompressImage"])
def test_a_stack_takes_an_image_by_digest(image: str) -> None:
    pattern = raw()["Parameters"][image]["AllowedPattern"]
    repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sfm"
    for good in ("", f"{repository}@{DIGEST}", f"{repository}:v0.2.0", "localhost:5000/sfm:latest"):
        assert re.fullmatch(pattern, good), good
    for bad in (repository, f"{repository}@sha256:5f", f"{repository}@{DIGEST[7:]}", f"a b@{DIGEST}"):
        assert not re.fullmatch(pattern, bad), bad
