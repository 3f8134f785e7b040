"""Checks that a request was signed with the embedded cloud's secret: by a header, in its URL, or by a form's policy.

The embedded AWS itself checks only URLs. Signature Version 4 as AWS documents it ("Signing AWS API requests",
"Authenticating requests: query parameters", "Browser-based uploads using POST"), with ministack's primitives.
"""

from __future__ import annotations

import base64
import binascii
import email.parser
import email.policy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ministack.core import sigv4

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_FORM_FIELDS: Final = ("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")


@dataclass(frozen=True)
class SignedRequest:
    """The parts of an HTTP request that a signature covers. Header names are in lower case."""

    method: str
    raw_path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Credentials:
    """The only pair that an embedded cloud accepts."""

    access_key: str
    secret: str


def is_signed_by_header(request: SignedRequest, body: bytes, credentials: Credentials) -> bool:
    """Whether the `Authorization` header holds a valid signature of the request, made within the last minutes."""
    signature = sigv4.parse_header_signature(request.headers)
    if not _is_by(signature, credentials) or sigv4.request_time_failure(signature) is not None:
        return False
    return _matches(signature, request, body, credentials)


def is_presigned(request: SignedRequest, credentials: Credentials) -> bool:
    """Whether the URL is a presigned one of S3 that has not expired.

    Headers that are not signed may not turn it into another request, so none of AWS's own may come with it.
    """
    signature = sigv4.parse_query_signature(request.query)
    if (
        not _is_by(signature, credentials)
        or signature.service != "s3"
        or _first(request, "X-Amz-Algorithm") != ALGORITHM
    ):
        return False
    signed = set(signature.signed_headers.split(";"))
    if any(name.startswith("x-amz-") and name not in signed for name in request.headers):
        return False
    try:
        if sigv4.presigned_request_is_expired(signature.amz_date, _first(request, "X-Amz-Expires")):
            return False
    except ValueError:
        return False
    return _matches(signature, request, b"", credentials, presigned=True)


def is_signed_form(content_type: str, head: bytes, credentials: Credentials) -> bool:
    """Whether a form for S3 (multipart/form-data) has a policy that we signed and that has not expired.

    Args:
        head: the body up to the name of the file's part, which S3 wants to be the last. S3 itself checks the policy's
            conditions.
    """
    fields = _form_fields(content_type, head)
    if fields is None or any(name not in fields for name in _FORM_FIELDS) or fields["x-amz-algorithm"] != ALGORITHM:
        return False
    scope = fields["x-amz-credential"].split("/")
    if len(scope) != 5 or scope[0] != credentials.access_key or scope[3:] != ["s3", "aws4_request"]:
        return False
    computed = sigv4.calculate_signature(credentials.secret, *scope[1:4], fields["policy"])
    return sigv4.signatures_match(computed, fields["x-amz-signature"]) and not _is_over(fields["policy"])


def _is_by(signature: Any, credentials: Credentials) -> bool:
    is_whole = isinstance(signature, sigv4.HeaderSignature)
    return is_whole and signature.access_key_id == credentials.access_key and signature.signature.isascii()


def _matches(
    signature: Any, request: SignedRequest, body: bytes, credentials: Credentials, *, presigned: bool = False
) -> bool:
    failure = sigv4.header_signature_failure(
        signature,
        credentials.secret,
        request.method,
        request.raw_path,
        request.query,
        request.headers,
        body,
        presigned=presigned,
    )
    return failure is None and "host" in signature.signed_headers.split(";")


def _first(request: SignedRequest, name: str) -> str:
    return next(iter(request.query.get(name, ())), "")


def _form_fields(content_type: str, head: bytes) -> dict[str, str] | None:
    """The form's fields by name in lower case; None where it is no form, or has a field twice."""
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    form = parser.parsebytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + head + b"\r\n\r\n")
    if form.get_content_type() != "multipart/form-data" or not form.is_multipart():
        return None
    fields: dict[str, str] = {}
    for part in form.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes) or name.lower() in fields:
            return None
        fields[name.lower()] = payload.decode("utf-8", "replace")
    return fields


def _is_over(policy: str) -> bool:
    try:
        document = json.loads(base64.b64decode(policy, validate=True))
        end = datetime.fromisoformat(document["expiration"])
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError):
        return True
    return end.tzinfo is None or end < datetime.now(UTC)
