"""The locks: exact versions with hashes, within the ranges of pyproject.toml, equal everywhere, and without torch."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from template import ROOT, of_type

LOCKS = ROOT / "requirements"
IMAGES = {"sfm": ["sfm"], "train": ["train", "cuda"], "compress": ["compress"]}
EXTRAS = {"dev": ["sfm", "train", "compress", "functions", "local", "dev"], **IMAGES}
TRAIN = (ROOT / "services/train/Dockerfile").read_text()
CARDS = {"g4dn": "7.5", "g5": "8.6", "g6": "8.9", "p5": "9.0"}
"""CUDA's compute capability by family of machines."""
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;]+)", re.MULTILINE)


def test_every_dependency_is_locked_within_its_range(subtests: pytest.Subtests) -> None:
    for lock, extras in EXTRAS.items():
        versions = _versions(LOCKS / f"{lock}.txt")
        for requirement in _declared(extras):
            with subtests.test(lock=lock, requirement=str(requirement)):
                version = versions[canonicalize_name(requirement.name)]
                assert requirement.specifier.contains(version)


def test_groups_are_locked_within_their_ranges() -> None:
    groups: dict[str, list[str]] = _pyproject()["dependency-groups"]
    for lock, group in (("dev", "build"), ("audit", "audit"), ("sam", "sam"), ("checkov", "checkov")):
        for requirement in map(Requirement, groups[group]):
            version = _versions(LOCKS / f"{lock}.txt")[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version)
    assert groups["build"] == _pyproject()["build-system"]["requires"]


def test_what_runs_in_the_cloud_is_what_was_tested() -> None:
    tested = _versions(LOCKS / "dev.txt")
    for path in (*(LOCKS / f"{image}.txt" for image in IMAGES), ROOT / "functions" / "requirements.txt"):
        deployed = _versions(path)
        assert deployed
        assert deployed.items() <= tested.items(), path.name


def test_the_lock_of_the_functions_holds_no_boto3_which_lambda_brings() -> None:
    locked = set(_versions(ROOT / "functions" / "requirements.txt"))
    assert {"aws-lambda-powertools", "pydantic"} <= locked
    assert not {"boto3", "botocore"} & locked


@pytest.mark.parametrize(
    "path", [*LOCKS.glob("*.txt"), ROOT / "functions" / "requirements.txt"], ids=lambda path: path.name
)
def test_a_lock_has_hashes_and_names_no_index_and_no_torch(path: Path) -> None:
    text = path.read_text()
    for entry in re.split(r"\n(?=\w)", text)[1:]:
        assert "--hash=sha256:" in entry, entry
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", text)
    names = set(_versions(path))
    assert not {name for name in names if name in {"torch", "triton"} or name.startswith(("nvidia-", "cuda-"))}


def test_torch_has_one_version() -> None:
    (declared,) = (str(requirement) for requirement in _declared(["train"], torch=True) if requirement.name == "torch")
    assert f"TORCH ?= {declared}\n" in (ROOT / "Makefile").read_text()
    assert f"pip install --no-cache-dir {declared} \\\n" in TRAIN


def test_kernels_are_compiled_by_the_cuda_of_torch_for_every_card_of_the_queue() -> None:
    (of_torch,) = re.findall(r"torch.version.cuda == '(\d+\.\d+)'", TRAIN)
    (toolkit,) = re.findall(r'"cuda-toolkit\[cccl,nvcc\]==([\d.]+)"', TRAIN)
    assert toolkit.startswith(f"{of_torch}.")
    (architectures,) = re.findall(r'^ARG CUDA_ARCHITECTURES="(.+)"$', TRAIN, re.MULTILINE)
    machines = {
        machine.partition(".")[0]
        for name, each in of_type("AWS::Batch::ComputeEnvironment").items()
        if name.startswith("Gpu")
        for machine in each["ComputeResources"]["InstanceTypes"]
    }
    assert machines
    assert {CARDS[machine] for machine in machines} <= set(architectures.split(";"))


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_ends_with_a_real_step_of_its_stage_as_its_user(image: str) -> None:
    text = (ROOT / "services" / image / "Dockerfile").read_text()
    user, smoke = text.index("\nUSER spaceport\n"), text.index(f"python -m services.{image}.smoke")
    assert text.index("COPY services /app/services") < user < smoke
    assert "\nRUN " not in text[text.index("\n", smoke) :]
    assert "USER" not in text[smoke:]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_installs_its_lock_before_the_code(image: str) -> None:
    text = (ROOT / "services" / image / "Dockerfile").read_text()
    assert text.count("pip install --no-cache-dir --require-hashes --no-deps") == 1
    assert text.index(f"COPY requirements/{image}.txt") < text.index("COPY spaceport")
    assert ("torch==" in text) == (image == "train")


def _declared(extras: list[str], torch: bool = False) -> list[Requirement]:
    project = _pyproject()["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [requirement for requirement in map(Requirement, lines) if torch or requirement.name != "torch"]


def _versions(path: Path) -> dict[str, Version]:
    return {canonicalize_name(name): Version(version) for name, version in PINNED.findall(path.read_text())}


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
