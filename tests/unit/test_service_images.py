"""`make images`: what an engine is asked to do, where the images go, and the sentences for what is missing."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from services import images
from services.images import IMAGES, SOURCE_KEY, NotBuilt, StackImages, build_in_aws, describe, working_engine

REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
REPOSITORIES = {image: f"{REGISTRY}/{image}repository-x" for image in IMAGES}
STACK = StackImages("spaceport", REPOSITORIES, "v7", "pipeline", None, ())
ENGINE = """#!{python} -IS
import json, os, sys
stdin = sys.stdin.read() if "--password-stdin" in sys.argv else ""
with open({calls!r}, "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], stdin]) + "\\n")
sys.exit(sys.argv[1] in {fails!r})
"""


class Engines:
    """Programs that write down how they were called; `git` is the machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls_file = folder / "calls"

    def add(self, name: str, fails: tuple[str, ...] = ()) -> None:
        path = self.folder / name
        path.write_text(ENGINE.format(python=sys.executable, calls=str(self.calls_file), fails=list(fails)))
        path.chmod(0o755)

    def calls(self) -> list[tuple[str, list[str], str]]:
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [tuple(json.loads(line)) for line in lines]


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engines:
    """A machine on which nothing is installed yet but git."""
    (tmp_path / "git").symlink_to(next(filter(os.path.exists, (f"{each}/git" for each in os.get_exec_path()))))
    monkeypatch.setenv("PATH", str(tmp_path))
    return Engines(tmp_path)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.Session()


def deployed(monkeypatch: pytest.MonkeyPatch, stack: StackImages) -> None:
    monkeypatch.setattr(images, "describe", lambda session, name: stack)


def test_the_three_are_built_for_the_machines_and_pushed_with_the_tag_of_the_stack(
    engines: Engines, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    engines.add("docker")
    deployed(monkeypatch, STACK)
    assert images.main(["--stack", "spaceport"]) == 0
    calls = [(arguments, stdin) for _, arguments, stdin in engines.calls() if arguments[0] != "info"]
    assert [arguments[0] for arguments, _ in calls] == ["build"] * 3 + ["login"] + ["push"] * 3 + ["logout"]
    for image, (build, _), (push, _) in zip(IMAGES, calls[:3], calls[4:7], strict=True):
        name = f"{REPOSITORIES[image]}:v7"
        assert build[build.index("--platform") + 1] == "linux/amd64"
        assert build[build.index("--file") + 1] == f"services/{image}/Dockerfile"
        assert build[build.index("--tag") + 1] == name
        assert push == ["push", name]
    assert calls[3][0] == ["login", "--username", "AWS", "--password-stdin", REGISTRY]
    password = calls[3][1]
    assert password.endswith("auth-token")
    assert password not in str([arguments for arguments, _ in calls])
    assert password not in "".join(capfd.readouterr())


def test_an_image_that_cannot_be_built_ends_it_and_nothing_is_pushed(
    engines: Engines, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engines.add("podman", fails=("build",))
    deployed(monkeypatch, STACK)
    assert images.main(["--stack", "spaceport"]) == 1
    assert "podman could not build the image of sfm" in capsys.readouterr().err
    assert {arguments[0] for _, arguments, _ in engines.calls()} == {"version", "build"}


def test_the_registrys_password_does_not_outlive_a_failed_push(
    engines: Engines, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines.add("docker", fails=("push",))
    deployed(monkeypatch, STACK)
    assert images.main(["--stack", "spaceport", "sfm"]) == 1
    assert engines.calls()[-1][1] == ["logout", REGISTRY]


def test_dockers_command_line_without_its_daemon_is_no_engine(engines: Engines) -> None:
    assert working_engine() is None
    engines.add("docker", fails=("info",))
    assert working_engine() is None
    engines.add("buildah")
    assert working_engine() == "buildah"
    assert images.main(["compress"]) == 0
    name, arguments, _ = engines.calls()[-1]
    assert (name, arguments[0], arguments[-2:]) == ("buildah", "bud", ["spaceport-compress", "."])
    assert "--layers" in arguments, "or a commit fetches torch again"


def test_without_an_engine_the_sentence_says_what_to_do(
    engines: Engines, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(monkeypatch, STACK)
    assert images.main(["--stack", "spaceport"]) == 1
    sentence = capsys.readouterr().err
    assert "docker nor podman nor buildah" in sentence
    assert "BuildImages=true" in sentence
    assert images.main(["--stack", "spaceport", "--in-aws"]) == 1
    assert "BuildImages=true" in capsys.readouterr().err


class OneClient:
    """A session with one client."""

    region_name = "eu-west-1"

    def __init__(self, client: Any) -> None:
        self.client = lambda name: client


def cloudformation(outputs: dict[str, str], parameters: dict[str, str]) -> Any:
    client = boto3.Session().client("cloudformation", region_name="eu-west-1")
    stub = Stubber(client)
    stack = {
        "StackName": "spaceport",
        "CreationTime": "2026-11-27T00:00:00Z",
        "StackStatus": "ROLLBACK_COMPLETE",
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }
    stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "spaceport"})
    stub.activate()
    return OneClient(client)


def test_a_stack_says_where_its_images_go_and_which_it_takes_from_elsewhere() -> None:
    outputs = {f"{image.capitalize()}Repository": REPOSITORIES[image] for image in IMAGES}
    outputs |= {"PipelineBucket": "pipeline", "ImageBuild": "ImageBuild-1"}
    session = cloudformation(outputs, {"ImageTag": "v7", "TrainImage": "elsewhere:1", "SfmImage": ""})
    assert describe(session, "spaceport") == StackImages(
        "spaceport", REPOSITORIES, "v7", "pipeline", "ImageBuild-1", ("TrainImage",)
    )


def test_a_stack_that_was_rolled_back_or_never_was() -> None:
    with pytest.raises(NotBuilt, match="ROLLBACK_COMPLETE"):
        describe(cloudformation({}, {}), "spaceport")
    client = boto3.Session().client("cloudformation", region_name="eu-west-1")
    stub = Stubber(client)
    stub.add_client_error("describe_stacks", "ValidationError", "Stack with id spaceport does not exist", 400)
    stub.activate()
    with pytest.raises(NotBuilt, match="no stack `spaceport` in eu-west-1"):
        describe(OneClient(client), "spaceport")  # type: ignore[arg-type]


def test_without_credentials_there_is_a_sentence(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(engines.folder))
    assert images.main(["--stack", "spaceport"]) == 1
    assert "region" in capsys.readouterr().err


def test_without_an_engine_the_stacks_project_builds_what_is_committed(
    engines: Engines, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_is_changed", lambda: False)
    aws.client("s3").create_bucket(Bucket="pipeline", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    aws.client("codebuild").create_project(
        name="project",
        source={"type": "S3", "location": f"pipeline/{SOURCE_KEY}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole="arn:aws:iam::123456789012:role/service-role/codebuild",
    )
    build_in_aws(STACK, "project", aws)
    body = aws.client("s3").get_object(Bucket="pipeline", Key=SOURCE_KEY)["Body"].read()
    names = set(zipfile.ZipFile(io.BytesIO(body)).namelist())
    assert {"requirements/train.txt", "services/train/Dockerfile", "spaceport/__init__.py", ".dockerignore"} <= names
    assert not {name for name in names if name.startswith(("tests/", "docs/"))}


def test_a_build_in_aws_takes_no_uncommitted_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_is_changed", lambda: True)
    with pytest.raises(NotBuilt, match="commit or stash"):
        build_in_aws(STACK, "project", boto3.Session(region_name="eu-west-1"))


def test_phases_are_printed_and_the_end_is_returned(capsys: pytest.CaptureFixture[str]) -> None:
    states = [("QUEUED", "IN_PROGRESS"), ("BUILD", "IN_PROGRESS"), ("BUILD", "IN_PROGRESS"), ("COMPLETED", "FAILED")]

    class Builds:
        def batch_get_builds(self, ids: list[str]) -> dict[str, Any]:
            phase, status = states.pop(0)
            return {"builds": [{"currentPhase": phase, "buildStatus": status}]}

    assert images.wait_for(Builds(), "project:1", seconds=0.0) == "FAILED"
    assert capsys.readouterr().out.count("build") == 1
