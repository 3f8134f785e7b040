"""The API's lists of jobs, a job as its page polls it, and what one is likely to cost."""

from __future__ import annotations

import json

import pytest
from api_cases import ask
from function_cases import Context, call, deploy
from pipeline_cases import JOB, begin, ended, requested, staged, whole_job

from functions.api import app
from functions.api.previews import MAX_PREVIEWS
from spaceport.pipeline.contract import Artefact, Figure, JobState, Outcome, StageManifest, StageName
from spaceport.pipeline.jobs.state import HEADLINES
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.options import resolve
from spaceport.pipeline.storage import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch)


def test_jobs_are_listed_newest_first_and_by_state_and_owner(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, *whole_job(), requested("older-job"), requested("mine-job", owner="k3y1d00001"))
    assert {job["job_id"] for job in ask("api_jobs")[1]["jobs"]} == {JOB, "older-job", "mine-job"}
    assert ask("api_jobs")[1]["jobs"][0]["job_id"] == JOB
    for query, expected in (
        ({"state": "COMPLETED"}, [JOB]),
        ({"state": "COMPLETED,RECEIVED", "owner": "me"}, ["mine-job"]),
        ({"state": "FAILED,REJECTED"}, []),
        ({"owner": "me"}, ["mine-job"]),
        ({"owner": "k3y1d00001", "state": "COMPLETED"}, []),
        ({"limit": "1"}, [JOB]),
    ):
        status, answer = ask("api_jobs", queryStringParameters=query)
        assert (status, [job["job_id"] for job in answer["jobs"]]) == (200, expected)
    for query in ({"limit": "many"}, {"state": "LOST"}, {"state": "FAILED,"}):
        assert ask("api_jobs", queryStringParameters=query)[0] == 400


def test_a_list_goes_on_where_a_page_of_it_ended(bucket: Bucket, table: JobTable) -> None:
    begin(bucket, table, *(requested(f"job-{number:02}", owner="mno"[number % 3]) for number in range(7)))
    queries: list[dict[str, str]] = [{}, {"state": "RECEIVED"}, {"owner": "m"}]
    for query in queries:
        every = [job["job_id"] for job in ask("api_jobs", queryStringParameters=query)[1]["jobs"]]
        assert len(every) == (7 if "owner" not in query else 3)
        for limit in (1, 2, 3, 7, 8):
            seen: list[str] = []
            more: dict[str, str] | None = {}
            while more is not None:
                answer = ask("api_jobs", queryStringParameters=query | more | {"limit": str(limit)})[1]
                seen += [job["job_id"] for job in answer["jobs"]]
                more = {"cursor": answer["cursor"]} if "cursor" in answer else None
                assert len(answer["jobs"]) == limit or not more
            assert seen == every


def test_a_list_has_pictures_of_the_models_where_they_are_asked_for(bucket: Bucket, table: JobTable) -> None:
    def compressed(job_id: str, **counts: Figure) -> StageManifest:
        manifest = staged(StageName.COMPRESS, job_id)
        return manifest.model_copy(update={"outcome": Outcome(message="done", counts=counts)})

    jobs = [f"job-{number:02}" for number in range(MAX_PREVIEWS + 5)]
    for job_id in jobs:
        table.record(requested(job_id))
        table.record(compressed(job_id, thumb_bytes=9))
    for job_id, size in (("older-job", 9), ("begun-job", 0)):
        table.record(requested(job_id))
        if size:
            table.record(compressed(job_id, sog_bytes=size))

    def audited() -> list[str]:
        return [str(row["subject"]) for row in table.table.scan()["Items"] if str(row["job_id"]).startswith("audit#")]

    everything: dict[str, str] = {"limit": "200"}
    assert not any("preview" in job for job in ask("api_jobs", queryStringParameters=everything)[1]["jobs"])
    assert audited() == []
    answer = ask("api_jobs", queryStringParameters=everything | {"previews": "true"})[1]["jobs"]
    pictures = {job["job_id"]: job["preview"] for job in answer if "preview" in job}
    assert list(pictures) == [job["job_id"] for job in answer if job["job_id"] in jobs][:MAX_PREVIEWS]
    assert all(f"/jobs/{job_id}/compressed/thumb.jpg?" in url for job_id, url in pictures.items())
    assert all("X-Amz-Expires=3600" in url for url in pictures.values())
    assert audited() == [" ".join(pictures)]


@pytest.mark.parametrize("cursor", ["x", "e30=", "é", "A" * 5000, "eyJqb2JfaWQiOiAiLi4ifQ=="])
def test_a_cursor_that_is_none(cursor: str) -> None:
    status, answer = ask("api_jobs", queryStringParameters={"cursor": cursor})
    assert (status, answer["slug"]) == (400, "bad_options")


