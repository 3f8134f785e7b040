"""Builds the images of the three services, and pushes them to a stack's repositories: `make images STACK=spaceport`.

    python services/images.py                            # builds spaceport-sfm, spaceport-train, spaceport-compress
    python services/images.py --stack spaceport          # builds and pushes, with docker, podman or buildah
    python services/images.py --stack spaceport --in-aws # the stack's CodeBuild project does it (BuildImages=true)

Where none of the three is at hand, the CodeBuild project is taken. The tag is the stack's parameter `ImageTag`.
Credentials are the ones that the AWS command line uses; the password of the registry is never an argument, nor printed.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).parents[1]
IMAGES: Final = ("sfm", "train", "compress")
ENGINES: Final = ("docker", "podman", "buildah")
PLATFORM: Final = "linux/amd64"
SOURCE_KEY: Final = "images/source.zip"
"""Where the stack's CodeBuild project reads from in the pipeline bucket."""
SOURCE: Final = ("requirements", "services", "spaceport", ".dockerignore")
POLL_SECONDS: Final = 15.0
AT_WORK: Final = "IN_PROGRESS"


class NotBuilt(Exception):
    """`str` is a sentence that says what is missing and what to do."""


@dataclass(frozen=True)
class StackImages:
    """Where the images of a stack go: repository by image, and the tag that its job definitions name."""

    name: str
    repositories: dict[str, str]
    tag: str
    bucket: str
    project: str | None
    """The CodeBuild project; None unless the stack was deployed with `BuildImages=true`."""
    fixed: tuple[str, ...]
    """Images that the stack takes from elsewhere, by `SfmImage`, `TrainImage` or `CompressImage`."""


def main(argv: list[str] | None = None) -> int:
    """Build, and with a stack push. Returns the exit code: 1 with a sentence when something is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"some of {', '.join(IMAGES)}; by default all")
    parser.add_argument("--stack", help="push to the repositories of this stack")
    parser.add_argument("--in-aws", action="store_true", help="build in the stack's CodeBuild project, all three")
    arguments = parser.parse_args(argv)
    images = tuple(arguments.images) or IMAGES
    if not set(images) <= set(IMAGES):
        parser.error(f"there are only {', '.join(IMAGES)}")
    if arguments.in_aws and not arguments.stack:
        parser.error("--in-aws needs --stack")
    try:
        _make(images, arguments.stack, arguments.in_aws)
    except NotBuilt as problem:
        print(f"images: {problem}", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"images: AWS refused or cannot be reached: {error}", file=sys.stderr)
        return 1
    return 0


def _make(images: tuple[str, ...], stack_name: str | None, in_aws: bool) -> None:
    if stack_name is None:
        for image in images:
            build(_require_engine(), image, f"spaceport-{image}")
        return
    session = boto3.Session()
    stack = describe(session, stack_name)
    engine = None if in_aws else working_engine()
    if engine is not None:
        push_all(engine, images, stack, session)
    elif stack.project is not None:
        build_in_aws(stack, stack.project, session)
    elif in_aws:
        raise NotBuilt(f"`{stack.name}` has no CodeBuild project; deploy it with `BuildImages=true`.")
    else:
        _require_engine(f" Or deploy `{stack.name}` with `BuildImages=true`: then AWS builds them.")
    if stack.fixed:
        print(f"images: the stack takes {' and '.join(stack.fixed)} from elsewhere, so those pushes change nothing yet")


def describe(session: boto3.Session, name: str) -> StackImages:
    """The repositories of a stack. Raises `NotBuilt` when there is no such stack, or it is not ours."""
    try:
        description: Any = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        place = session.region_name
        raise NotBuilt(f"There is no stack `{name}` in {place}. Deploy it first: `sam deploy --guided`.") from None
    outputs = {each["OutputKey"]: each["OutputValue"] for each in description.get("Outputs", [])}
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in description.get("Parameters", [])}
    repositories = {image: outputs.get(f"{image.capitalize()}Repository", "") for image in IMAGES}
    if not all(repositories.values()):
        raise NotBuilt(f"The stack `{name}` has no repositories (it is {description['StackStatus']}).")
    return StackImages(
        name=name,
        repositories=repositories,
        tag=parameters.get("ImageTag", "latest"),
        bucket=outputs["PipelineBucket"],
        project=outputs.get("ImageBuild"),
        fixed=tuple(each for each in (f"{image.capitalize()}Image" for image in IMAGES) if parameters.get(each)),
    )


def working_engine() -> str | None:
    """The first engine that is installed and answers; docker's command line alone, without its daemon, does not."""
    for engine in ENGINES:
        asked = ["info"] if engine == "docker" else ["version"]
        if shutil.which(engine) and _run([engine, *asked], quiet=True) == 0:
            return engine
    return None


