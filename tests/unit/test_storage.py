"""Artefacts and manifests in the bucket."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from pipeline_cases import JOB, ended, requested

from spaceport.files import write_atomic
from spaceport.pipeline.contract import Artefact, JobState
from spaceport.pipeline.errors import LostResource, Slug, Stopped
from spaceport.pipeline.layout import request_key, split_key
from spaceport.pipeline.storage import CONFLICT_PAUSES, Bucket


def nothing() -> None:
    pass


def test_a_manifest_is_written_once(bucket: Bucket) -> None:
    key = request_key(JOB)
    assert bucket.read_manifest(key) is None
    assert bucket.put_manifest(key, requested())
    assert not bucket.put_manifest(key, ended(JobState.STOPPED))
    stored = bucket.read_manifest(key)
    assert stored is not None
    assert stored.manifest == requested()


def test_a_nudge_changes_nothing(bucket: Bucket) -> None:
    key = request_key(JOB)
    bucket.put_manifest(key, requested())
    before = bucket.read_manifest(key)
    bucket.nudge(key)
    assert bucket.read_manifest(key) == before


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"kind": "stage"}', b"\xff"])
def test_what_is_no_manifest_is_refused(bucket: Bucket, raw: bytes) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key="jobs/x/request/manifest.json", Body=raw)
    with pytest.raises(ValueError, match=r".+"):
        bucket.read_manifest("jobs/x/request/manifest.json")


def test_files_of_any_name_go_up_and_come_back(bucket: Bucket, tmp_path: Path) -> None:
    names = [
        "x" * 251 + ".jpg",
        "9.41.00\u202fAM.png",
        "a.JPG",
        "A.jpg",
        "..jpg",
        "%2e #?&+.jpg",
        "\x85\u2028\U0001f681.jpg",
    ]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    artefacts = bucket.publish_folder(tmp_path, "jobs/abc/", nothing)
    back = {tmp_path / "in" / split_key(artefact.key)[1]: artefact for artefact in artefacts}
    bucket.fetch_all(back, nothing)
    assert {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()} == {n: n.encode() for n in names}


def test_a_folder_goes_up_and_comes_back(bucket: Bucket, tmp_path: Path) -> None:
    source = tmp_path / "out"
    write_atomic(source / "colmap/sparse/points3D.bin", b"points")
    write_atomic(source / "colmap/größe.txt", b"")
    artefacts = bucket.publish_folder(source, "jobs/abc/", nothing)
    assert [artefact.key for artefact in artefacts] == [
        "jobs/abc/colmap/größe.txt",
        "jobs/abc/colmap/sparse/points3D.bin",
    ]
    assert [item.key for item in bucket.list_objects("jobs/abc/")] == [artefact.key for artefact in artefacts]
    assert list(bucket.list_folders("jobs/")) == ["abc"]
    back = {tmp_path / "in" / split_key(artefact.key)[1]: artefact for artefact in artefacts}
    bucket.fetch_all(back, nothing)
    assert (tmp_path / "in/colmap/sparse/points3D.bin").read_bytes() == b"points"


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("extracted/a.jpg", ["photos"]),
        ("colmap/dense/images/a.jpg", ["photos"]),
        ("colmap/sparse/points3D.bin", []),
        ("gaussian/model.ply", []),
        ("gaussian/extracted/a.jpg", []),
    ],
)
def test_photos_are_known_by_their_tag(bucket: Bucket, tmp_path: Path, path: str, tags: list[str]) -> None:
    write_atomic(tmp_path / path, b"content")
    (artefact,) = bucket.publish_folder(tmp_path, f"jobs/{JOB}/", nothing)
    answer = bucket.client.get_object_tagging(Bucket=bucket.name, Key=artefact.key)
    assert [tag["Value"] for tag in answer["TagSet"] if tag["Key"] == "content"] == tags


@pytest.mark.parametrize("wrong", [{"bytes": 5}, {"sha256": "0" * 64}, {"key": "jobs/abc/gone"}])
def test_a_changed_artefact_is_noticed(bucket: Bucket, tmp_path: Path, wrong: dict[str, object]) -> None:
    write_atomic(tmp_path / "a", b"true!!")
    artefact = bucket.publish(tmp_path / "a", "jobs/abc/a").model_copy(update=wrong)
    with pytest.raises(LostResource) as refusal:
        bucket.fetch(artefact, tmp_path / "b")
    assert refusal.value.slug is Slug.INPUT_MISSING
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_stop_ends_a_transfer(bucket: Bucket, tmp_path: Path) -> None:
    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        bucket.fetch_all({tmp_path / "b": Artefact(key="jobs/abc/a", bytes=1)}, stop)


@pytest.mark.parametrize("key", ["jobs/", "uploads/a.zip", "jobs/UPPER/a", "jobs/a/b", "jobs//request/manifest.json"])
def test_foreign_keys_belong_to_no_job(key: str) -> None:
    with pytest.raises(ValueError, match="not a key of a job"):
        split_key(key)


class Contended:
    """An S3 on which another conditional write of the same key is in flight for the first `conflicts` puts."""

    def __init__(self, conflicts: int) -> None:
        self.conflicts = conflicts
        self.puts = 0

    def put_object(self, **_: object) -> None:
        self.puts += 1
        if self.puts <= self.conflicts:
            response = {"Error": {"Code": "ConditionalRequestConflict"}, "ResponseMetadata": {"HTTPStatusCode": 409}}
            raise ClientError(response, "PutObject")  # type: ignore[arg-type]  # the parts that are read


def contended(conflicts: int) -> tuple[Bucket, Contended, list[float]]:
    """A bucket on such an S3, and the pauses it makes."""
    client, pauses = Contended(conflicts), list[float]()
    return Bucket("pipeline", client, pauses.append), client, pauses  # type: ignore[arg-type]  # the one call needed


@pytest.mark.parametrize("conflicts", [0, 1, len(CONFLICT_PAUSES)])
def test_a_manifest_waits_for_a_write_in_flight(conflicts: int) -> None:
    bucket, client, pauses = contended(conflicts)
    assert bucket.put_manifest(request_key(JOB), requested())
    assert (client.puts, len(pauses)) == (conflicts + 1, conflicts)
    assert all(later > earlier for earlier, later in itertools.pairwise(pauses))


def test_a_manifest_does_not_wait_for_ever() -> None:
    bucket, client, pauses = contended(10_000)
    with pytest.raises(TimeoutError, match=request_key(JOB)) as caught:
        bucket.put_manifest(request_key(JOB), requested())
    assert isinstance(caught.value.__cause__, ClientError)
    assert client.puts == len(CONFLICT_PAUSES) + 1
    assert tuple(pauses) == CONFLICT_PAUSES and sum(pauses) < 10
