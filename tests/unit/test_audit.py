"""The audit log: a row for each write and for links, none for reading, and nothing is done that cannot be audited."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from function_cases import Batch, Context, call, deploy
from pipeline_cases import JOB, begin, photo_zip, requested, staged, whole_job

from functions.api import actions, app, caller
from functions.links import FILES
from spaceport.pipeline.contract import Artefact, StageName
from spaceport.pipeline.jobs.audit import audit
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import end_key, request_key
from spaceport.pipeline.storage import Bucket

URL = "s3://uploads/uploads/beach.zip"
DAY = 86_400
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch)
    monkeypatch.setattr(actions, "batch", Batch)
    metadata = {"job-id": "new-job"}
    uploads.client.put_object(Bucket="uploads", Key="uploads/beach.zip", Body=photo_zip(4), Metadata=metadata)


def ask(name: str, body: Any = None, **changes: Any) -> int:
    return int(app.handler(call(name, body, **changes), Context())["statusCode"])


def rows(table: JobTable) -> list[dict[str, Any]]:
    return [row for row in table.table.scan()["Items"] if str(row["job_id"]).startswith("audit#")]


def with_a_model(job_id: str = JOB) -> list[Any]:
    made = [*whole_job()]
    artefact = Artefact(key=f"jobs/{job_id}/{next(iter(FILES))}", bytes=1)
    return [each.model_copy(update={"artefacts": [artefact]}) if each.kind == "stage" else each for each in made]


WRITES = [
    ("api_start_nested", {"s3Url": URL}, "POST /start-job", URL),
    ("api_stop", {"jobId": JOB}, "POST /stop-job", JOB),
]


@pytest.mark.parametrize(("name", "body", "action", "subject"), WRITES)
def test_a_write_leaves_one_row(
    bucket: Bucket, table: JobTable, name: str, body: Any, action: str, subject: str
) -> None:
    begin(bucket, table, requested())
    assert ask(name, body) in {200, 202}
    (row,) = rows(table)
    assert (row["action"], row["subject"]) == (action, subject)
    assert (row["key_id"], row["source_ip"]) == ("k3y1d00001", "203.0.113.7")
    day, moment = str(row["job_id"]).removeprefix("audit#default#"), str(row["record"])
    assert moment.startswith(f"{day}T")
    assert int(row["expiration"]) > table.clock() + 399 * DAY


def test_a_signed_upload_and_links_leave_a_row_each(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, *with_a_model())
    assert ask("api_uploads", {"name": "Beach", "bytes": 100}) == 201
    show = {"path": f"/jobs/{JOB}", "pathParameters": {"id": JOB}}
    assert ask("api_job", **show) == 200
    assert {str(row["action"]) for row in rows(table)} == {"POST /uploads", f"GET /jobs/{JOB}"}


def test_reading_leaves_none(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, requested(), staged(StageName.SFM))
    assert ask("api_jobs") == ask("api_options") == 200
    assert ask("api_job", path=f"/jobs/{JOB}", pathParameters={"id": JOB}) == 200
    assert rows(table) == []


def test_nothing_is_done_that_cannot_be_audited(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "PutItem")

    begin(bucket, table, requested())
    monkeypatch.setattr(caller, "audit", fail)
    for name, body, *_ in WRITES:
        assert ask(name, body) == 500
    assert not bucket.exists(end_key(JOB))
    assert not bucket.exists(request_key("new-job"))
    begin(bucket, table, *with_a_model()[1:])
    answer = app.handler(call("api_job", path=f"/jobs/{JOB}", pathParameters={"id": JOB}), Context())
    assert answer["statusCode"] == 500
    assert "X-Amz-Signature" not in answer["body"]


def test_no_row_is_ever_written_over(table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "same")
    table.clock = lambda: 1_795_694_400.0
    audit(table, "acme", "POST /stop-job", "first")
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        audit(table, "acme", "POST /stop-job", "second")
    assert [row["subject"] for row in rows(table)] == ["first"]
