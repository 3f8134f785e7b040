"""A worker that hangs, in the embedded cloud: the sweeper ends it, and the queue moves."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from cloud_cases import TINY, Cloud, stage_process
from waiting import until

from spaceport.demo import Survey
from spaceport.local.batch.model import Job
from spaceport.pipeline.contract import JobState, StageName
from spaceport.pipeline.jobs.batch import UNFINISHED

QUICK = TINY | {"compress_enabled": False}
HOUR = 3600
HUNG_SINCE = int(time.time()) - HOUR
"""When the lease of the hung worker ended."""


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_hung_worker_is_ended_and_the_queue_moves(
    cloud: Cloud, survey: Survey, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    hung = cloud.upload(survey.zip_path, "to-hang", QUICK)
    cloud.working_on(hung, StageName.SFM)
    os.kill(stage_process(cloud.embedded.state, StageName.SFM), signal.SIGSTOP)
    holder = cloud.deployment.table.stages(hung)[StageName.SFM].holder
    behind = cloud.upload(survey.zip_path, "behind-it", QUICK)
    until(lambda: sorted(unfinished(cloud).values()) == ["RUNNABLE", "RUNNING"], cloud.logs)

    describe = Job.describe
    monkeypatch.setattr(Job, "describe", lambda job: hour_old(describe(job)))
    for action in ("suspected", "terminated"):
        pass_an_hour(cloud, hung)
        assert sweep(cloud) == {action: 1}

    go_on(cloud, [behind, hung], whole)
    (ended,) = cloud.deployment.batch.describe_jobs(jobs=[holder])["jobs"]
    assert ended["status"] == "FAILED"
    assert ended["attempts"][-1]["container"]["exitCode"] == 128 + signal.SIGKILL, "a stopped process gets no SIGTERM"
    assert cloud.deployment.table.stages(hung)[StageName.SFM].claims == 2
    assert len(cloud.mails(2)) == 2


def go_on(cloud: Cloud, jobs: list[str], whole: bool) -> None:
    """Wait until jobs complete; or, quicker, until the first stage of one is done and of the next at work again."""
    if whole:
        for job in jobs:
            assert cloud.ended(job).state is JobState.COMPLETED, cloud.logs()
        return
    behind, hung = jobs
    until(lambda: "colmap" in cloud.manifest_keys(behind), cloud.logs, 300)
    until(lambda: cloud.deployment.table.stages(hung)[StageName.SFM].claims == 2, cloud.logs)
    for job in jobs:
        cloud.deployment.stop(job)
        assert cloud.ended(job).state in {JobState.STOPPED, JobState.COMPLETED}


def unfinished(cloud: Cloud) -> dict[str, str]:
    """Batch id to status."""
    batch, queues = cloud.deployment.batch, cloud.deployment.queues
    lists = [batch.list_jobs(jobQueue=queue, jobStatus=status) for queue in queues for status in UNFINISHED]
    return {job["jobId"]: job["status"] for answer in lists for job in answer["jobSummaryList"]}


def hour_old(description: dict[str, Any]) -> dict[str, Any]:
    return description | ({"startedAt": description["startedAt"] - HOUR * 1000} if "startedAt" in description else {})


def pass_an_hour(cloud: Cloud, job_id: str) -> None:
    """Make what the table says of a silent job an hour old."""
    ago = int(time.time()) - HOUR
    silent = datetime.fromtimestamp(ago, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    table = cloud.deployment.table.table
    for record, name, value in (
        ("job", "updated_at", silent),
        ("stage#sfm", "lease_until", HUNG_SINCE),
        ("nudges#sfm", "observed_at", ago),
    ):
        if "Item" in table.get_item(Key={"job_id": job_id, "record": record}):
            table.update_item(
                Key={"job_id": job_id, "record": record},
                UpdateExpression=f"SET {name} = :value",
                ExpressionAttributeValues={":value": value},
            )


def sweep(cloud: Cloud) -> dict[str, int]:
    """Run the deployed sweeper by hand."""
    actions: dict[str, int] = invoke(cloud, "Sweeper", {"source": "aws.events"})
    return actions


def invoke(cloud: Cloud, name: str, event: dict[str, Any]) -> Any:
    """Run a deployed function by hand. Returns its answer."""
    functions = cloud.embedded.access.client("lambda")
    names = [each["FunctionName"] for each in functions.list_functions()["Functions"]]
    (full_name,) = [each for each in names if name in each]
    answer = functions.invoke(FunctionName=full_name, Payload=json.dumps(event).encode())
    assert "FunctionError" not in answer, cloud.logs()
    return json.load(answer["Payload"])
