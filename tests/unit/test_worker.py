"""The frame around a stage: claimed once, published once, and every way to end."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, EndpointConnectionError
from pipeline_cases import JOB, forget, photo_zip, request, staged, take_over
from waiting import until

from spaceport.pipeline import layout
from spaceport.pipeline.contract import (
    Artefact,
    JobState,
    Outcome,
    RequestManifest,
    StageManifest,
    StageName,
    Upload,
)
from spaceport.pipeline.errors import LostResource, Refused, Slug, SpaceportError
from spaceport.pipeline.jobs.ending import read_end, stop_job
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.jobs.state import Beat, StageState
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.jobs.tracker import on_manifest
from spaceport.pipeline.stages import heartbeat
from spaceport.pipeline.stages.heartbeat import Lease
from spaceport.pipeline.stages.stage import DONE, FAILED, REFUSED, RETRY, Stage
from spaceport.pipeline.stages.worker import run_stage
from spaceport.pipeline.storage import Bucket
from spaceport.progress import Progress

Core = Callable[[Path, Path, Any, Progress], Outcome]


class Bench:
    """One job with an upload, and a worker for any core."""

    def __init__(self, bucket: Bucket, uploads: Bucket, table: JobTable, scratch: Path) -> None:
        self.bucket = bucket
        self.table = table
        self.scratch = scratch
        self.uploads = uploads
        put = uploads.client.put_object(Bucket=uploads.name, Key="uploads/a.zip", Body=photo_zip())
        upload = Upload(bucket=uploads.name, key="uploads/a.zip", etag=put["ETag"].strip('"'), bytes=1)
        self.key = layout.request_key(JOB)
        manifest = RequestManifest(
            job_id=JOB, created_at=request().received_at, request=request(upload=upload), photos=3
        )
        bucket.put_manifest(self.key, manifest)
        table.record(manifest)

    def work(
        self, core: Core, stage: StageName = StageName.SFM, holder: str = "batch-1", key: str = "", ago: float = 0.0
    ) -> int:
        """`ago`: as if the try had begun so many seconds earlier."""
        lease = Lease(self.bucket, self.table, JOB, stage, holder, began=time.monotonic() - ago)
        return run_stage(Stage(stage, core), lease, key or self.key, 1, self.scratch)

    def manifest(self, stage: StageName = StageName.SFM) -> StageManifest | None:
        stored = self.bucket.read_manifest(layout.stage_manifest_key(JOB, stage))
        if stored is None:
            return None
        assert isinstance(stored.manifest, StageManifest)
        return stored.manifest


@pytest.fixture
def bench(bucket: Bucket, uploads: Bucket, table: JobTable, tmp_path: Path) -> Bench:
    return Bench(bucket, uploads, table, tmp_path / "scratch")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "RENEW_SECONDS", 0.02)


def good(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
    assert (source / "upload.zip").read_bytes() == photo_zip()
    progress.update(0.5, "half", photos=3)
    (output / "colmap").mkdir()
    (output / "colmap/report.json").write_text("{}")
    return Outcome(message="done", counts={"photos": 3})


def full_bucket() -> Exception:
    """As boto3's `upload_file` raises it."""
    full = {"Error": {"Code": "InsufficientStorage"}, "ResponseMetadata": {"HTTPStatusCode": 507}}
    error = S3UploadFailedError("Failed to upload")
    error.__context__ = ClientError(full, "PutObject")  # type: ignore[arg-type]  # of all metadata only what matters
    return error


def raising(error: BaseException) -> Core:
    def core(*_: Any) -> Outcome:
        raise error

    return core