def _require_engine(otherwise: str = "") -> str:
    engine = working_engine()
    if engine is None:
        raise NotBuilt(f"Neither docker nor podman nor buildah works here: install and start one.{otherwise}")
    return engine


def build(engine: str, image: str, name: str) -> None:
    """Build one image for the machines of the stack, from this checkout."""
    print(f"images: building {name} with {engine}", flush=True)
    command = "bud" if engine == "buildah" else "build"
    layers = [] if engine == "docker" else ["--layers"]  # kept between builds; docker always does
    arguments = [engine, command, "--platform", PLATFORM, *layers, "--file", f"services/{image}/Dockerfile"]
    arguments += ["--build-arg", f"SPACEPORT_COMMIT={commit()}", "--tag", name, "."]
    if _run(arguments) != 0:
        raise NotBuilt(f"{engine} could not build the image of {image}; its last lines above say why.")


def push_all(engine: str, images: tuple[str, ...], stack: StackImages, session: boto3.Session) -> None:
    """Build and push, each as soon as it is built."""
    registry = stack.repositories[images[0]].partition("/")[0]
    for image in images:
        build(engine, image, f"{stack.repositories[image]}:{stack.tag}")
    log_in(engine, registry, session)  # after the builds: it lasts for twelve hours
    try:
        for image in images:
            name = f"{stack.repositories[image]}:{stack.tag}"
            print(f"images: pushing {name}", flush=True)
            if _run([engine, "push", name]) != 0:
                raise NotBuilt(f"{engine} could not push {name}; its last lines above say why.")
    finally:
        _run([engine, "logout", registry], quiet=True)


def log_in(engine: str, registry: str, session: boto3.Session) -> None:
    """Log the engine in to the registry of the stack's account."""
    (authorization,) = session.client("ecr").get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(authorization["authorizationToken"]).decode().partition(":")
    if _run([engine, "login", "--username", user, "--password-stdin", registry], stdin=password) != 0:
        raise NotBuilt(f"{engine} could not log in to {registry}.")


def build_in_aws(stack: StackImages, project: str, session: boto3.Session) -> None:
    """Send the source, start the stack's CodeBuild project, and wait for it."""
    if _is_changed():
        raise NotBuilt("CodeBuild gets what is committed, and this checkout has changes: commit or stash them.")
    archive = subprocess.run(["git", "archive", "--format=zip", "HEAD", *SOURCE], cwd=ROOT, capture_output=True)  # noqa: S603, S607, PLW1510
    if archive.returncode != 0:
        raise NotBuilt(f"git could not pack the source: {archive.stderr.decode(errors='replace').strip()}")
    session.client("s3").put_object(Bucket=stack.bucket, Key=SOURCE_KEY, Body=archive.stdout)
    codebuild: Any = session.client("codebuild")
    variables = [{"name": "SPACEPORT_COMMIT", "value": commit(), "type": "PLAINTEXT"}]
    started = codebuild.start_build(projectName=project, environmentVariablesOverride=variables)["build"]
    print(f"images: {started['id']} builds all three; the first time takes about half an hour", flush=True)
    status = wait_for(codebuild, started["id"])
    if status != "SUCCEEDED":
        raise NotBuilt(f"The build ended as {status}: `aws logs tail /{stack.name}/images --since 3h` says why.")


def wait_for(codebuild: Any, build_id: str, seconds: float = POLL_SECONDS) -> str:
    """Wait for a build, and print its phases. Returns how it ended. It goes on when this is interrupted."""
    phase = ""
    while True:
        (build_now,) = codebuild.batch_get_builds(ids=[build_id])["builds"]
        if build_now.get("currentPhase", "") != phase:
            phase = build_now["currentPhase"]
            print(f"images: {phase.lower()}", flush=True)
        if build_now["buildStatus"] != AT_WORK:
            return str(build_now["buildStatus"])
        time.sleep(seconds)


def _is_changed() -> bool:
    """Whether the checkout differs from its commit, or is none."""
    return _run(["git", "diff", "--quiet", "HEAD"], quiet=True) != 0


def commit() -> str:
    """Of this checkout, for the images to say what they are; empty outside of one."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    return head.stdout.strip() if head.returncode == 0 else ""


def _run(arguments: list[str], *, stdin: str | None = None, quiet: bool = False) -> int:
    """Run a program in the checkout. Returns its exit code; 127 when there is no such program."""
    # Without it docker adds a second manifest to each image, which counts in the repository's last ten.
    environment = os.environ | {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    output = subprocess.DEVNULL if quiet else None
    try:
        done = subprocess.run(  # noqa: S603  programs that are named here
            arguments, cwd=ROOT, input=stdin, text=True, check=False, env=environment, stdout=output, stderr=output
        )
    except FileNotFoundError:
        return 127
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
