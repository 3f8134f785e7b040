"""Requests as boto3 and browsers send them to the door of an embedded cloud, and such a door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ClientError

from spaceport.local.access import ACCOUNT, Access, new_secret
from spaceport.local.door import Door
from spaceport.local.roles import Roles
from spaceport.local.signatures import Credentials

PORT = 4566
SECRET = new_secret()
ACCESS = Access(f"http://127.0.0.1:{PORT}", "http://127.0.0.1:1", SECRET)


@dataclass(frozen=True)
class Sent:
    """An HTTP request as it arrives."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def with_headers(self, **headers: str) -> Sent:
        new = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers=(*(pair for pair in self.headers if pair[0].lower() not in new), *new.items()))

    def scope(self) -> dict[str, Any]:
        """The same as ASGI has it."""
        return {
            "type": "http",
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in self.headers],
        }


def request(method: str, path: str, *, query: str = "", body: bytes = b"", **headers: str) -> Sent:
    return Sent(method, path, query, (("Host", f"127.0.0.1:{PORT}"),), body).with_headers(**headers)


def a_door(app: Any, policies: Sequence[Any] = ()) -> Door:
    """Of a cloud whose roles all have these policies."""
    return Door(app, PORT, Credentials(ACCOUNT, SECRET), Roles(lambda _: policies), lambda _, index: index or "job_id")


def as_sent(prepared: AWSPreparedRequest) -> Sent:
    parts = urlsplit(prepared.url)
    body: Any = prepared.body or b""
    body = body.read() if hasattr(body, "read") else body
    pairs = prepared.headers.items()
    headers = [(name, str(value, "latin-1") if isinstance(value, bytes) else value) for name, value in pairs]
    others = [pair for pair in headers if pair[0].lower() != "host"]
    data = body.encode() if isinstance(body, str) else bytes(body)
    return Sent(prepared.method, parts.path, parts.query, (("Host", parts.netloc), *others), data)


def signed_by_boto3(access: Access, service: str, call: str, **arguments: Any) -> Sent:
    """The request that boto3 would send."""
    client = access.client(service)
    caught: list[Sent] = []

    def catch(request: AWSPreparedRequest, **_: Any) -> None:
        caught.append(as_sent(request))
        raise ClientError({}, call)

    client.meta.events.register("before-send", catch)
    with pytest.raises(ClientError):
        getattr(client, call)(**arguments)
    return caught[0]


def presigned(access: Access = ACCESS, seconds: int = 60, **arguments: Any) -> Sent:
    s3 = access.session.client("s3", endpoint_url=access.endpoint, config=Config(signature_version="s3v4"))
    url = urlsplit(
        s3.generate_presigned_url("get_object", {"Bucket": "b", "Key": "jobs/a b/m.sog"} | arguments, seconds)
    )
    return Sent("GET", url.path, url.query, (("Host", url.netloc),))


def form(fields: dict[str, str], *, file: bytes = b"PK" * 2000) -> Sent:
    mark = "--a-boundary"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    head = "".join(parts) + f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
    body = head.encode() + file + f"\r\n--{mark}--\r\n".encode()
    return request("POST", "/uploads", body=body, content_type=f"multipart/form-data; boundary={mark}")