def waiting(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
    until(progress.check)  # which raises when somebody ends the work
    raise AssertionError("it returned something")


def test_a_stage_publishes_and_then_writes_its_manifest(bench: Bench) -> None:
    assert bench.work(good) == DONE
    manifest = bench.manifest()
    assert manifest is not None
    assert [artefact.key for artefact in manifest.artefacts] == [f"jobs/{JOB}/colmap/report.json"]
    assert manifest.input is not None
    assert manifest.input.key == bench.key
    assert bench.table.stages(JOB)[StageName.SFM].work is StageState.DONE
    assert list(bench.scratch.iterdir()) == []


def test_a_second_delivery_does_nothing(bench: Bench) -> None:
    assert bench.work(good) == DONE
    first = bench.manifest()
    assert bench.work(raising(AssertionError("must not run")), holder="batch-2") == DONE
    assert bench.manifest() == first
    forget(bench.table, JOB)  # even when the table was lost: the manifest says it is done
    assert bench.work(raising(AssertionError("must not run")), holder="batch-3") == DONE


def test_a_claim_in_other_hands_is_left_alone(bench: Bench) -> None:
    stored = bench.bucket.read_manifest(bench.key)
    assert stored is not None
    bench.table.acquire(JOB, StageName.SFM, stored.etag, "batch-0", 1)
    assert bench.work(raising(AssertionError("must not run"))) == DONE
    assert bench.manifest() is None


def test_refused_input_ends_the_job(bench: Bench) -> None:
    assert bench.work(raising(Refused(Slug.NO_OVERLAP, total=3))) == REFUSED
    end = read_end(bench.bucket, JOB)
    assert end is not None
    assert (end.state, end.stage) == (JobState.FAILED, StageName.SFM)
    assert end.failure is not None
    assert end.failure.slug is Slug.NO_OVERLAP


def test_a_stage_leaves_the_counters_of_tenants_to_the_tracker(bench: Bench) -> None:
    """Its role may not touch them: it decodes hostile files."""
    quotas = Quotas(bench.table)
    quotas.restore_jobs("default", {JOB})
    assert bench.work(raising(Refused(Slug.NO_OVERLAP, total=3))) == REFUSED
    row = bench.table.get(JOB)
    assert row is not None and row.state is JobState.FAILED
    assert quotas.open_jobs("default") == {JOB}
    on_manifest(bench.bucket, bench.table, layout.end_key(JOB))
    assert quotas.open_jobs("default") == frozenset()


def test_other_failures_of_the_input_end_it_too(bench: Bench) -> None:
    assert bench.work(raising(SpaceportError(Slug.TRAINING_DIVERGED, iterations=7))) == REFUSED


@pytest.mark.parametrize(
    ("error", "slug"),
    [
        (LostResource(Slug.MACHINE_LOST, stage="Training"), Slug.MACHINE_LOST),
        (OSError(errno.ENOSPC, "no space"), Slug.DISK_FULL),
        (full_bucket(), Slug.DISK_FULL),
        (MemoryError(), Slug.OUT_OF_MEMORY),
    ],
)
def test_a_lost_resource_is_tried_again(bench: Bench, error: Exception, slug: Slug) -> None:
    assert bench.work(raising(error)) == RETRY
    assert read_end(bench.bucket, JOB) is None
    row = bench.table.stages(JOB)[StageName.SFM]
    assert row.work is StageState.RELEASED
    assert row.failure is not None
    assert row.failure.slug is slug
    assert bench.work(good) == DONE


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(errno.EIO, "io")])
def test_a_bug_is_neither_retried_nor_hidden(bench: Bench, error: Exception) -> None:
    assert bench.work(raising(error)) == FAILED
    failure = bench.table.stages(JOB)[StageName.SFM].failure
    assert failure is not None
    assert failure.slug is Slug.INTERNAL


def test_sigterm_means_try_again(bench: Bench) -> None:
    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        return waiting(source, output, options, progress)

    assert bench.work(core) == RETRY
    assert bench.manifest() is None
    assert bench.table.stages(JOB)[StageName.SFM].work is StageState.RELEASED


