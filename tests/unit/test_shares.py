"""Shares: a token opens exactly its job within its scope, until it ends or is withdrawn."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from function_cases import Context, call, deploy, put_tenants
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_cases import START, ended, key_of, requested, staged
from pydantic import BaseModel
from test_template_routes import OF_SHARES, PUBLIC, routes

from functions.api import app
from functions.api.share_report import FIELDS, GEOREFERENCE, PHOTO, PHOTO_POSITION
from spaceport.pipeline import layout
from spaceport.pipeline.contract import Artefact, StageName, now
from spaceport.pipeline.jobs.shares import MAX_SHARES, Scope, Share, new_share, share_of_token, withdraw_share
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.reports.compress import CompressReport
from spaceport.pipeline.reports.sfm import Georeference, PhotoReport, SfmReport
from spaceport.pipeline.reports.train import TrainReport
from spaceport.pipeline.storage import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing
JOBS = ("beach-job", "quarry-job")
OPEN = OF_SHARES | PUBLIC
INVALID = {
    "slug": "not_found",
    "sentence": "This link does not work: it is mistyped, was withdrawn or has ended. Ask whoever sent it for another.",
}
REPORTS: dict[StageName, dict[str, Any]] = {
    StageName.SFM: {
        "options": {"secret": 1},
        "photos": [{"name": "a.jpg", "registered": True, "position": [51.5, -0.12, 80.0], "gps_residual_m": 0.5}],
        "georeference": {"aligned": True, "metric": True, "origin": {"latitude": 51.5}, "crs": "EPSG:32631"},
        "findings": [],
        "a_new_field": "secret",
    },
    StageName.TRAIN: {"options": {"secret": 1}, "quality": {"psnr_held_out": 27.5}},
    StageName.COMPRESS: {"sog_psnr": 40.0},
}


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, KEEP_DAYS="60")
    for job_id in JOBS:
        begin(bucket, table, job_id)


def begin(bucket: Bucket, table: JobTable, job_id: str) -> None:
    about = {"name": f"Name of {job_id}", "email": f"secret@{job_id}.example", "owner": "k3y1d00001"}
    manifests: list[Any] = [requested(job_id, **about)]
    for stage in StageName:
        folder = f"jobs/{job_id}/{layout.STAGE_FOLDERS[stage].output}"
        names = {
            StageName.SFM: ["report.json", "thumbs-0.webp"],
            StageName.TRAIN: ["report.json", "model.ply", "preview.jpg", "cameras.json"],
            StageName.COMPRESS: [
                *("report.json", "model.sog", "preview.jpg"),
                *("lod/lod-meta.json", "lod/0_0/meta.json", "viewer.json"),
            ],
        }[stage]
        bucket.put_small(f"{folder}/report.json", json.dumps(REPORTS[stage]).encode())
        made = [Artefact(key=f"{folder}/{name}", bytes=7) for name in names]
        manifests.append(staged(stage, job_id, **about).model_copy(update={"artefacts": made}))
    bucket.put_small(f"jobs/{job_id}/compressed/viewer.json", b'{"up": [0, 0, 1]}')
    for manifest in [*manifests, ended(job_id=job_id).model_copy(update={"request": manifests[0].request})]:
        bucket.put_manifest(key_of(manifest), manifest)
        table.record(manifest)


def ask(method: str, path: str, body: Any = None, key: str | None = "k3y1d00001", token: str | None = None) -> Any:
    loaded = call("api_job", "" if body is None else body, path=path, httpMethod=method)
    loaded["requestContext"]["identity"]["apiKeyId"] = key
    loaded["headers"] = {"origin": "https://splats.example.com"} | (
        {"x-share-token": token} if token is not None else {}
    )
    loaded["multiValueHeaders"] = {name: [value] for name, value in loaded["headers"].items()}
    answer = app.handler(loaded, Context())
    return answer["statusCode"], json.loads(answer["body"])


def share(job_id: str = JOBS[0], **body: Any) -> Any:
    status, answer = ask("POST", f"/jobs/{job_id}/shares", body)
    assert status == 201
    return answer


def look(token: str, path: str = "/shared") -> Any:
    return ask("GET", path, key=None, token=token)


def test_a_share_shows_name_pictures_and_model() -> None:
    answer = share(label="For the quarry's owner")
    assert answer["share"]["may"] == "look"
    assert "label" in answer["share"] and "token" not in answer["share"]
    status, shown = look(answer["token"])
    assert status == 200
    assert shown["job"]["name"] == "Name of beach-job"
    assert [link["file"] for link in shown["pictures"]] == ["compressed/preview.jpg", "gaussian/preview.jpg"]
    assert shown["model"] and "report" not in shown and "links" not in shown
    status, model = look(answer["token"], "/shared/model")
    assert (status, model["format"], set(model["files"])) == (200, "lod", {"lod-meta.json", "0_0/meta.json"})
    assert model["viewer"] == {"up": [0, 0, 1]}
    assert "X-Amz-Expires=3600" in model["files"]["lod-meta.json"]
    for secret in ("secret@", "k3y1d00001", "owner", "usd", "quarry-job", "For the quarry"):
        assert secret not in json.dumps([shown, model])


def test_what_reports_show() -> None:
    shown = {may: look(share(may=may)["token"])[1] for may in Scope}
    assert ["report" in shown[may] for may in Scope] == [False, True, True]
    assert [link["file"] for link in shown[Scope.DOWNLOAD]["links"]] == ["compressed/model.sog", "gaussian/model.ply"]
    report = shown[Scope.REPORT]["report"]
    assert report["train"] == {"quality": {"psnr_held_out": 27.5}} and report["compress"] == {"sog_psnr": 40.0}
    assert report["sfm"] == {
        "photos": [{"name": "a.jpg", "registered": True}],
        "georeference": {"aligned": True, "metric": True},
        "findings": [],
    }
    pictures = {"colmap/thumbs-0.webp", "gaussian/preview.jpg", "compressed/preview.jpg"}
    assert set(shown[Scope.REPORT]["files"]) == pictures and "files" not in shown[Scope.LOOK]
    with_positions = look(share(may="report", positions=True)["token"])[1]
    assert set(with_positions["files"]) == pictures | {"gaussian/cameras.json"}
    ticked = with_positions["report"]["sfm"]
    assert ticked["photos"] == REPORTS[StageName.SFM]["photos"]
    assert ticked["georeference"] == REPORTS[StageName.SFM]["georeference"]


def test_what_is_shown_of_reports_is_in_them_and_says_no_options() -> None:
    models: dict[StageName, type[BaseModel]] = {
        StageName.SFM: SfmReport,
        StageName.TRAIN: TrainReport,
        StageName.COMPRESS: CompressReport,
    }
    for stage, names in FIELDS.items():
        assert names <= set(models[stage].model_fields)
        assert "options" not in names
    assert set(PhotoReport.model_fields) >= PHOTO | PHOTO_POSITION
    assert set(Georeference.model_fields) >= GEOREFERENCE


def test_shares_are_listed_and_withdrawn_by_who_may_handle_the_job(bucket: Bucket) -> None:
    first, second = share(), share(may="download", days=1)
    listed = ask("GET", "/jobs/beach-job/shares")[1]["shares"]
    assert {each["id"] for each in listed} == {first["share"]["id"], second["share"]["id"]}
    assert ask("GET", "/jobs/quarry-job/shares") == (200, {"shares": []})
    path = f"/jobs/beach-job/shares/{first['share']['id']}"
    for method, where, body in (
        ("POST", "/jobs/beach-job/shares", {}), ("GET", "/jobs/beach-job/shares", None), ("DELETE", path, None)
    ):  # fmt: skip
        assert ask(method, where, body, key="another")[0] == 403
    for _ in range(2):
        assert ask("DELETE", path)[0] == 200
    assert look(first["token"]) == (404, INVALID)
    assert look(second["token"])[0] == 200
    assert [each["id"] for each in ask("GET", "/jobs/beach-job/shares")[1]["shares"]] == [second["share"]["id"]]
    for unknown in ("0" * 64, "..", first["share"]["id"][:-1]):
        assert ask("DELETE", f"/jobs/beach-job/shares/{unknown}")[0] == 404
    put_tenants(bucket, {"acme": {"keys": ["acme"], "admin_keys": ["boss"]}})
    for key in ("acme", "boss"):
        expected = {"slug": "not_found", "sentence": "There is no job beach-job."}
        assert ask("GET", "/jobs/beach-job/shares", key=key) == (404, expected)


@pytest.mark.parametrize(
    "body", [{"days": 0}, {"days": 61}, {"days": 366}, {"may": "everything"}, {"label": "x" * 201}, {"key": "a"}]
)
def test_what_is_no_share(body: Any) -> None:
    assert ask("POST", "/jobs/beach-job/shares", body)[0] == 400


def test_a_job_has_so_many_shares_and_no_more(bucket: Bucket) -> None:
    for number in range(MAX_SHARES):
        bucket.put_small(layout.share_key("beach-job", f"{number:064x}"), b"{}")
    assert ask("POST", "/jobs/beach-job/shares", {})[1]["slug"] == "conflict"


def test_the_secret_is_nowhere(bucket: Bucket, table: JobTable) -> None:
    secret = share()["token"].partition(".")[2]
    assert len(secret) == 43
    (stored,) = bucket.list_objects("jobs/beach-job/shares/")
    raw = bucket.read_small(stored.key, 4096)
    assert raw and secret not in raw.decode() + stored.key + str(table.table.scan()["Items"])


def test_who_looks_is_in_the_audit_log(table: JobTable) -> None:
    answer = share()
    look(answer["token"])
    rows = [row for row in table.table.scan()["Items"] if str(row["job_id"]).startswith("audit#")]
    actions = {(row["action"], row["subject"], row["key_id"]) for row in rows}
    assert ("POST /jobs/beach-job/shares", "beach-job", "k3y1d00001") in actions
    assert ("GET /shared", f"beach-job by share {answer['share']['id'][:12]}", "-") in actions


def tokens(bucket: Bucket) -> Iterator[tuple[str, str | None]]:
    """Tokens, and the job that each opens; None for those that must open none."""
    secrets = {}
    for job_id in JOBS:
        for may in Scope:
            _, token = new_share(bucket, job_id, 1, may, "", positions=False)
            secrets[job_id] = token.partition(".")[2]
            yield token, job_id
        stopped, token = new_share(bucket, job_id, 1, Scope.DOWNLOAD, "", positions=True)
        withdraw_share(bucket, job_id, stopped.id)
        yield token, None
        past, token = new_share(bucket, job_id, 1, Scope.DOWNLOAD, "", positions=True)
        past = past.model_copy(update={"expires_at": now() - timedelta(milliseconds=1)})
        bucket.put_small(layout.share_key(job_id, past.id), past.model_dump_json().encode())
        yield token, None
    first, second = JOBS
    yield f"{first}.{secrets[second]}", None
    moved = share_of_token(bucket, f"{second}.{secrets[second]}")
    for key in (layout.share_key(first, moved.id), layout.share_key("no-such-job", moved.id)):
        bucket.put_small(key, moved.model_dump_json().encode())  # another's share under the job's own key
    yield f"no-such-job.{secrets[second]}", None
    yield secrets[first], None
    yield f"{first}.{secrets[first]}x", None
    yield f"{first}/../{second}.{secrets[second]}", None
    yield "", None


def test_a_token_opens_exactly_its_job(bucket: Bucket) -> None:
    known = list(tokens(bucket))
    ids = {"{id}": "beach-job", "{share}": "0" * 64}
    of_keys = [re.sub(r"\{\w+\}", lambda name: ids[name[0]], route) for route in routes() if route not in OPEN]
    assert {"DELETE /jobs/beach-job", "POST /jobs/beach-job/retry"} < set(of_keys)
    all_routes = st.sampled_from([*sorted(OF_SHARES), *of_keys])

    @settings(deadline=None, max_examples=150, database=None)
    @given(st.sampled_from(known), all_routes, st.integers(0, 80), st.characters(codec="latin-1"))
    def opens(chosen: tuple[str, str | None], route: str, place: int, letter: str) -> None:
        token, job_id = chosen
        if place < len(token) and letter != token[place]:  # else it stays as it is
            token, job_id = token[:place] + letter + token[place + 1 :], None
        method, _, path = route.partition(" ")
        status, answer = ask(method, path, {} if method == "POST" else None, key=None, token=token)
        if route in of_keys:
            assert (status, answer["slug"]) == (403, "forbidden")
        elif job_id is None:
            assert (status, answer) == (404, INVALID)
        else:
            assert status == 200
            (foreign,) = set(JOBS) - {job_id}
            assert foreign not in json.dumps(answer) and "secret" not in json.dumps(answer)

    opens()


def test_a_share_says_when_it_works() -> None:
    about = {"job_id": "beach-job", "id": "0" * 64, "created_at": START}
    assert Share.model_validate(about | {"expires_at": now() + timedelta(days=1)}).works()
    assert not Share.model_validate(about | {"expires_at": START}).works()
    assert os.environ["SPACEPORT_KEEP_DAYS"] == "60"
