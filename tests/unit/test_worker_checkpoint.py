"""A stage's checkpoint in the bucket: uploaded while it works, used by the next try, gone when it is done."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_cases import JOB, staged, take_over
from waiting import until

from spaceport.pipeline import layout
from spaceport.pipeline.contract import Outcome, StageManifest, StageName
from spaceport.pipeline.errors import LostResource, Refused, Slug
from spaceport.pipeline.jobs.ending import read_end, stop_job
from spaceport.pipeline.jobs.state import StageState
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.stages import checkpoint, heartbeat
from spaceport.pipeline.stages.heartbeat import Lease
from spaceport.pipeline.stages.stage import DONE, FAILED, REFUSED, RETRY, Stage
from spaceport.pipeline.stages.worker import run_stage
from spaceport.pipeline.storage import Bucket
from spaceport.progress import Progress

KEY = f"jobs/{JOB}/gaussian/checkpoint"
Core = Callable[[Path, Path, Any, Progress], Outcome]


class Bench:
    """A job whose training is to be done, in a bucket that keeps versions as the deployed one does."""

    def __init__(self, bucket: Bucket, table: JobTable, scratch: Path) -> None:
        self.bucket = bucket
        self.table = table
        self.scratch = scratch
        bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        self.key = layout.stage_manifest_key(JOB, StageName.SFM)
        bucket.put_manifest(self.key, staged(StageName.SFM))
        table.record(staged(StageName.SFM))

    def work(self, core: Core, *, attempt: int = 1, holder: str = "batch-1") -> int:
        lease = Lease(self.bucket, self.table, JOB, StageName.TRAIN, holder)
        stage = Stage(StageName.TRAIN, core, checkpoint="gaussian/checkpoint")
        return run_stage(stage, lease, self.key, attempt, self.scratch)

    def etag(self) -> str:
        stored = self.bucket.read_manifest(self.key)
        assert stored
        return stored.etag

    def put(self, body: bytes, etag: str | None = None) -> None:
        metadata = {checkpoint.INPUT: etag or self.etag()}
        self.bucket.client.put_object(Bucket=self.bucket.name, Key=KEY, Body=body, Metadata=metadata)

    def kept(self) -> bytes | None:
        """The checkpoint in the bucket."""
        if not self.bucket.exists(KEY):
            return None
        return self.bucket.client.get_object(Bucket=self.bucket.name, Key=KEY)["Body"].read()

    def versions(self) -> int:
        listing = self.bucket.client.list_object_versions(Bucket=self.bucket.name, Prefix=KEY)
        return len(listing.get("Versions", [])) + len(listing.get("DeleteMarkers", []))

    def until_kept(self, body: bytes) -> None:
        until(lambda: self.kept() == body)


@pytest.fixture
def bench(bucket: Bucket, table: JobTable, tmp_path: Path) -> Bench:
    return Bench(bucket, table, tmp_path / "scratch")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "RENEW_SECONDS", 0.02)
    monkeypatch.setattr(checkpoint, "POLL_SECONDS", 0.02)


def save(output: Path, body: bytes) -> None:
    path = output / "gaussian" / "checkpoint"
    path.parent.mkdir(exist_ok=True)
    part = path.with_name("part")
    part.write_bytes(body)
    part.replace(path)


def wait(progress: Progress) -> Outcome:
    until(progress.check)  # which raises when somebody ends the work
    raise AssertionError("it returned something")


def cut_off(*_: Any) -> Outcome:
    raise LostResource(Slug.MACHINE_LOST, stage="Training")


def record_checkpoint(into: list[bytes | None]) -> Core:
    """Ends at once, after recording the checkpoint that it starts from."""

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        path = output / "gaussian" / "checkpoint"
        into.append(path.read_bytes() if path.exists() else None)
        (output / "gaussian").mkdir(exist_ok=True)
        (output / "gaussian" / "model.ply").write_bytes(b"ply")
        return Outcome(message="done")

    return core


def test_it_is_uploaded_each_time_it_has_changed_and_only_its_last_version_is_kept(bench: Bench) -> None:
    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        for body in (b"one", b"two", b"three"):
            save(output, body)
            bench.until_kept(body)
        until(lambda: bench.versions() == 1)
        before = bench.bucket.head(KEY)
        time.sleep(0.1)
        assert bench.bucket.head(KEY) == before, "uploaded again though it was the same"
        assert before is not None
        assert before.metadata == {checkpoint.INPUT: bench.etag()}
        return cut_off()

    assert bench.work(core) == RETRY
    assert bench.kept() == b"three"


def test_sigterm_uploads_the_very_last_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "POLL_SECONDS", 60.0)

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            return wait(progress)
        finally:
            save(output, b"the last moment")

    assert bench.work(core) == RETRY
    assert bench.kept() == b"the last moment"
    assert bench.table.stages(JOB)[StageName.TRAIN].work is StageState.RELEASED
    seen: list[bytes | None] = []
    assert bench.work(record_checkpoint(seen), attempt=2) == DONE
    assert seen == [b"the last moment"]


def test_the_next_try_goes_on_from_it_and_what_is_done_leaves_none(bench: Bench) -> None:
    bench.put(b"by a try that was killed")
    bench.put(b"and another")
    seen: list[bytes | None] = []
    assert bench.work(record_checkpoint(seen), attempt=2) == DONE
    assert seen == [b"and another"]
    stored = bench.bucket.read_manifest(layout.stage_manifest_key(JOB, StageName.TRAIN))
    assert stored
    assert isinstance(stored.manifest, StageManifest)
    assert [each.key for each in stored.manifest.artefacts] == [f"jobs/{JOB}/gaussian/model.ply"]
    assert bench.versions() == 0, "no version and no marker of it may stay"


def test_it_is_there_until_the_manifest_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    put, delete = bench.bucket.put_manifest, bench.bucket.delete

    def recorded(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            order.append(name)
            return method(*arguments)

        return call

    monkeypatch.setattr(bench.bucket, "put_manifest", recorded("manifest", put))
    monkeypatch.setattr(bench.bucket, "delete", recorded("delete", delete))
    bench.put(b"from before")
    assert bench.work(record_checkpoint([]), attempt=2) == DONE
    assert order == ["manifest", "delete"]


def test_one_of_another_input_is_not_used(bench: Bench) -> None:
    bench.put(b"of other photos", etag="0" * 32)
    seen: list[bytes | None] = []
    assert bench.work(record_checkpoint(seen)) == DONE
    assert seen == [None]


def test_one_that_was_fetched_is_not_uploaded_again(bench: Bench) -> None:
    bench.put(b"from before")
    before = bench.bucket.head(KEY)

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        time.sleep(0.2)
        return cut_off()

    assert bench.work(core, attempt=2) == RETRY
    assert bench.bucket.head(KEY) == before


def test_a_stopped_job_uploads_none_and_keeps_none(bench: Bench) -> None:
    bench.put(b"from before")

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        stop_job(bench.bucket, bench.table, JOB)
        save(output, b"after the stop")
        time.sleep(0.1)
        assert bench.kept() == b"from before"
        return wait(progress)

    assert bench.work(core, attempt=2) == DONE
    assert bench.versions() == 0


def test_a_lost_claim_leaves_the_checkpoint_to_the_one_who_has_it(bench: Bench) -> None:
    bench.put(b"the other's")

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        take_over(bench.table, StageName.TRAIN)
        save(output, b"mine")
        time.sleep(0.1)
        return wait(progress)

    assert bench.work(core) == DONE
    assert bench.kept() == b"the other's"


@pytest.mark.parametrize(
    ("error", "code"), [(Refused(Slug.TRAINING_DIVERGED, iterations=7), REFUSED), (RuntimeError("a bug"), FAILED)]
)
def test_no_try_will_come_and_so_none_is_kept(bench: Bench, error: Exception, code: int) -> None:
    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        save(output, b"of no use")
        bench.until_kept(b"of no use")
        raise error

    assert bench.work(core) == code
    assert bench.versions() == 0


def test_a_file_replaced_while_it_is_read_is_uploaded_as_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []
    put = bench.bucket.put_file

    def slow(path: Path, key: str, metadata: dict[str, str]) -> None:
        with path.open("rb") as file:
            first = file.read(3)
        save(path.parent / "output", b"newer" * len(bodies))
        bodies.append(first + path.read_bytes()[3:])
        put(path, key, metadata)

    monkeypatch.setattr(bench.bucket, "put_file", slow)

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        save(output, b"whole-0")
        until(lambda: len(bodies) >= 3)
        return cut_off()

    assert bench.work(core) == RETRY
    assert bodies[:3] == [b"whole-0", b"", b"newer"]


DENIED = ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "PutObject")  # type: ignore[typeddict-item]  # the rest of the answer does not matter


@pytest.mark.parametrize("trouble", [DENIED, RuntimeError("a bug")], ids=["denied", "a bug"])
def test_trouble_with_it_never_fails_the_stage(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise trouble

    bench.put(b"from before")
    for name in ("put_file", "fetch", "delete"):
        monkeypatch.setattr(bench.bucket, name, denied)
    monkeypatch.setattr(bench.bucket, "fetch_all", lambda *_: None)
    seen: list[bytes | None] = []

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        made = record_checkpoint(seen)(source, output, options, progress)
        save(output, b"new")
        time.sleep(0.1)
        return made

    assert bench.work(core, attempt=2) == DONE
    assert seen == [None]
    assert read_end(bench.bucket, JOB) is None
    assert bench.bucket.exists(layout.stage_manifest_key(JOB, StageName.TRAIN))


def test_a_stage_without_one_neither_asks_nor_deletes(bench: Bench) -> None:
    bench.put(b"not its own")
    lease = Lease(bench.bucket, bench.table, JOB, StageName.TRAIN, "batch-1")
    assert run_stage(Stage(StageName.TRAIN, record_checkpoint([])), lease, bench.key, 1, bench.scratch) == DONE
    assert bench.kept() == b"not its own"