def test_seconds_and_dollars_are_those_of_all_tries(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        until(lambda: bench.table.stages(JOB)[StageName.SFM].spent >= 3000)  # a heartbeat tells it
        raise KeyboardInterrupt  # as a kill: nobody gives the lease back

    monkeypatch.setenv("SPACEPORT_INSTANCE_TYPE", "c6i.2xlarge")
    assert bench.work(raising(LostResource(Slug.MACHINE_LOST, stage="Training")), ago=1000) == RETRY
    with pytest.raises(KeyboardInterrupt):
        bench.work(killed, ago=2000)
    assert bench.table.stages(JOB)[StageName.SFM].work is StageState.WORKING
    assert bench.work(good, ago=4000) == DONE
    manifest = bench.manifest()
    assert manifest is not None
    assert 7000 <= manifest.seconds < 7100
    assert manifest.usd == pytest.approx(manifest.seconds * 0.34 / 3600, abs=1e-6)


def test_a_stop_ends_the_work_without_a_manifest(bench: Bench) -> None:
    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        stop_job(bench.bucket, bench.table, JOB)
        return waiting(source, output, options, progress)

    assert bench.work(core) == DONE
    assert bench.manifest() is None
    row = bench.table.get(JOB)
    assert row is not None
    assert row.state is JobState.STOPPED
    assert bench.work(raising(AssertionError("must not run"))) == DONE


def test_a_stop_during_the_last_moment_is_seen(bench: Bench) -> None:
    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        made = good(source, output, options, progress)
        stop_job(bench.bucket, bench.table, JOB)
        return made

    assert bench.work(core) == DONE
    assert bench.manifest() is None


def test_losing_the_claim_ends_the_work(bench: Bench) -> None:
    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        take_over(bench.table, StageName.SFM)
        return waiting(source, output, options, progress)

    assert bench.work(core) == DONE
    assert bench.manifest() is None
    assert bench.table.stages(JOB)[StageName.SFM].holder == "batch-2"


def test_a_laptop_that_slept_goes_on_with_its_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "RENEW_SECONDS", 60)
    asleep = [0.0]
    monkeypatch.setattr(heartbeat, "elapsed", lambda: time.monotonic() + asleep[0])

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        slept = 7200.0
        key = {"job_id": JOB, "record": "stage#sfm"}
        past = {":past": int(time.time() - slept)}
        table = bench.table.table
        table.update_item(Key=key, UpdateExpression="SET lease_until = :past", ExpressionAttributeValues=past)
        asleep[0] = slept
        until(lambda: bench.table.stages(JOB)[StageName.SFM].lease_until > time.time(), seconds=20)
        progress.check()
        return Outcome(message="done")

    assert bench.work(core) == DONE
    assert bench.manifest()


def test_heartbeats_reach_the_table(bench: Bench) -> None:
    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        progress.update(0.5, "Matching photos", photos=3)
        until(lambda: (row := bench.table.get(JOB)) and row.message == "Matching photos")  # a heartbeat tells it
        row = bench.table.get(JOB)
        assert row
        assert (row.state, row.percent, row.live) == (JobState.SFM, 12.5, {"photos": 3})
        return Outcome(message="done")

    assert bench.work(core) == DONE


def test_a_heart_goes_on_whatever_befalls_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    troubles = iter([RuntimeError("a bug"), TimeoutError("a full table"), ValueError("a row from elsewhere")])
    record = bench.table.record

    def troubled(news: Any, job_id: str | None = None) -> Any:
        if isinstance(news, Beat) and (trouble := next(troubles, None)):
            raise trouble
        return record(news, job_id)

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        progress.update(0.5, "Matching photos")
        until(lambda: (row := bench.table.get(JOB)) and row.message == "Matching photos")
        return good(source, output, options, progress)

    monkeypatch.setattr(bench.table, "record", troubled)
    assert bench.work(core) == DONE


def test_a_heart_that_stood_still_for_a_lease_ends_the_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: Any) -> bool:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    monkeypatch.setattr(heartbeat, "LEASE_SECONDS", 0.1)
    monkeypatch.setattr(bench.table, "renew", cut_off)
    assert bench.work(waiting) == DONE
    assert bench.manifest() is None


