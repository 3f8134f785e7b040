"""What each part may do, written down twice on purpose: a new right must be added here too, and so be seen."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from template import of_type, resources

from functions.api.model import LEVELS, VIEWER
from functions.api.previews import THUMB
from functions.links import FILES, MAILED, POSTER, REPORT_FILES, THUMBS
from services.images import SOURCE_KEY
from spaceport.pipeline import layout
from spaceport.pipeline.contract import JOB_ID_PATTERN, StageName
from spaceport.pipeline.jobs.audit import audit
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.jobs.table import CLOCK, JobTable
from spaceport.pipeline.live import LIVE_JSON, LIVE_PICTURE

LIST, READ, WRITE, VERSION = "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:GetObjectVersion"
GET, PUT, UPDATE, QUERY = "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"
ROWS = {GET, PUT, UPDATE, QUERY}
ROW_END = "dynamodb:DeleteItem"
BATCH = {"batch:ListJobs", "batch:DescribeJobs", "batch:TerminateJob"}
STAGE = {LIST, READ, WRITE, "s3:AbortMultipartUpload", *ROWS}
DELETE = {"s3:DeleteObjectVersion"}
PARTS = {"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}
DEAD = "sqs:SendMessage"

RIGHTS: dict[str, set[str]] = {
    "IntakeFunctionRole": {LIST, READ, VERSION, WRITE, DEAD, *ROWS - {QUERY}},
    "TrackerFunctionRole": {LIST, READ, WRITE, DEAD, *ROWS},
    "NotifyFunctionRole": {
        *(LIST, READ, WRITE, DEAD, "ses:SendEmail", "ses:SendRawEmail", ROW_END),
        *(ROWS - {QUERY}),
    },
    "SweeperFunctionRole": {
        *(LIST, "s3:ListBucketVersions", READ, VERSION, WRITE, DEAD, ROW_END),
        *(DELETE | ROWS | BATCH),
    },
    "ApiFunctionRole": {LIST, READ, VERSION, WRITE, *PARTS, "ses:SendEmail", *ROWS, *BATCH},
    "SubmitRole": {"batch:SubmitJob"},
    "ImageBuildRole": {
        READ,
        VERSION,
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    },
    "FlowLogsRole": {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "logs:DescribeLogStreams",
        "logs:DescribeLogGroups",
    },
    "SfmRole": {VERSION, "s3:PutObjectTagging", *DELETE, *STAGE},
    "TrainRole": {*DELETE, *STAGE},
    "CompressRole": STAGE,
    "MachineRole": {
        "ec2:DescribeTags",
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "ecs:DeregisterContainerInstance",
        "ecs:DiscoverPollEndpoint",
        "ecs:ListTagsForResource",
        "ecs:Poll",
        "ecs:RegisterContainerInstance",
        "ecs:StartTelemetrySession",
        "ecs:SubmitAttachmentStateChanges",
        "ecs:SubmitContainerStateChange",
        "ecs:SubmitTaskStateChange",
        "ecs:TagResource",
        "ecs:UpdateContainerInstancesState",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    },
}
# AWS offers no narrower resource for these.
ANYWHERE = {
    "batch:ListJobs",
    "batch:DescribeJobs",
    "ec2:DescribeTags",
    "ecs:DiscoverPollEndpoint",
    "ecr:GetAuthorizationToken",
    "logs:DescribeLogGroups",
}
# Of which partitions of the job table each role may do what: of jobs, of what tenants use, of the audit log; and the
# indexes that it may query.
COUNT, STAGES = {GET, UPDATE}, ("SfmRole", "TrainRole", "CompressRole")
PARTITIONS: dict[str, dict[str, set[str]]] = {
    "IntakeFunctionRole": {"jobs": {GET, PUT}, "tenants": COUNT},
    "TrackerFunctionRole": {"jobs": {GET, PUT, QUERY}, "tenants": {UPDATE}},
    "NotifyFunctionRole": {"jobs": {GET, PUT, UPDATE, ROW_END}, "tenants": COUNT, "audit": {PUT}},
    "SweeperFunctionRole": {"jobs": {*ROWS, ROW_END}, "tenants": COUNT, "by_state": {QUERY}, "by_tenant": {QUERY}},
    "ApiFunctionRole": {
        "jobs": ROWS,
        "tenants": COUNT,
        "audit": {PUT},
        "by_tenant": {QUERY},
        "by_owner": {QUERY},
    },
    **{stage: {"jobs": ROWS} for stage in STAGES},
}
KEYS = "dynamodb:LeadingKeys"
PATTERNS = {
    "jobs": {"ForAllValues:StringNotLike": {KEYS: "*#*"}},
    "tenants": {"ForAllValues:StringLike": {KEYS: "tenant#*"}},
    "audit": {"ForAllValues:StringLike": {KEYS: "audit#*"}},
}
# The folders below a job into which each stage may write.
FOLDERS = {"SfmRole": {"extracted", "colmap"}, "TrainRole": {"gaussian"}, "CompressRole": {"compressed"}}


def statements(role: str) -> list[dict[str, Any]]:
    return [each for policy in roles()[role]["Policies"] for each in policy["PolicyDocument"]["Statement"]]


def roles() -> dict[str, dict[str, Any]]:
    return of_type("AWS::IAM::Role")


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_every_role_is_listed_here() -> None:
    assert set(roles()) == set(RIGHTS)
    more = [name for name, each in resources().items() if each["Type"] in {"AWS::IAM::Policy", "AWS::IAM::User"}]
    assert more == ["DataKeyUse"], "test_template_audit.py holds it to its two actions"


@pytest.mark.parametrize("role", sorted(RIGHTS))
def test_a_role_may_do_exactly_this(role: str) -> None:
    assert {action for each in statements(role) for action in listed(each["Action"])} == RIGHTS[role]
    assert all(each["Effect"] == "Allow" for each in statements(role))


@pytest.mark.parametrize("role", sorted(RIGHTS))
def test_no_action_is_a_wildcard_and_no_resource_is_everything(role: str) -> None:
    for each in statements(role):
        actions = set(listed(each["Action"]))
        assert not [action for action in actions if "*" in action]
        if "*" in listed(each["Resource"]):
            assert actions <= ANYWHERE


@pytest.mark.parametrize("role", sorted(RIGHTS))
def test_the_only_managed_policy_writes_logs(role: str) -> None:
    managed = roles()[role].get("ManagedPolicyArns", [])
    assert set(managed) <= {"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}


def test_a_machine_pulls_the_images_of_its_own_stack_alone() -> None:
    """Whoever breaks out of a container has this role."""
    (pulls,) = [each for each in statements("MachineRole") if "ecr:BatchGetImage" in listed(each["Action"])]
    assert set(pulls["Resource"]) == {f"arn:{image}Repository" for image in ("Sfm", "Train", "Compress")}


@pytest.mark.parametrize("role", sorted(FOLDERS))
def test_a_stage_writes_its_own_folders_and_the_end(role: str) -> None:
    written = {
        resource.split("/jobs/*/")[1]
        for each in statements(role)
        if WRITE in listed(each["Action"])
        for resource in listed(each["Resource"])
    }
    assert written == {f"{folder}/*" for folder in FOLDERS[role]} | {"end/manifest.json"}


@pytest.mark.parametrize("role", sorted(RIGHTS))
def test_rows_by_their_partitions(role: str) -> None:
    allowed: dict[str, set[str]] = {}
    for each in statements(role):
        actions = {action for action in listed(each["Action"]) if action.startswith("dynamodb:")}
        for resource in listed(each["Resource"]) if actions else []:
            _, _, index = resource.partition("/index/")
            condition = each.get("Condition")
            name = index or next(name for name, pattern in PATTERNS.items() if pattern == condition)
            allowed.setdefault(name, set()).update(actions)
            assert index or condition, "no role may touch all rows"
    assert allowed == PARTITIONS.get(role, {})


def test_no_id_of_a_job_looks_like_another_partition() -> None:
    assert not re.match(JOB_ID_PATTERN, "tenant#a") and not re.match(JOB_ID_PATTERN, "a#")
    assert "#" not in CLOCK
    table = JobTable("jobs", _Recorder(), clock=lambda: 0.0)  # type: ignore[arg-type]
    audit(table, "acme", "POST /stop-job", "job")
    Quotas(table).release_job("acme", "job")
    assert [key.partition("#")[0] for key in table.table.keys] == ["audit", "tenant"]  # type: ignore[attr-defined]


def test_links_are_to_what_their_signers_may_read() -> None:
    readable = {
        role: {
            resource.partition("/jobs/*/")[2]
            for each in statements(role)
            if READ in listed(each["Action"])
            for resource in listed(each["Resource"])
        }
        for role in ("NotifyFunctionRole", "ApiFunctionRole")
    }
    assert {*MAILED, POSTER} == readable["NotifyFunctionRole"] - {"", "manifest.json", "shares/*"}
    own = {"", "manifest.json", "birth.json", "submission.json", "shares/*"}
    own |= {f"gaussian/{name}" for name in (LIVE_JSON, LIVE_PICTURE)}
    assert {*FILES, *REPORT_FILES, THUMB, VIEWER, f"{LEVELS}*", f"{THUMBS}*.webp"} == readable["ApiFunctionRole"] - own


class _Recorder:
    """In place of DynamoDB: the partition keys of what is written."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def Table(self, _: str) -> _Recorder:
        return self

    def put_item(self, Item: dict[str, str], **_: Any) -> None:
        self.keys.append(Item["job_id"])

    def update_item(self, Key: dict[str, str], **_: Any) -> None:
        self.keys.append(Key["job_id"])


