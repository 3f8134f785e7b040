"""The pipeline bucket: artefacts streamed with their sha256, manifests written once.

The only module that reads or writes S3 objects of a job.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from spaceport.pipeline.contract import AnyManifest, Artefact, parse_manifest, why_unreadable
from spaceport.pipeline.errors import LostResource, Slug
from spaceport.pipeline.layout import holds_photos, job_prefix
from spaceport.pipeline.text import visible

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

MAX_MANIFEST_BYTES = 16 << 20  # 10,000 photos give about 3 MB
CONFLICT_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # seconds; 6.3 in all, well within the time limits of the functions
CHUNK_BYTES = 1 << 20
PHOTOS_TAG = "content=photos"
"""By which a lifecycle rule of the bucket knows what it may delete before the rest."""
MAX_TRANSFERS = 8  # photos are many and small: latency, not bandwidth, decides
MULTIPART = TransferConfig(multipart_threshold=32 << 20, multipart_chunksize=32 << 20, max_concurrency=4)


Item = TypeVar("Item")
Result = TypeVar("Result")


class UnreadableManifest(ValueError):
    """An object under a manifest's key that is no manifest which this version can read. `str` names it and says why."""

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        super().__init__(f"{visible(key)} {reason}")


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as it is in the bucket."""

    key: str
    manifest: AnyManifest
    etag: str


@dataclass(frozen=True)
class ObjectHead:
    """What HeadObject returns; `version` only in a versioned bucket."""

    bytes: int
    etag: str
    metadata: dict[str, str]
    version: str | None


class Bucket:
    """One S3 bucket. Raises botocore's `ClientError` for anything that is not documented here."""

    def __init__(self, name: str, client: S3Client | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name = name
        self.client: S3Client = client or boto3.client("s3")
        self._sleep = sleep

    def read_small(self, key: str, limit: int) -> bytes | None:
        """A small object whole, or None when there is none. Raises `ValueError` when it has more bytes than `limit`."""
        response = self._get(key)
        if response is None:
            return None
        raw = response["Body"].read(limit + 1)
        if len(raw) > limit:
            raise ValueError(f"{visible(key)} is larger than {limit} bytes")
        return raw

    def read_manifest(self, key: str) -> StoredManifest | None:
        """The manifest at `key`, or None when there is none. Raises `UnreadableManifest`."""
        response = self._get(key)
        if response is None:
            return None
        raw = response["Body"].read(MAX_MANIFEST_BYTES + 1)
        if len(raw) > MAX_MANIFEST_BYTES:
            raise UnreadableManifest(key, f"is larger than {MAX_MANIFEST_BYTES} bytes")
        try:
            manifest = parse_manifest(raw)
        except ValueError as error:
            raise UnreadableManifest(key, why_unreadable(raw)) from error
        if not key.startswith(job_prefix(manifest.job_id)):
            raise UnreadableManifest(key, f"is a manifest of the job {visible(manifest.job_id)}")
        return StoredManifest(key, manifest, response["ETag"].strip('"'))

    def put_manifest(self, key: str, manifest: AnyManifest) -> bool:
        """Write a manifest once. False when one is already there: the first writer decided.

        Raises:
            TimeoutError: another conditional write of `key` was in flight each time, also after all `CONFLICT_PAUSES`.
        """
        return self.put_once(key, manifest.model_dump_json(indent=1).encode())

    def put_once(self, key: str, body: bytes) -> bool:
        """Write a JSON object unless there is one already. As `put_manifest`."""
        pauses = iter(CONFLICT_PAUSES)
        while True:
            try:
                self.client.put_object(
                    Bucket=self.name, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
                )
            except ClientError as error:
                if _http_status(error) == 412:
                    return False
                if _http_status(error) != 409:  # ConditionalRequestConflict: S3 asks to try again
                    raise
                pause = next(pauses, None)
                if pause is None:
                    attempts = len(CONFLICT_PAUSES) + 1
                    raise TimeoutError(
                        f"another write of {key} was in flight at each of {attempts} attempts"
                    ) from error
                self._sleep(pause)
            else:
                return True

    def put_small(self, key: str, body: bytes, kind: str = "application/json") -> str | None:
        """Write an object, in place of the one that is there. Returns its version, in a versioned bucket."""
        return self.client.put_object(Bucket=self.name, Key=key, Body=body, ContentType=kind).get("VersionId")

    def nudge(self, key: str) -> None:
        """Write a manifest again, unchanged, so that its event fires once more. Harmless when nothing was lost."""
        response = self.client.get_object(Bucket=self.name, Key=key)
        self.client.put_object(
            Bucket=self.name, Key=key, Body=response["Body"].read(MAX_MANIFEST_BYTES), ContentType="application/json"
        )

    def exists(self, key: str) -> bool:
        return self.head(key) is not None

    def head(self, key: str, version: str | None = None) -> ObjectHead | None:
        """An object's size, etag, metadata and version, or None when there is no such object or version of it."""
        which: dict[str, Any] = {"VersionId": version} if version else {}
        try:
            response = self.client.head_object(Bucket=self.name, Key=key, **which)
        except ClientError as error:
            if _http_status(error) == 404:
                return None
            raise
        etag = response["ETag"].strip('"')
        return ObjectHead(response["ContentLength"], etag, response["Metadata"], response.get("VersionId"))

    def delete(self, key: str, version: str | None) -> None:
        """Delete an object; in a versioned bucket exactly this version, so that nothing of it stays and costs money."""
        which: dict[str, Any] = {"VersionId": version} if version else {}
        self.client.delete_object(Bucket=self.name, Key=key, **which)

    def erase(self, prefix: str, keep: Collection[str] = ()) -> int:
        """Delete every version of every object under `prefix` but those to `keep`. Returns how many there were.

        Raises:
            OSError: S3 refused some of them.
        """
        erased = 0
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix):
            entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            versions: list[Any] = [
                {"Key": each["Key"], "VersionId": each["VersionId"]} for each in entries if each["Key"] not in keep
            ]
            if versions:
                response = self.client.delete_objects(Bucket=self.name, Delete={"Objects": versions, "Quiet": True})
                if response.get("Errors"):
                    raise OSError(f"{len(response['Errors'])} objects below {visible(prefix)} could not be deleted")
            erased += len(versions)
        return erased

    def list_objects(self, prefix: str) -> Iterator[Artefact]:
        """Every object under `prefix`, without its sha256."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            for item in page.get("Contents", []):
                yield Artefact(key=item["Key"], bytes=item["Size"])

    def has_any(self, prefix: str) -> bool:
        """Whether there is any object under `prefix`."""
        return bool(self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=1).get("Contents"))

    def list_folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders right under `prefix`."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix, Delimiter="/")
        for page in pages:
            for item in page.get("CommonPrefixes", []):
                yield item["Prefix"][len(prefix) : -1]

    def publish(self, path: Path, key: str) -> Artefact:
        """Upload one file (multipart when large). Returns the artefact that it now is."""
        artefact = Artefact(key=key, bytes=path.stat().st_size, sha256=sha256_of(path))
        tag = {"Tagging": PHOTOS_TAG} if holds_photos(key) else {}
        self.client.upload_file(str(path), self.name, key, Config=MULTIPART, ExtraArgs=tag)
        return artefact

    def put_file(self, path: Path, key: str, metadata: dict[str, str]) -> None:
        """Upload a file that is no artefact (multipart when large). It is there whole or not at all."""
        self.client.upload_file(str(path), self.name, key, Config=MULTIPART, ExtraArgs={"Metadata": metadata})

    def publish_folder(
        self, folder: Path, prefix: str, check: Callable[[], None], exclude: Path | None = None
    ) -> list[Artefact]:
        """Upload all files below `folder`, several at a time; `check` may raise to end it. Sorted by key."""
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path != exclude)
        return _map_concurrently(
            files, lambda path: self.publish(path, prefix + path.relative_to(folder).as_posix()), check
        )

    def fetch(self, artefact: Artefact, path: Path) -> None:
        """Download one object to `path`, whole or not at all.

        Raises:
            LostResource: `input_missing`, when it is gone or does not match its size and sha256.
        """
        response = self._get(artefact.key)
        if response is None:
            raise LostResource(Slug.INPUT_MISSING, stage="This step", name=artefact.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = hashlib.sha256(path.name.encode()).hexdigest()  # the name itself may be as long as a file's can be
        part = path.with_name(f".{mark}.part")
        digest = hashlib.sha256()
        size = 0
        with part.open("wb") as file:
            for chunk in response["Body"].iter_chunks(CHUNK_BYTES):
                size += len(chunk)
                digest.update(chunk)
                file.write(chunk)
        if size != artefact.bytes or artefact.sha256 not in {None, digest.hexdigest()}:
            part.unlink()
            raise LostResource(Slug.INPUT_MISSING, stage="This step", name=artefact.key)
        part.replace(path)

    def fetch_all(self, artefacts: dict[Path, Artefact], check: Callable[[], None]) -> None:
        """Download several objects, several at a time; `check` may raise to end it."""
        _map_concurrently(list(artefacts), lambda path: self.fetch(artefacts[path], path), check)

    def _get(self, key: str) -> GetObjectOutputTypeDef | None:
        try:
            return self.client.get_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if _http_status(error) == 404:
                return None
            raise


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _map_concurrently(items: list[Item], work: Callable[[Item], Result], check: Callable[[], None]) -> list[Result]:
    with ThreadPoolExecutor(MAX_TRANSFERS) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            results = []
            for future in futures:
                check()
                results.append(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return results


def _http_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