def test_a_replaced_upload_is_refused(bench: Bench) -> None:
    bench.uploads.client.put_object(Bucket=bench.uploads.name, Key="uploads/a.zip", Body=b"other")
    assert bench.work(good) == REFUSED
    end = read_end(bench.bucket, JOB)
    assert end is not None
    assert end.failure is not None
    assert end.failure.slug is Slug.UPLOAD_MISSING


def test_a_stage_fetches_what_it_wants_and_nothing_else(bench: Bench) -> None:
    bench.bucket.client.put_object(Bucket=bench.bucket.name, Key=f"jobs/{JOB}/colmap/dense/a.bin", Body=b"dense")
    keys = [f"jobs/{JOB}/colmap/dense/a.bin", f"jobs/{JOB}/extracted/huge.jpg"]
    done = staged(StageName.SFM).model_copy(update={"artefacts": [Artefact(key=key, bytes=5) for key in keys]})
    key = layout.stage_manifest_key(JOB, StageName.SFM)
    bench.bucket.put_manifest(key, done)
    seen: list[str] = []

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        seen.extend(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
        return Outcome(message="done")

    assert bench.work(core, StageName.TRAIN, key=key) == DONE
    assert seen == ["colmap/dense/a.bin"]


def test_a_key_that_leaves_its_folder_is_refused(bench: Bench) -> None:
    wild = Artefact(key=f"jobs/{JOB}/colmap/dense/../../../../etc/passwd", bytes=1)
    key = layout.stage_manifest_key(JOB, StageName.SFM)
    bench.bucket.put_manifest(key, staged(StageName.SFM).model_copy(update={"artefacts": [wild]}))
    assert bench.work(good, StageName.TRAIN, key=key) == REFUSED


def test_compression_can_be_left_out(bench: Bench) -> None:
    plain = staged(StageName.TRAIN, options={"compress_enabled": False})
    key = layout.stage_manifest_key(JOB, StageName.TRAIN)
    bench.bucket.put_manifest(key, plain)
    assert bench.work(raising(AssertionError("must not run")), StageName.COMPRESS, key=key) == DONE


def test_a_vanished_manifest_is_nothing_to_do(bench: Bench) -> None:
    assert bench.work(good, StageName.TRAIN, key=layout.stage_manifest_key(JOB, StageName.SFM)) == DONE
    assert bench.manifest(StageName.TRAIN) is None
    assert read_end(bench.bucket, JOB) is None


def test_compression_gets_what_its_report_needs_of_all_stages_before_if_it_is_there(bench: Bench) -> None:
    bucket = bench.bucket
    bodies = {"colmap/report.json": b"sfm", "colmap/thumbs-0.webp": b"tiles", "gaussian/model.ply": b"ply"}
    for path, body in bodies.items():
        bucket.put_small(f"jobs/{JOB}/{path}", body)
    artefacts = {
        StageName.SFM: ["colmap/report.json", "colmap/thumbs-0.webp", "colmap/thumbs-1.webp", "colmap/dense/a.jpg"],
        StageName.TRAIN: ["gaussian/model.ply"],
    }
    for stage, paths in artefacts.items():
        made = [Artefact(key=f"jobs/{JOB}/{path}", bytes=len(bodies.get(path, b"gone"))) for path in paths]
        manifest = staged(stage).model_copy(update={"artefacts": made})
        bucket.put_manifest(layout.stage_manifest_key(JOB, stage), manifest)
    seen: dict[str, bytes] = {}

    def core(source: Path, *_: Any) -> Outcome:
        seen.update({path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*.*")})
        return Outcome(message="done")

    assert bench.work(core, StageName.COMPRESS, key=layout.stage_manifest_key(JOB, StageName.TRAIN)) == DONE
    assert seen["gaussian/model.ply"] == b"ply"
    assert "colmap/thumbs-1.webp" not in seen and "colmap/dense/a.jpg" not in seen, "gone, and not wanted"
    assert StageManifest.model_validate_json(seen["gaussian/manifest.json"]).stage is StageName.TRAIN
    assert bench.manifest(StageName.COMPRESS)