def test_only_the_sweeper_and_for_what_is_unfinished_the_stages_delete() -> None:
    deletes = {
        role: [name.split(":::")[1] for name in listed(each["Resource"])]
        for role in RIGHTS
        for each in statements(role)
        if any("s3:Delete" in one for one in listed(each["Action"]))
    }
    pipeline, uploads = _name("PipelineBucket"), _name("UploadsBucket")
    prefixes = (layout.JOBS, layout.BIRTHS, layout.DELETIONS)
    assert deletes == {
        "SweeperFunctionRole": [f"spaceport-{pipeline}/{each}*" for each in prefixes]
        + [f"spaceport-{uploads}/uploads/*"],
        "SfmRole": [f"spaceport-{pipeline}/jobs/*/colmap/checkpoint"],
        "TrainRole": [
            f"spaceport-{pipeline}/jobs/*/gaussian/{name}" for name in ("checkpoint", LIVE_JSON, LIVE_PICTURE)
        ],
    }
    assert layout.checkpoint_key("job", StageName.SFM) == "jobs/job/colmap/checkpoint"
    assert layout.checkpoint_key("job", StageName.TRAIN) == "jobs/job/gaussian/checkpoint"


@pytest.mark.parametrize("role", ["NotifyFunctionRole", "ApiFunctionRole"])
def test_a_mail_has_only_our_sender(role: str) -> None:
    (mail,) = [each for each in statements(role) if "ses:SendEmail" in listed(each["Action"])]
    assert mail["Condition"] == {"StringEquals": {"ses:FromAddress": "MailFrom"}}


