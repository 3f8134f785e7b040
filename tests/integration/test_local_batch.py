"""The local Batch with real child processes: placeholders, exit codes, retries, time limits, ends, slots."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import waiting
from botocore.exceptions import ClientError

from spaceport.local.access import Access, new_secret
from spaceport.local.address import ADDRESS, ENVIRONMENT, running
from spaceport.local.batch.model import ENDED, Job, JobDefinition, Status
from spaceport.local.batch.runner import Runner
from spaceport.local.batch.server import BatchServer
from spaceport.local.children import survivors
from spaceport.local.cloud import EmbeddedCloud
from spaceport.local.errors import StateInUse
from spaceport.local.ministack import descendants, listening
from spaceport.local.roles import Roles

POLICIES = {
    "sweeper": [{"Statement": {"Effect": "Allow", "Action": "batch:TerminateJob", "Resource": "arn:aws:batch:*:job/*"}}]
}
RETRY = ({"OnExitCode": "75", "Action": "RETRY"}, {"OnReason": "*", "Action": "EXIT"})


def python(code: str, *words: str, **changes: Any) -> JobDefinition:
    settings: dict[str, Any] = {"timeout_seconds": 30.0, "attempts": 3, "evaluate_on_exit": RETRY, "gpu": False}
    return JobDefinition(
        arn="job", command=("python", "-c", code, *words), environment={"A": "1"}, **(settings | changes)
    )


class Desk:
    """A runner with two queues, and the state changes of its jobs."""

    def __init__(self, state: Path, *, gpu: bool = True) -> None:
        for name in ("logs", "work"):
            (state / name).mkdir(parents=True)
        self.state = state
        self.definitions: dict[str, JobDefinition] = {}
        self.changes: list[tuple[str, str]] = []
        self.runner = Runner(state, state, self.definitions, ("cpu", "gpu"), self._changed, gpu=gpu)
        self.runner.set_environment(lambda _: {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})

    def _changed(self, job: Job) -> None:
        self.changes.append((job.id, job.status.value))

    def start(self, job_definition: JobDefinition, queue: str = "cpu", **parameters: str) -> Job:
        self.definitions["job"] = job_definition
        return self.runner.submit(queue, "job", "test", parameters, {"B": "2"})

    def run(self, job_definition: JobDefinition, **parameters: str) -> Job:
        return until(self.start(job_definition, **parameters), lambda job: job.status in ENDED)

    def log(self, job: Job) -> str:
        return (self.state / "logs" / f"test-{job.id}.log").read_text()


def until(job: Job, holds: Callable[[Job], bool]) -> Job:
    waiting.until(lambda: holds(job), lambda: job)
    return job


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "state")
    yield made
    made.runner.close()
    assert survivors(made.state) == []


def test_a_job_gets_its_parameters_and_its_environment(desk: Desk) -> None:
    names = ("A", "B", "AWS_BATCH_JOB_ATTEMPT", "AWS_ENDPOINT_URL")
    code = f"import os, sys; print(sys.argv[1:], [os.environ[name] for name in {names}])"
    job = desk.run(python(code, "--key", "Ref::key"), key="jobs/a b;c")
    assert job.status is Status.SUCCEEDED, desk.log(job)
    assert "['--key', 'jobs/a b;c'] ['1', '2', '1', 'http://127.0.0.1:1']" in desk.log(job)
    waiting.until(
        lambda: [status for _, status in desk.changes] == ["RUNNABLE", "RUNNING", "SUCCEEDED"], desk.changes.copy
    )


@pytest.mark.parametrize(("code", "attempts"), [(65, 1), (1, 1), (75, 3)])
def test_exit_codes_decide_on_retries(desk: Desk, code: int, attempts: int) -> None:
    job = desk.run(python(f"raise SystemExit({code})"))
    assert (job.status, len(job.attempts), job.attempts[-1].code) == (Status.FAILED, attempts, code)


def test_a_retry_keeps_its_id_and_counts_up(desk: Desk) -> None:
    code = (
        "import os; print(os.environ['AWS_BATCH_JOB_ID']);"
        "raise SystemExit(75 if int(os.environ['AWS_BATCH_JOB_ATTEMPT']) < 3 else 0)"
    )
    job = desk.run(python(code))
    assert job.status is Status.SUCCEEDED
    assert desk.log(job).split() == [job.id] * 3


def test_a_time_limit_ends_an_attempt(desk: Desk) -> None:
    job = desk.run(python("import time; time.sleep(60)", timeout_seconds=0.5))
    assert (job.status, job.status_reason) == (Status.FAILED, "Job attempt duration exceeded timeout")


def test_a_terminated_job_ends_with_all_it_started(desk: Desk) -> None:
    code = "import subprocess, time; subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"
    job = desk.start(python(code, attempts=5))
    until(job, lambda job: job.status is Status.RUNNING and "up" in desk.log(job))
    desk.runner.terminate(job.id, "stopped on request")
    until(job, lambda job: job.status in ENDED)
    assert (job.status, job.status_reason, len(job.attempts)) == (Status.FAILED, "stopped on request", 1)
    assert survivors(desk.state) == []


def test_a_job_that_ignores_sigterm_is_killed(desk: Desk) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    job = desk.start(python(code))
    until(job, lambda job: job.status is Status.RUNNING and "up" in desk.log(job))
    desk.runner.terminate(job.id, "stop")
    until(job, lambda job: job.status in ENDED)
    assert survivors(desk.state) == []


def test_a_job_that_is_stopped_and_so_gets_no_sigterm_is_killed_and_the_next_one_runs(desk: Desk) -> None:
    code = "import os, signal; print('up', flush=True); os.kill(os.getpid(), signal.SIGSTOP)"
    job = desk.start(python(code, attempts=5))
    behind = desk.start(python("print('next')"))
    until(job, lambda job: job.status is Status.RUNNING and "up" in desk.log(job))
    desk.runner.terminate(job.id, "hung")
    assert until(behind, lambda job: job.status in ENDED).status is Status.SUCCEEDED
    assert (job.status, job.status_reason, [each.code for each in job.attempts]) == (Status.FAILED, "hung", [137])


def test_one_job_at_a_time_in_a_queue_and_a_waiting_one_never_starts_when_ended(desk: Desk) -> None:
    first = desk.start(python("import time; time.sleep(60)"))
    second = desk.start(python("print('must not run')"))
    other = desk.start(python("print('another queue')", gpu=True), queue="gpu")
    until(first, lambda job: job.status is Status.RUNNING)
    until(other, lambda job: job.status is Status.SUCCEEDED)
    assert second.status is Status.RUNNABLE
    desk.runner.terminate(second.id, "stop")
    assert (second.status, second.status_reason) == (Status.FAILED, "stop"), "it need not wait for its turn to end"
    desk.runner.terminate(first.id, "stop")
    third = until(desk.start(python("print('next')")), lambda job: job.status in ENDED)
    assert (third.status, desk.changes.count((second.id, "FAILED"))) == (Status.SUCCEEDED, 1)
    assert not (desk.state / "logs" / f"test-{second.id}.log").exists()


def test_without_a_gpu_all_jobs_share_the_cpu(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "state", gpu=False)
    try:
        first = until(desk.start(python("import time; time.sleep(60)")), lambda job: job.status is Status.RUNNING)
        other = desk.start(python("print('trains on the CPU')", gpu=True), queue="gpu")
        time.sleep(0.5)
        assert other.status is Status.RUNNABLE
        desk.runner.terminate(first.id, "stop")
        assert until(other, lambda job: job.status in ENDED).status is Status.SUCCEEDED
    finally:
        desk.runner.close()


def test_a_job_whose_guard_is_killed_dies_as_if_it_were_killed_itself_and_is_tried_again(desk: Desk) -> None:
    code = (
        "import os, time; print(os.getppid(), flush=True);"
        "time.sleep(60 if os.environ['AWS_BATCH_JOB_ATTEMPT'] == '1' else 0)"
    )
    rules = ({"OnExitCode": "137", "Action": "RETRY"}, {"OnStatusReason": "*", "Action": "EXIT"})
    job = desk.start(python(code, evaluate_on_exit=rules))
    until(job, lambda job: job.status is Status.RUNNING and bool(desk.log(job)))
    os.kill(int(desk.log(job)), signal.SIGKILL)
    until(job, lambda job: job.status in ENDED)
    assert (job.status, [end.code for end in job.attempts]) == (Status.SUCCEEDED, [137, 0]), desk.log(job)


def test_scratch_is_each_jobs_own_and_goes_with_it(desk: Desk) -> None:
    code = "import os, pathlib; place = pathlib.Path(os.environ['SPACEPORT_WORK']); (place / 'x').touch(); print(place)"
    job = desk.run(python(code))
    assert Path(desk.log(job).strip()).parent == desk.state / "work"
    until(job, lambda _: not list((desk.state / "work").iterdir()))


def test_a_job_that_cannot_start_fails_and_the_next_one_runs(desk: Desk) -> None:
    (desk.state / "work").rmdir()
    job = desk.run(python("print(1)"))
    assert (job.status, job.status_reason) == (Status.FAILED, "CannotStartContainerError")
    (desk.state / "work").mkdir()
    assert desk.run(python("print(1)")).status is Status.SUCCEEDED


@pytest.fixture
def batch(desk: Desk) -> Iterator[Any]:
    """boto3's client for the desk's runner."""
    secret = new_secret()
    server = BatchServer(secret)
    server.serve(desk.runner, Roles(lambda role: POLICIES.get(role, [])))
    yield Access("", server.endpoint, secret).client("batch")
    server.close()


def test_boto3_speaks_with_it(desk: Desk, batch: Any) -> None:
    desk.definitions["job"] = python("print(1)")
    made = batch.submit_job(jobName="test", jobQueue="cpu", jobDefinition="job", parameters={"key": "k"})
    waiting.until(lambda: batch.list_jobs(jobQueue="cpu", jobStatus="SUCCEEDED")["jobSummaryList"])
    (job,) = batch.describe_jobs(jobs=[made["jobId"], "unknown"])["jobs"]
    assert (job["status"], job["parameters"], job["container"]["exitCode"]) == ("SUCCEEDED", {"key": "k"}, 0)
    batch.terminate_job(jobId=made["jobId"], reason="too late")
    with pytest.raises(batch.exceptions.ClientException):
        batch.submit_job(jobName="test", jobQueue="nowhere", jobDefinition="job")


def test_a_role_may_do_what_its_policies_allow(desk: Desk) -> None:
    secret = new_secret()
    server = BatchServer(secret)
    server.serve(desk.runner, Roles(lambda role: POLICIES.get(role, [])))
    access = Access("", server.endpoint, secret)
    batch = access.as_role("sweeper").client("batch")
    batch.terminate_job(jobId="unknown", reason="allowed")
    for call, arguments in (
        ("describe_jobs", {"jobs": []}),
        ("list_jobs", {"jobQueue": "cpu"}),
        ("submit_job", {"jobName": "a", "jobQueue": "cpu", "jobDefinition": "job"}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(batch, call)(**arguments)
    with pytest.raises(ClientError, match="AccessDenied"):
        access.as_role("nobody").client("batch").terminate_job(jobId="unknown", reason="not allowed")
    server.close()


def test_jobs_are_listed_in_pages(desk: Desk, batch: Any) -> None:
    until(desk.start(python("import time; time.sleep(60)")), lambda job: job.status is Status.RUNNING)
    waiting = [desk.start(python("print(1)")).id for _ in range(105)]
    listing = {"jobQueue": "cpu", "jobStatus": "RUNNABLE"}

    first = batch.list_jobs(**listing)
    assert [job["jobId"] for job in first["jobSummaryList"]] == waiting[:100]
    desk.runner.terminate(waiting[99], "the last of a page may end before the next is asked for")
    rest = batch.list_jobs(**listing, nextToken=first["nextToken"])
    assert [job["jobId"] for job in rest["jobSummaryList"]] == waiting[100:]
    assert "nextToken" not in rest

    pages = list(batch.get_paginator("list_jobs").paginate(**listing, PaginationConfig={"PageSize": 26}))
    assert [len(page["jobSummaryList"]) for page in pages] == [26] * 4, "104 are left, and no empty page follows"
    assert [job["jobId"] for page in pages for job in page["jobSummaryList"]] == waiting[:99] + waiting[100:]
    for wrong in ({"nextToken": "unknown"}, {"maxResults": 101}):
        with pytest.raises(batch.exceptions.ClientException):
            batch.list_jobs(**listing, **wrong)


def test_nobody_without_the_secret_reaches_cloud_or_batch(tmp_path: Path) -> None:
    form = b"Action=CreateStack&Version=2010-05-15&StackName=evil&TemplateBody={}"
    with EmbeddedCloud(tmp_path / "state") as embedded:
        access = embedded.access
        for address in (
            access.endpoint,
            f"{access.batch_endpoint}/v1/submitjob",
            f"{access.endpoint}/_ministack/health",
        ):
            for header in (
                {},
                {"Origin": "https://evil.example"},
                {"Host": "evil.example"},
                {"Origin": access.endpoint},
            ):
                with pytest.raises(HTTPError, match="403"):
                    urlopen(Request(address, data=form, headers=header), timeout=waiting.PATIENCE)
        for service, call in (("s3", "list_buckets"), ("dynamodb", "list_tables"), ("lambda", "list_functions")):
            with pytest.raises(ClientError, match=r"403|owner"):
                getattr(Access(access.endpoint, access.batch_endpoint, "local").client(service), call)()
            getattr(access.client(service), call)()
        with pytest.raises(ClientError):
            Access("", access.batch_endpoint, "local").client("batch").list_jobs(jobQueue="cpu")


AS_NOBODY = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
state = sys.argv[1]
seen = []
for act in (lambda: os.listdir(state), lambda: open(f"{state}/cloud.json"), lambda: open(f"{state}/aws.env")):
    try:
        act()
        seen.append(act)
    except PermissionError:
        pass
assert not seen
host = sys.argv[2].removeprefix("http://")
name, port = host.encode().split(b":")
with socket.create_connection((name, int(port))) as door:
    door.sendall(b"GET / HTTP/1.1\\r\\nHost: " + host.encode() + b"\\r\\n\\r\\n")
    print(door.recv(100).split()[1].decode())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_finds_neither_secret_nor_entrance(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with EmbeddedCloud(tmp_path / "state") as embedded:
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        for name in (ADDRESS, ENVIRONMENT):
            assert stat.S_IMODE((tmp_path / "state" / name).stat().st_mode) == 0o600
        arguments = [str(tmp_path / "state"), embedded.access.endpoint]
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *arguments], capture_output=True, text=True, check=False
        )
        assert done.stdout == "403\n", done.stderr
    assert not (tmp_path / "state" / ADDRESS).exists()


def test_what_a_killed_cloud_left_is_no_running_one(tmp_path: Path) -> None:
    (tmp_path / ADDRESS).write_text('{"endpoint": "http://127.0.0.1:1", "batch_endpoint": "", "secret": "x"}')
    assert running(tmp_path) is None


def test_two_clouds_side_by_side_on_loopback_only(tmp_path: Path) -> None:
    with EmbeddedCloud(tmp_path / "one") as one, EmbeddedCloud(tmp_path / "two") as two:
        assert one.access.endpoint != two.access.endpoint
        one.access.client("s3").create_bucket(Bucket="only-in-one")
        assert "only-in-one" not in str(two.access.client("s3").list_buckets()["Buckets"])
        assert listening(descendants(os.getpid())) == {"127.0.0.1"}
        with pytest.raises(StateInUse, match="--state"), EmbeddedCloud(tmp_path / "one"):
            pass
        one.access.client("s3").list_buckets()  # the refused one has harmed nothing
    assert survivors((tmp_path / "one").resolve()) == []
