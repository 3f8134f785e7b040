"""What `spaceport/local/function_roles.py`, `calls.py` and `roles.py` rely on in the exactly pinned ministack."""

from __future__ import annotations

import inspect

import pytest
from ministack.core import iam_evaluator, lambda_runtime
from ministack.core.iam_actions import _s3_action, access_denied_response
from ministack.services import lambda_svc

from spaceport.local.access import ACCOUNT, role_secret
from spaceport.local.function_roles import install


def test_functions_get_the_credentials_of_their_role(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "update(execution_credentials(self.config))" in inspect.getsource(lambda_runtime)
    assert "update(execution_credentials(config))" in inspect.getsource(lambda_svc)
    for module in (lambda_runtime, lambda_svc):
        monkeypatch.setattr(module, "execution_credentials", module.execution_credentials)  # put back afterwards
    install("secret")
    role = "arn:aws:iam::000000000000:role/stack-ApiRole-1A2B"
    for module in (lambda_runtime, lambda_svc):
        environment = module.execution_credentials({"Role": role, "FunctionArn": "f"})
        assert environment["AWS_ACCESS_KEY_ID"] == "stack-ApiRole-1A2B"
        assert environment["AWS_SECRET_ACCESS_KEY"] == role_secret("secret", "stack-ApiRole-1A2B")
    resolved = iam_evaluator.resolve_credential("stack-ApiRole-1A2B", ACCOUNT, "")
    assert resolved.secret_access_key == role_secret("secret", "stack-ApiRole-1A2B"), "for links and forms"


@pytest.mark.parametrize(
    ("method", "path", "query", "action"),
    [
        ("HEAD", "/b/k", {}, "GetObject"),
        ("GET", "/b/k", {"versionId": ["1"]}, "GetObjectVersion"),
        ("PUT", "/b/k", {"partNumber": ["1"], "uploadId": ["1"]}, "PutObject"),
        ("POST", "/b/k", {"uploads": [""]}, "PutObject"),
        ("DELETE", "/b/k", {"uploadId": ["1"]}, "AbortMultipartUpload"),
        ("DELETE", "/b/k", {"versionId": ["1"]}, "DeleteObjectVersion"),
        ("GET", "/b", {"list-type": ["2"]}, "ListBucket"),
        ("GET", "/b", {"versions": [""]}, "ListBucketVersions"),
        ("GET", "/b/k", {"uploadId": ["1"]}, "ListMultipartUploadParts"),
    ],
)
def test_requests_of_s3_have_the_actions_of_its_reference(
    method: str, path: str, query: dict[str, list[str]], action: str
) -> None:
    assert _s3_action(method, path, query) == action


def test_a_refusal_has_its_status_headers_and_body() -> None:
    status, headers, body = access_denied_response("dynamodb", "dynamodb:GetItem", "role", "1")
    assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert b"role" in body


@pytest.mark.parametrize(
    ("operator", "actual", "expected"),
    [
        ("ForAllValues:StringLike", ["tenant#a"], True),
        ("ForAllValues:StringLike", ["a-job"], False),
        ("ForAllValues:StringNotLike", ["tenant#a"], False),
        ("ForAllValues:StringNotLike", ["a-job"], True),
        ("StringEquals", "tenant#*", True),
        ("StringEquals", None, False),
    ],
)
def test_conditions_mean_what_iam_says(operator: str, actual: object, expected: bool) -> None:
    assert iam_evaluator._evaluate_single_condition(operator, actual, ["tenant#*"]) is expected