def test_everyone_needs_a_key_for_the_api() -> None:
    paths = of_type("AWS::ApiGateway::RestApi")["Api"]["Body"]["paths"]
    methods = {(path, method): each for path, verbs in paths.items() for method, each in verbs.items()}
    assert {key for key in methods if key[1] != "options"} == {
        ("/start-job", "post"),
        ("/stop-job", "post"),
        ("/jobs", "get"),
        ("/jobs/{id}", "get"),
        ("/options", "get"),
        ("/estimate", "post"),
        ("/jobs/{id}", "delete"),
        ("/jobs/{id}/stop", "post"),
        ("/jobs/{id}/retry", "post"),
        ("/jobs/{id}/model", "get"),
        ("/jobs/{id}/shares", "get"),
        ("/jobs/{id}/shares", "post"),
        ("/jobs/{id}/shares/{share}", "delete"),
        ("/shared", "get"),
        ("/shared/model", "get"),
        ("/uploads", "post"),
        ("/uploads/{id}", "get"),
        ("/uploads/{id}", "delete"),
        ("/uploads/{id}/parts", "post"),
        ("/uploads/{id}/complete", "post"),
        ("/addresses", "get"),
        ("/addresses", "post"),
        ("/confirm", "get"),
        ("/confirm", "post"),
    }
    for (path, method), each in methods.items():
        needs_key = any("api_key" in scheme for scheme in each.get("security", []))
        assert needs_key == (method != "options" and path not in {"/confirm", "/shared", "/shared/model"})