def test_a_job_that_has_not_changed_is_not_sent_again(bucket: Bucket, table: JobTable) -> None:
    def poll(etag: str | None = None) -> tuple[int, str, str]:
        loaded = call("api_job", path=f"/jobs/{JOB}")
        loaded["headers"] = {"if-none-match": etag} if etag else {}
        answer = app.handler(loaded, Context())
        return answer["statusCode"], answer["multiValueHeaders"]["ETag"][0], answer["body"]

    begin(bucket, table, requested())
    status, etag, body = poll()
    assert (status, json.loads(body)["poll_seconds"]) == (200, 2)
    assert json.loads(body)["headline"] == "Setting up your processing pipeline"
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        assert poll(known) == (304, etag, "")
    assert poll('"other"')[0] == 200
    begin(bucket, table, staged(StageName.SFM))
    status, changed, _ = poll(etag)
    assert (status, changed != etag) == (200, True)
    begin(bucket, table, ended(JobState.STOPPED))
    etag = poll()[1]
    table.note_unsent_mail(JOB, "nobody confirmed the address")
    status, changed, body = poll(etag)
    assert (status, json.loads(body)["noMail"]) == (200, "nobody confirmed the address")
    assert json.loads(body)["headline"] == "Processing stopped, finished work kept"
    assert json.loads(body)["poll_seconds"] is None


def test_every_state_has_its_headline() -> None:
    assert set(HEADLINES) == set(JobState)


def test_an_estimate_says_what_the_row_will_say(bucket: Bucket, table: JobTable) -> None:
    body = {"photos": 18, "options": {"preset": "high"}}
    about = {"path": "/estimate", "httpMethod": "POST"}
    status, answer = ask("api_start_nested", body, **about)
    begin(bucket, table, requested(options=resolve({"preset": "high"})))
    row = table.get(JOB)
    assert row and status == 200
    assert {name: stage["usd"] for name, stage in answer["stages"].items()} == row.estimate_usd
    assert answer["usd"] == pytest.approx(sum(row.estimate_usd.values()), abs=2e-4)
    assert answer["seconds"] == pytest.approx(sum(stage["seconds"] for stage in answer["stages"].values()), abs=2)
    assert answer["stages"]["train"]["seconds"] > 120
    without = ask("api_start_nested", body | {"options": {"compress_enabled": False}}, **about)[1]
    assert set(without["stages"]) == {"sfm", "train"}
    for wrong in ({"photos": 0}, {"photos": 10**9}, {"photos": 9, "options": {"surprise": 1}}, {}):
        assert ask("api_start_nested", wrong, **about)[0] == 400


def test_a_job_is_shown_with_stages_and_links(bucket: Bucket, table: JobTable) -> None:
    model = Artefact(key=f"jobs/{JOB}/compressed/model.sog", bytes=7)
    compressed = staged(StageName.COMPRESS).model_copy(update={"artefacts": [model]})
    begin(bucket, table, requested(), compressed)
    table.acquire(JOB, StageName.SFM, "etag", "holder", 1)
    path = f"/jobs/{JOB}"
    status, answer = ask("api_job", path=path)
    assert (status, answer["job"]["job_id"], answer["links"]) == (200, JOB, [])
    assert answer["stages"]["sfm"]["holder"] == "holder"
    begin(bucket, table, ended())
    (link,) = ask("api_job", path=path)[1]["links"]
    assert (link["file"], link["bytes"]) == ("compressed/model.sog", 7)
    assert f"jobs/{JOB}/compressed/model.sog" in link["url"] and "X-Amz-Signature" in link["url"]


def test_an_ended_job_says_where_its_report_is_read(bucket: Bucket, table: JobTable) -> None:
    names = ["report.json", "thumbs-0.webp", "thumbs-1.webp", "thumbs-x.webp", "dense/images/thumbs-0.webp"]
    colmap = [Artefact(key=f"jobs/{JOB}/colmap/{name}", bytes=7) for name in names]
    other = Artefact(key="jobs/another-teams/colmap/thumbs-2.webp", bytes=7)
    sfm = staged(StageName.SFM).model_copy(update={"artefacts": [*colmap, other]})
    begin(bucket, table, requested(), sfm, requested("another-teams", tenant="other"))
    assert ask("api_job", path=f"/jobs/{JOB}")[1]["report"] == {}
    begin(bucket, table, ended(JobState.FAILED))
    report = ask("api_job", path=f"/jobs/{JOB}")[1]["report"]
    assert set(report) == {"colmap/report.json", "colmap/thumbs-0.webp", "colmap/thumbs-1.webp"}
    assert all(f"jobs/{JOB}/{path}?" in url and "attachment" not in url for path, url in report.items())
