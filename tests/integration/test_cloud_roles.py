"""Nothing more: each right of a role is needed by a call that its code makes when all that can happen to jobs happens.

Nothing missing is what every other test in the embedded cloud sees, since it refuses calls without a right.
"""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_cases import LONG, MAIL, TINY, Cloud, stage_process
from cloud_fixtures import running_cloud
from test_cloud_api import Api, send_form
from test_cloud_hung import invoke, sweep
from test_cloud_multipart import Client
from test_cloud_tenants import STRANGER, confirm, disable_rule
from waiting import PATIENCE, until

from functions.api.model import VIEWER
from functions.links import FILES, REPORT_FILES, THUMBS
from functions.sweeper.heal import MAX_NUDGES
from spaceport.demo import Survey
from spaceport.local import cloud as cloud_module
from spaceport.local.roles import LOG, Right, deployed_policies, rights_of
from spaceport.pipeline import layout
from spaceport.pipeline.contract import AnyManifest, Artefact, JobState, StageManifest, StageName
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.options import resolve
from spaceport.pipeline.storage import Bucket

HOUR = 3600
BY_AWS = ("SubmitRole", "MachineRole", "FlowLogsRole", "ImageBuildRole")
"""Roles with which only AWS itself makes calls."""
UNSEEN = {
    "sqs:SendMessage": "Lambda sends the dead letters of a function with its role",
    "s3:AbortMultipartUpload jobs/": "boto3 takes an upload back that failed halfway",
    "dynamodb:DeleteItem": "powertools forgets a mail that SES refused; test_notify.py has one",
    "NotifyFunctionRole s3:GetObject shares/": "a sender that was killed after its share; test_notify_share.py has one",
    "ApiFunctionRole s3:GetObjectVersion uploads/": "an upload that is replaced while its job begins; test_accept.py",
    "NotifyFunctionRole s3:GetObject flight.mp4": "jobs of seconds make none; test_notify_share.py mails one",
    "s3:GetObject gaussian/live": "trainings of seconds are over before a page asks how they are; test_live",
    "s3:DeleteObjectVersion gaussian/live": "nor do they show anything before they end",
    "s3:DeleteObjectVersion gaussian/checkpoint": "trainings of seconds keep no checkpoint; test_cloud_resume has one",
    "s3:DeleteObjectVersion colmap/checkpoint": "nor does a structure from motion of seconds; test_sfm_killed has one",
}
"""Rights that this test needs no call for: words of role, action and resource, each with the reason."""


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Deployed as in AWS: no address is confirmed by its domain, and mails link the page."""
    parameters = {"MailDomains": "", "WebUrl": "https://page.example"}
    monkeypatch.setattr(cloud_module, "PARAMETERS", cloud_module.PARAMETERS | parameters)
    with running_cloud(tmp_path / "state") as cloud:
        document = {"tenants": {"default": {"mail": [MAIL]}}}
        cloud.deployment.bucket.put_small(layout.TENANTS, json.dumps(document).encode())
        yield cloud


@pytest.mark.slow
def test_every_right_is_needed(cloud: Cloud, survey: Survey) -> None:
    api = Api(cloud)
    send_mails(cloud, api, survey)
    begin_by_api(cloud, api, survey)
    read_files(cloud, api, "whole")
    refuse_inputs(cloud)
    fail_and_sweep(cloud)
    lose_events(cloud)
    delete(cloud, api)
    until(lambda: unneeded(cloud) == [], lambda: "\n".join(unneeded(cloud)), 60)


def unneeded(cloud: Cloud) -> list[str]:
    """Rights without which every call so far would have been allowed all the same."""
    records = [json.loads(line) for line in (cloud.embedded.state / "logs" / LOG).read_text().splitlines()]
    needed = {(record["role"], *map(str, record["rights"][0])) for record in records if len(record["rights"]) == 1}
    iam = cloud.embedded.access.client("iam")
    names = [role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].split("-")[1] not in BY_AWS]
    assert len(names) > 5
    return [
        f"{name}: {right.as_json()}"
        for name in names
        for right in rights_of(deployed_policies(iam, name))
        if (name, *map(str, right.as_json())) not in needed and not is_unseen(name, right)
    ]


def is_unseen(role: str, right: Right) -> bool:
    words = [role, right.action, right.resource]
    return any(all(any(part in word for word in words) for part in key.split(" ")) for key in UNSEEN)


def send_mails(cloud: Cloud, api: Api, survey: Survey) -> None:
    """To an address that was confirmed, and to one that is listed; its links, and its event once more."""
    confirm(cloud, api)
    uploads = cloud.deployment.uploads
    metadata = {"job-id": "no-zip", "email": STRANGER}
    uploads.client.put_object(Bucket=uploads.name, Key="uploads/no-zip.zip", Body=b"no zip", Metadata=metadata)
    assert cloud.ended("no-zip").state is JobState.REJECTED
    whole = cloud.upload(survey.zip_path, "whole", TINY | {"compress": {"lod": "always"}})
    assert cloud.ended(whole).state is JobState.COMPLETED, cloud.logs()
    (mail,) = [mail for mail in cloud.mails(3) if MAIL in mail["To"]]
    links = re.findall(r"http\S+X-Amz-Signature\S+", mail["BodyText"])
    assert len(links) >= 3  # both models, the report as one page; the flight where a job this small has time for one
    for link in links:
        with urllib.request.urlopen(link, timeout=PATIENCE) as answer:
            assert answer.read()
    cloud.deployment.bucket.nudge(layout.end_key("whole"))


def upload_late(cloud: Cloud) -> None:
    """Events that come when their upload was replaced, and when it is gone."""
    uploads = cloud.deployment.uploads
    disable_rule(cloud, "UploadToIntake")
    (first, _) = (uploads.client.put_object(Bucket=uploads.name, Key="uploads/late.zip", Body=b"no zip") for _ in "12")
    for key, version in (("late.zip", first["VersionId"]), ("gone.zip", first["VersionId"])):
        detail = {"bucket": {"name": uploads.name}, "object": {"key": f"uploads/{key}", "version-id": version}}
        invoke(cloud, "Intake", {"source": "aws.s3", "detail-type": "Object Created", "detail": detail})


def begin_by_api(cloud: Cloud, api: Api, survey: Survey) -> None:
    """By a form, in parts, from an upload that lies there, and from each stage of a job; stops and links."""
    data = survey.zip_path.read_bytes()
    _, form = api("POST", "/uploads", {"name": "By form", "bytes": 6})
    assert send_form(form["url"], form["fields"], b"no zip") in {200, 201, 204}
    assert cloud.ended(form["jobId"]).state is JobState.REJECTED
    upload_in_parts(cloud, api, data)
    upload_late(cloud)
    cloud.upload(data, "lies-there")
    bodies: list[dict[str, Any]] = [{"s3Url": f"s3://{cloud.deployment.uploads.name}/uploads/lies-there.zip"}]
    bodies += [{"continues": "whole", "step": step} for step in ("sfm", "train")]
    for number, body in enumerate(bodies):
        for _ in range(2):
            status, begun = api("POST", "/start-job", body | {"jobId": f"begun-{number}", "options": TINY})
            assert status == 202, begun
        assert api("POST", "/stop-job", {"jobId": begun["jobId"]})[0] == 200
    _, last = api("POST", "/start-job", {"continues": "whole", "step": "compress", "options": TINY, "email": MAIL})
    assert cloud.ended(last["jobId"]).state is JobState.COMPLETED, cloud.logs()
    assert api("GET", "/jobs")[0] == api("GET", "/jobs?owner=me")[0] == 200


def read_files(cloud: Cloud, api: Api, job: str) -> None:
    """All that is linked of a job, its model in both forms, and what a share shows of it."""
    make_missing(cloud.deployment.bucket, job)
    shown = api("GET", f"/jobs/{job}")[1]
    links = shown["links"]
    assert {link["file"] for link in links} == set(FILES)
    assert set(shown["report"]) == {*REPORT_FILES, f"{THUMBS}0.webp"}
    for url in shown["report"].values():
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            assert answer.read()
    for link in links:
        with urllib.request.urlopen(link["url"], timeout=PATIENCE) as answer:
            assert len(answer.read()) == link["bytes"]
    for query in ("", "?of=sog"):
        _, model = api("GET", f"/jobs/{job}/model{query}")
        for name, url in model["files"].items():
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                assert len(answer.read()) == model["bytes"][name]
    listed = {each["job_id"]: each for each in api("GET", "/jobs?previews=true")[1]["jobs"]}
    with urllib.request.urlopen(listed[job]["preview"], timeout=PATIENCE) as answer:
        assert answer.read()
    _, made = api("POST", f"/jobs/{job}/shares", {"may": "download"})
    reader = copy.copy(api)
    reader.headers = {"x-share-token": made["token"]}
    assert set(reader("GET", "/shared")[1]["report"]) == {stage.value for stage in StageName}
    shares = [share["id"] for share in api("GET", f"/jobs/{job}/shares")[1]["shares"]]
    assert made["share"]["id"] in shares and len(shares) == 2, "the mail at the job's end has one too"
    assert api("DELETE", f"/jobs/{job}/shares/{made['share']['id']}")[0] == 200
    assert reader("GET", "/shared")[0] == 404


def make_missing(bucket: Bucket, job: str) -> None:
    """Files that may be linked and that a small job need not have, as if its compression had made them."""
    key = layout.stage_manifest_key(job, StageName.COMPRESS)
    stored = bucket.read_manifest(key)
    assert stored and isinstance(stored.manifest, StageManifest)
    artefacts = stored.manifest.artefacts
    for ending in {*FILES, VIEWER} - {artefact.key.split("/", 2)[2] for artefact in artefacts}:
        if ending.startswith("compressed/"):
            artefacts = [*artefacts, Artefact(key=f"{layout.job_prefix(job)}{ending}", bytes=2)]
            bucket.put_small(artefacts[-1].key, b"{}")
    manifest = stored.manifest.model_copy(update={"artefacts": artefacts})
    bucket.put_small(key, manifest.model_dump_json().encode())


def upload_in_parts(cloud: Cloud, api: Api, data: bytes) -> None:
    for is_completed in (False, True):
        status, begun = api("POST", "/uploads", {"name": "In parts", "bytes": len(data), "multipart": True})
        assert status == 201, begun
        client = Client(api, begun["jobId"], data)
        assert [client.put(number) for number in range(1, begun["parts"] + 1)] == [200] * begun["parts"]
        assert client.uploaded()
        if not is_completed:
            assert api("DELETE", client.path)[0] < 300
            continue
        for _ in range(2):
            assert api("POST", f"{client.path}/complete", {"options": TINY})[0] < 300
        cloud.until(begun["jobId"], lambda _: True)
        assert api("POST", "/stop-job", {"jobId": begun["jobId"]})[0] == 200


def refuse_inputs(cloud: Cloud) -> None:
    """Each stage once ends a job, whose input no try can use."""
    bucket = cloud.deployment.bucket
    bad = {"artefacts": [Artefact(key="jobs/whole/../other", bytes=1)]}
    for stage, state in ((StageName.TRAIN, JobState.FAILED), (StageName.COMPRESS, JobState.COMPLETED_DEGRADED)):
        begin(bucket, f"bad-{stage}", stage, **bad)
        assert cloud.ended(f"bad-{stage}").state is state
    request = read(bucket, "whole", StageName.SFM).request
    assert request.upload
    for job, change in (("bad-sfm", {"etag": "0" * 32}), ("no-upload", {"key": "uploads/gone.zip"})):
        other = request.model_copy(update={"upload": request.upload.model_copy(update=change)})
        begin(bucket, job, StageName.SFM, request=other)
        assert cloud.ended(job).state is JobState.FAILED


def fail_and_sweep(cloud: Cloud) -> None:
    """A Batch job that fails; one that nobody needs, behind it; and a place of a job that never began."""
    deployed = cloud.deployment
    options = resolve(LONG)
    request = read(deployed.bucket, "whole", StageName.SFM).request.model_copy(update={"options": options})
    begin(deployed.bucket, "to-fail", StageName.SFM, request=request)
    cloud.working_on("to-fail", StageName.SFM)
    os.kill(stage_process(cloud.embedded.state, StageName.SFM), signal.SIGSTOP)
    holder = deployed.table.stages("to-fail")[StageName.SFM].holder
    (running,) = deployed.batch.describe_jobs(jobs=[holder])["jobs"]
    key = layout.request_key("bad-sfm")  # of a job that has ended
    deployed.batch.submit_job(
        jobName="sfm",
        jobQueue=running["jobQueue"],
        jobDefinition=running["jobDefinition"],
        parameters={"bucket": deployed.bucket.name, "key": key},
    )
    Quotas(deployed.table).restore_jobs("default", {"never-began"})
    assert sweep(cloud) == {"unneeded": 1, "freed": 1}
    deployed.batch.terminate_job(jobId=holder, reason="the test ends it")
    assert cloud.ended("to-fail").state is JobState.FAILED


def lose_events(cloud: Cloud) -> None:
    """Each stage once without its event, for the sweeper to wake; and one that it gives up."""
    bucket, rows = cloud.deployment.bucket, cloud.deployment.table.table
    for rule in ("RequestToSfm", "ColmapToTrain", "GaussianToCompress"):
        disable_rule(cloud, rule)
    for stage in StageName:
        begin(bucket, f"lost-{stage}", stage)
        cloud.until(f"lost-{stage}", lambda _: True)
        make_silent(rows, f"lost-{stage}")
    assert sweep(cloud)["nudged"] == len(StageName)
    rows.update_item(
        Key={"job_id": "lost-sfm", "record": "nudges#sfm"},
        UpdateExpression="SET nudges = :many",
        ExpressionAttributeValues={":many": MAX_NUDGES},
    )
    make_silent(rows, "lost-sfm")
    assert sweep(cloud)["ended"] == 1


def delete(cloud: Cloud, api: Api) -> None:
    """The jobs that were rejected: their rows, each version of their files, and their uploads, one of which is gone."""
    jobs = [row.job_id for row in cloud.deployment.table.by_state(JobState.REJECTED)]
    assert len(jobs) == 3
    cloud.deployment.uploads.erase("uploads/no-zip.zip")
    assert {api("DELETE", f"/jobs/{job}")[0] for job in jobs} == {202}
    assert sweep(cloud)["deleted"] == len(jobs)
    for job in jobs:
        assert cloud.row(job) is None
        assert not cloud.deployment.bucket.has_any(layout.job_prefix(job))


def read(bucket: Bucket, job: str, stage: StageName) -> AnyManifest:
    """The manifest that woke a stage."""
    stored = bucket.read_manifest(layout.input_manifest_key(job, stage))
    assert stored
    return stored.manifest


def begin(bucket: Bucket, job: str, stage: StageName, **changes: Any) -> None:
    """Begin a job from a stage of `whole`, as nobody may but the owner of the cloud."""
    manifest = read(bucket, "whole", stage).model_copy(update={"job_id": job, **changes})
    bucket.put_manifest(layout.input_manifest_key(job, stage), manifest)


def make_silent(rows: Any, job: str) -> None:
    """As if its row had not been written for an hour."""
    ago = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - HOUR))
    rows.update_item(
        Key={"job_id": job, "record": "job"},
        UpdateExpression="SET updated_at = :ago",
        ExpressionAttributeValues={":ago": ago},
    )