def test_people_reach_the_function_with_a_verified_sign_in_alone() -> None:
    """But for preflights, and for the page behind the link of a mail."""
    body = of_type("AWS::ApiGateway::RestApi")["UserApi"]["Body"]
    paths = {
        (path, method): each.get("security") for path, verbs in body["paths"].items() for method, each in verbs.items()
    }
    assert paths == {
        **{("/{proxy+}", method): [{"users": []}] for method in ("get", "post", "delete")},
        ("/{proxy+}", "options"): None,
        ("/confirm", "get"): None,
        ("/confirm", "post"): None,
    }
    scheme = body["components"]["securitySchemes"]["users"]
    assert (scheme["in"], scheme["name"]) == ("header", "Authorization")
    authorizer = {"type": "cognito_user_pools", "providerARNs": ["UserPoolArn"]}
    assert scheme["x-amazon-apigateway-authorizer"] == authorizer
    for name in ("UserApi", "UserApiPermission"):
        assert resources()[name]["Condition"] == "HasUsers"
    variables = of_type("AWS::Lambda::Function")["ApiFunction"]["Environment"]["Variables"]
    assert variables["SPACEPORT_USER_POOL_CLIENT"] == "UserPoolClientId"


def test_what_needs_no_key_is_throttled() -> None:
    stages = {each["RestApiId"]: each["MethodSettings"] for each in of_type("AWS::ApiGateway::Stage").values()}
    (all_of_people,) = stages["UserApi"]
    assert (all_of_people["ResourcePath"], all_of_people["HttpMethod"]) == ("/*", "*")
    assert all_of_people["ThrottlingRateLimit"] <= 20
    limits = {(each["ResourcePath"], each["HttpMethod"]): each for each in stages["Api"]}
    for route in (("/~1confirm", "GET"), ("/~1confirm", "POST"), ("/~1shared", "GET"), ("/~1shared~1model", "GET")):
        assert limits[route]["ThrottlingRateLimit"] <= 10


def test_who_reads_and_who_writes_the_addresses_of_mails() -> None:
    holders = {
        role: set(listed(each["Action"]))
        for role in RIGHTS
        for each in statements(role)
        if any(str(resource).endswith("/tenants/*/addresses/*") for resource in listed(each["Resource"]))
    }
    assert holders == {"NotifyFunctionRole": {READ}, "ApiFunctionRole": {READ, WRITE}}
    assert layout.address_key("acme", "00") == "tenants/acme/addresses/00.json"
    assert layout.own_address_key("acme", "00", "11") == "tenants/acme/addresses/own/00.11.json"


