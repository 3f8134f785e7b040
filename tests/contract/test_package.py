"""What a function's package holds: functions/, spaceport/pipeline/ and requirements.txt must be all that it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from template import ROOT

APPS = [f"functions.{name}.app" for name in ("intake", "tracker", "notify", "sweeper", "api")]
HEAVY = {"torch", "numba", "pycolmap", "numpy", "PIL", "faiss", "rich", "typer", "samtranslator", "ministack", "yaml"}
# requirements.txt and what those need; boto3 and what it needs lie in Lambda's runtime.
SHIPPED = {"aws_lambda_powertools", "jmespath", "pydantic", "pydantic_core", "annotated_types", "typing_extensions"}
SHIPPED |= {"typing_inspection", "functions", "spaceport"}
RUNTIME = {"boto3", "botocore", "s3transfer", "dateutil", "six", "urllib3"}
IF_THERE = {"certifi", "backports"}  # botocore takes the one, urllib3 the other's zstd; both go without
PROBE = """
import json, os, sys
before = set(sys.modules)
os.environ |= {"AWS_DEFAULT_REGION": "us-east-1"}
import importlib
importlib.import_module(sys.argv[1])
files = {n: getattr(m, "__file__", None) or "" for n, m in sys.modules.items() if n not in before}
print(json.dumps(files))
"""


@pytest.mark.parametrize("app", APPS)
def test_importing_a_function_takes_only_what_is_shipped(app: str) -> None:
    process = subprocess.run([sys.executable, "-c", PROBE, app], capture_output=True, text=True, check=True, cwd=ROOT)
    files: dict[str, str] = json.loads(process.stdout)
    installed = {name.split(".")[0] for name, file in files.items() if "site-packages" in file}
    assert not HEAVY & {name.split(".")[0] for name in files}
    assert installed <= SHIPPED | RUNTIME | IF_THERE
    ours = {name for name in files if name.startswith("spaceport.")}
    assert all(name.startswith("spaceport.pipeline") for name in ours)


def test_a_built_package_is_small_and_whole() -> None:
    built = ROOT / ".aws-sam" / "build"
    if not built.is_dir():
        pytest.skip("nothing built: run `make sam`")
    for folder in (path for path in built.iterdir() if path.is_dir()):
        tops = {path.name for path in folder.iterdir()}
        assert {"functions", "spaceport", "pydantic", "aws_lambda_powertools"} <= tops
        assert not HEAVY & tops
        assert {path.name for path in (folder / "spaceport").iterdir()} == {"__init__.py", "pipeline"}
        assert _bytes(folder) < 30 * 2**20


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
