"""An S3 object as a seekable file, so that a zip's directory is read without fetching the zip."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WINDOW = 256 << 10  # one read-ahead: a directory of 2,000 photos in one request


class RangedObject(io.RawIOBase):
    """Reads `bucket/key` by ranges; `etag` pins the version, so a replaced upload is noticed as an error."""

    def __init__(self, client: S3Client, bucket: str, key: str, size: int, etag: str) -> None:
        self._client, self._bucket, self._key, self._etag = client, bucket, key, etag
        self._size, self._at = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("seek before the start of the object")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        last = min(self._at + len(buffer), self._size) - 1
        if last < self._at:
            return 0
        answer = self._client.get_object(
            Bucket=self._bucket, Key=self._key, Range=f"bytes={self._at}-{last}", IfMatch=self._etag
        )
        data = answer["Body"].read(last - self._at + 1)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_object(client: S3Client, bucket: str, key: str, size: int, etag: str) -> io.BufferedReader:
    """The object as a buffered, seekable, read-only file."""
    return io.BufferedReader(RangedObject(client, bucket, key, size, etag), WINDOW)