@pytest.mark.parametrize("bucket", ["UploadsBucket", "PipelineBucket"])
def test_a_bucket_is_private_encrypted_and_tells_of_every_object(bucket: str) -> None:
    properties = of_type("AWS::S3::Bucket")[bucket]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["BucketEncryption"]
    assert properties["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    rules = properties["LifecycleConfiguration"]["Rules"]
    for rule in rules:
        if "TagFilters" in rule:  # S3 takes no such action with a tag; the rule of all that jobs write has it
            assert any("AbortIncompleteMultipartUpload" in other for other in rules)
        else:
            assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] <= 7
    (policy,) = [each for each in of_type("AWS::S3::BucketPolicy").values() if each["Bucket"].endswith(_name(bucket))]
    (deny,) = policy["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_only_what_jobs_write_expires_in_the_pipeline_bucket() -> None:
    rules = of_type("AWS::S3::Bucket")["PipelineBucket"]["LifecycleConfiguration"]["Rules"]
    prefixes = [rule["Prefix"] for rule in rules]
    assert set(prefixes) == {layout.JOBS, layout.BIRTHS, f"{SOURCE_KEY.partition('/')[0]}/"}
    for kept in (layout.TENANTS, layout.TENANT_FILES):
        assert not kept.startswith(tuple(prefixes))


def test_who_takes_ids_and_who_knows_the_tenants() -> None:
    taking = {key: {READ, WRITE} for key in ("IntakeFunctionRole", "ApiFunctionRole")}
    for name, expected in (
        ("jobs/*/birth.json", taking | {"SweeperFunctionRole": {READ}}),
        ("births/*", taking | {"SweeperFunctionRole": {READ, *DELETE}}),
        ("deletions/*", {"ApiFunctionRole": {WRITE}, "SweeperFunctionRole": DELETE}),
        ("jobs/*/shares/*", {key: {READ, WRITE} for key in ("ApiFunctionRole", "NotifyFunctionRole")}),
        ("jobs/*/submission.json", {"ApiFunctionRole": {READ, WRITE}, "IntakeFunctionRole": {READ}}),
        ("tenants.json", {key: {READ} for key in (*taking, "NotifyFunctionRole", "SweeperFunctionRole")}),
    ):
        holders: dict[str, set[str]] = {}
        for role in RIGHTS:
            for each in statements(role):
                if any(str(resource).endswith(f"/{name}") for resource in listed(each["Resource"])):
                    holders[role] = holders.get(role, set()) | set(listed(each["Action"]))
        assert holders == expected
    assert layout.birth_key("job") == "jobs/job/birth.json"
    assert layout.birth_of_source_key("any").startswith("births/")
    assert layout.share_key("job", "00") == "jobs/job/shares/00.json"
    assert layout.submission_key("job") == "jobs/job/submission.json"


def test_lambda_takes_the_policy_of_all_that_may_call_the_api() -> None:
    """SAM makes a permission for each route, all of which are one policy of 20 KB at most: a deploy fails beyond."""
    stack = "s" * 26  # the longest name that `spaceport doctor --stack` lets pass
    statements = []
    for name, each in of_type("AWS::Lambda::Permission").items():
        if each["FunctionName"] == "ApiFunction":
            text, names = each["SourceArn"]["Fn::Sub"] if name != "UserApiPermission" else (each["SourceArn"], {})
            assert names == {"__ApiId__": "Api", "__Stage__": "*"} or text.endswith(":UserApi/*")
            route = re.sub(r"^.*\$\{__Stage__\}", "arn:aws:execute-api:ap-southeast-2:123456789012:a1b2c3d4e5/*", text)
            function = f"arn:aws:lambda:ap-southeast-2:123456789012:function:{stack}-ApiFunction-AbCdEfGhIjKl"
            statements.append(
                {
                    "Sid": f"{stack}-{name}-ABCDEFGHIJKL",
                    "Effect": "Allow",
                    "Principal": {"Service": each["Principal"]},
                    "Action": each["Action"],
                    "Resource": function,
                    "Condition": {"ArnLike": {"AWS:SourceArn": route}},
                }
            )
    assert len(statements) > 20
    policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
    assert len(json.dumps(policy, separators=(",", ":"))) < 20_480


def _name(bucket: str) -> str:
    return f"{bucket.removesuffix('Bucket').lower()}-123456789012-us-east-1"
