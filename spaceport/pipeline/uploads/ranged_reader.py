"""An S3 object as a seekable file, so that a zip's directory can be read without downloading the zip."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from spaceport.pipeline.contract import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WINDOW = 256 << 10  # one read-ahead: a directory of 2,000 photos in one request


class RangedObject(io.RawIOBase):
    """Reads an upload by ranges: the very version that was accepted. One that was replaced in its place is an error."""

    def __init__(self, client: S3Client, upload: Upload) -> None:
        self._client = client
        self._size = upload.bytes
        self._which: dict[str, Any] = {"Bucket": upload.bucket, "Key": upload.key, "IfMatch": upload.etag}
        self._version = upload.version_id
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("seek before the start of the object")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        last = min(self._position + len(buffer), self._size) - 1
        if last < self._position:
            return 0
        data = self._read_range(self._position, last)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read_range(self, first: int, last: int) -> bytes:
        """The latest version while its etag is the upload's; once it was replaced or deleted, the upload's own."""
        wanted = {"Range": f"bytes={first}-{last}"} | self._which
        try:
            response = self._client.get_object(**wanted)
        except ClientError as error:
            is_replaced = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in {404, 412}
            if not is_replaced or not self._version:
                raise
            response = self._client.get_object(VersionId=self._version, **wanted)
        if not response.get("ContentRange"):  # the embedded S3 sends the whole of a version
            response["Body"].read(first)
        return response["Body"].read(last - first + 1)


def open_object(client: S3Client, upload: Upload) -> io.BufferedReader:
    """The upload as a buffered, seekable, read-only file."""
    return io.BufferedReader(RangedObject(client, upload), WINDOW)
