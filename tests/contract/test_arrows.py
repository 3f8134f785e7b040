"""Each golden event takes exactly the arrows of the design, and each arrow reaches its target safely."""

from __future__ import annotations

from typing import Any

import pytest
from eventbridge import matches, transform
from template import EVENTS, NAMES, event, of_type, raw

from spaceport.pipeline import layout
from spaceport.pipeline.contract import StageName

ARROWS: dict[str, set[str]] = {
    "upload_put": {"UploadToIntake"},
    "upload_multipart": {"UploadToIntake"},
    "upload_post": {"UploadToIntake"},
    "request_manifest": {"RequestToSfm", "ManifestToTracker"},
    "colmap_manifest": {"ColmapToTrain", "ManifestToTracker"},
    "gaussian_manifest": {"GaussianToCompress", "ManifestToTracker"},
    "compressed_manifest": {"ManifestToTracker"},
    "end_manifest": {"EndToNotify", "ManifestToTracker"},
    "artefact": set(),
    "batch_failed_bug": {"BatchFailedToTracker"},
    "batch_failed_memory": {"BatchFailedToTracker"},
    "batch_failed_host": {"BatchFailedToTracker"},
    "batch_failed_timeout": {"BatchFailedToTracker"},
    "batch_failed_waiting": {"BatchFailedToTracker"},
    "batch_blocked": {"QueueBlockedToOperator"},
    "batch_succeeded": set(),
    "schedule": set(),  # a schedule has no pattern, it wakes its target itself
}
JOB = "brighton-beach-3f0c9a1b2d"
# What the stages write besides manifests: one key of each kind.
ARTEFACTS = [
    "extracted/a.jpg",
    "colmap/sparse/cameras.bin",
    "colmap/dense/images/a.jpg",
    "colmap/report.json",
    "gaussian/model.ply",
    "gaussian/cameras.json",
    "gaussian/training.log",
    "gaussian/report.json",
    "compressed/meta.json",
    "compressed/model.sog",
    "compressed/lod/lod-meta.json",
    "compressed/lod/0_0/meta.json",
    "compressed/report.json",
]
STAGE_ARROWS = {
    StageName.SFM: "RequestToSfm",
    StageName.TRAIN: "ColmapToTrain",
    StageName.COMPRESS: "GaussianToCompress",
}


def rules() -> dict[str, dict[str, Any]]:
    return of_type("AWS::Events::Rule")


def taken(happened: dict[str, Any]) -> set[str]:
    return {
        name for name, rule in rules().items() if "EventPattern" in rule and matches(rule["EventPattern"], happened)
    }


def created(bucket: str, key: str) -> dict[str, Any]:
    detail = {"bucket": {"name": NAMES[bucket]}, "object": {"key": key}}
    return {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}


def test_every_golden_event_of_the_bus_is_listed_here() -> None:
    files = {path.stem for path in EVENTS.glob("*.json")} - {path.stem for path in EVENTS.glob("*.schema.json")}
    assert {name for name in files if not name.startswith("api_")} == set(ARROWS)


@pytest.mark.parametrize("name", sorted(ARROWS))
def test_an_event_takes_its_arrows_and_no_other(name: str) -> None:
    assert taken(event(name)) == ARROWS[name]


def test_there_is_a_rule_for_each_arrow_and_no_other() -> None:
    assert set(rules()) == set().union(*ARROWS.values(), {"SweeperSchedule"})


@pytest.mark.parametrize("path", ARTEFACTS)
def test_artefacts_wake_nobody(path: str) -> None:
    assert taken(created("PipelineBucket", layout.job_prefix(JOB) + path)) == set()


@pytest.mark.parametrize("stage", list(StageName))
def test_a_stage_is_woken_by_its_input_and_by_nothing_else(stage: StageName) -> None:
    keys = {layout.request_key(JOB), layout.end_key(JOB), *(layout.stage_manifest_key(JOB, each) for each in StageName)}
    woken_by = {key for key in keys if STAGE_ARROWS[stage] in taken(created("PipelineBucket", key))}
    assert woken_by == {layout.input_manifest_key(JOB, stage)}


@pytest.mark.parametrize("bucket", ["UploadsBucket", "PipelineBucket"])
@pytest.mark.parametrize("key", ["uploads/a.zip", "uploads/b/A.ZIP", "uploads/a.Zip", "jobs/abc/colmap/manifest.json"])
def test_a_key_counts_only_in_its_own_bucket(bucket: str, key: str) -> None:
    home = "UploadsBucket" if key.startswith(layout.UPLOADS) else "PipelineBucket"
    assert bool(taken(created(bucket, key))) == (bucket == home)


def test_other_files_among_the_uploads_wake_nobody() -> None:
    for key in ("uploads/", "uploads/a.jpg", "uploads/a.zip.part"):
        assert taken(created("UploadsBucket", key)) == set()


@pytest.mark.parametrize("name", sorted(set().union(*ARROWS.values(), {"SweeperSchedule"})))
def test_every_target_is_tried_again_and_then_kept(name: str) -> None:
    (target,) = rules()[name]["Targets"]
    assert target["RetryPolicy"]["MaximumRetryAttempts"] >= 2
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] >= 300
    assert target["DeadLetterConfig"]["Arn"] == "arn:DeadEvents"


@pytest.mark.parametrize("stage", list(StageName))
def test_a_stage_is_told_bucket_and_key_as_its_command_wants_them(stage: StageName) -> None:
    (target,) = rules()[STAGE_ARROWS[stage]]["Targets"]
    key = layout.input_manifest_key(JOB, stage)
    target_input = transform(target["InputTransformer"], created("PipelineBucket", key))
    assert target_input == {"Parameters": {"bucket": NAMES["PipelineBucket"], "key": key}}
    assert target["BatchParameters"]["JobDefinition"] == f"{stage.capitalize()}Job"
    command = of_type("AWS::Batch::JobDefinition")[f"{stage.capitalize()}Job"]["ContainerProperties"]["Command"]
    assert command == ["python", "-m", f"services.{stage}", "--bucket", "Ref::bucket", "--key", "Ref::key"]


def test_functions_may_be_called_by_their_rules_alone() -> None:
    permissions = of_type("AWS::Lambda::Permission").values()
    allowed = {(each["FunctionName"], each["SourceArn"]) for each in permissions if "events" in each["Principal"]}
    wanted = {
        (target["Arn"].removeprefix("arn:"), f"arn:{name}")
        for name, rule in rules().items()
        for target in rule["Targets"]
        if target["Arn"].endswith("Function")
    }
    assert allowed == wanted


def test_the_operator_reads_a_sentence_when_a_queue_is_blocked() -> None:
    (target,) = rules()["QueueBlockedToOperator"]["Targets"]
    happened = event("batch_blocked")
    sentence = transform(target["InputTransformer"], happened)
    assert {happened["detail"][name] in sentence for name in ("jobId", "jobQueue", "statusReason")} == {True}
    assert "\n" not in sentence and "<" not in sentence
    other = happened["detail"] | {"jobQueue": happened["detail"]["jobQueue"] + "-of-another-stack"}
    assert taken(happened | {"detail": other}) == set()


def test_the_handlers_of_the_template_exist() -> None:
    for name, resource in raw()["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            module, _, function = resource["Properties"]["Handler"].rpartition(".")
            assert callable(getattr(__import__(module, fromlist=[function]), function)), name
