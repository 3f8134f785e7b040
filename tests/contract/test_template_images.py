"""The CodeBuild project that builds the images in AWS: only by parameter, from our bucket, into our repositories."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from template import of_type, raw

from services.images import IMAGES, SOURCE_KEY


def project() -> dict[str, Any]:
    return of_type("AWS::CodeBuild::Project")["ImageBuild"]


def script() -> str:
    (command,) = yaml.safe_load(project()["Source"]["BuildSpec"])["phases"]["build"]["commands"]
    return str(command)


def test_nothing_of_it_exists_without_the_parameter() -> None:
    template = raw()
    assert template["Parameters"]["BuildImages"]["Default"] == "false"
    for name in ("ImageBuild", "ImageBuildRole", "ImageLogs"):
        assert template["Resources"][name]["Condition"] == "BuildsImages"
    assert template["Outputs"]["ImageBuild"]["Condition"] == "BuildsImages"


def test_it_reads_what_make_images_sends() -> None:
    assert project()["Source"]["Location"].endswith(f"/{SOURCE_KEY}")
    assert project()["Source"]["Type"] == "S3"


def test_its_role_reads_one_object_and_pushes_to_three_repositories() -> None:
    role = of_type("AWS::IAM::Role")["ImageBuildRole"]
    statements = [each for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]]
    resources = {str(each["Resource"]) for each in statements}
    assert any(resource.endswith(SOURCE_KEY) for resource in resources)
    (pushing,) = [each["Resource"] for each in statements if "ecr:PutImage" in each["Action"]]
    assert len(pushing) == len(IMAGES)
    assert all("SourceAccount" in str(each) for each in role["AssumeRolePolicyDocument"]["Statement"])


@pytest.fixture
def calls(tmp_path: Path) -> list[str]:
    """What the script calls, run by bash with stand-ins for docker and aws."""
    log = tmp_path / "calls"
    for name, last in (("docker", '[ "$1" != login ] || cat > /dev/null'), ("aws", "echo secret")):  # as login reads it
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\n{last}\n')
        path.chmod(0o755)
    variables = {each["Name"]: str(each["Value"]) for each in project()["Environment"]["EnvironmentVariables"]}
    assert set(re.findall(r"\$\{?([A-Z_]+)", script())) <= set(variables)
    variables |= {f"{image.upper()}_REPOSITORY": f"1.dkr.ecr.x/{image}" for image in IMAGES}
    variables["IMAGE_TAG"] = "v7"
    subprocess.run(["bash", "-c", script()], check=True, env=variables | {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    return log.read_text().splitlines()


def test_its_script_builds_and_pushes_all_three(calls: list[str]) -> None:
    pushed = [call for call in calls if call.startswith("docker push")]
    assert {f"docker push --quiet 1.dkr.ecr.x/{image}:v7" for image in IMAGES} <= set(pushed)
    builds = [call for call in calls if call.startswith("docker build")]
    assert all("--platform linux/amd64" in call and call.endswith(" .") for call in builds)
    assert not any("secret" in call for call in calls)


def test_kernels_that_were_compiled_are_taken_over(calls: list[str]) -> None:
    kernels, image = [call for call in calls if "services/train/Dockerfile" in call]
    assert "--target kernels" in kernels
    assert "--tag 1.dkr.ecr.x/train:kernels" in kernels
    assert "--cache-from 1.dkr.ecr.x/train:kernels" in image
    assert "BUILDKIT_INLINE_CACHE=1" in kernels
