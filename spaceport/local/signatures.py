"""Who signed a request with the embedded cloud's secret, or one derived from it: in a header, URL or form's policy.

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

from spaceport.local.access import role_secret

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
    """The pair of an embedded cloud's owner, who may do anything. A role's access key is its name."""

    access_key: str
    secret: str

    def secret_of(self, access_key: str) -> str:
        return self.secret if access_key == self.access_key else role_secret(self.secret, access_key)


@dataclass(frozen=True)
class Signer:
    """Who signed a request, by the access key, and for which service."""

    access_key: str
    service: str


def signer_of_header(request: SignedRequest, body: bytes, credentials: Credentials) -> Signer | None:
    """Who signed the request in its `Authorization` header in the last minutes; None if the signature is invalid."""
    signature = sigv4.parse_header_signature(request.headers)
    if not _is_whole(signature) or sigv4.request_time_failure(signature) is not None:
        return None
    return _signer(signature, request, body, credentials)


def signer_of_url(request: SignedRequest, credentials: Credentials) -> Signer | None:
    """Who presigned the URL; None if it is no presigned one of S3, or has expired.

    Headers that are not signed may not turn it into another request, so none of AWS's own may come with it.
    """
    signature = sigv4.parse_query_signature(request.query)
    if not _is_whole(signature) or signature.service != "s3" or _first(request, "X-Amz-Algorithm") != ALGORITHM:
        return None
    signed = set(signature.signed_headers.split(";"))
    if any(name.startswith("x-amz-") and name not in signed for name in request.headers):
        return None
    try:
        if sigv4.presigned_request_is_expired(signature.amz_date, _first(request, "X-Amz-Expires")):
            return None
    except ValueError:
        return None
    return _signer(signature, request, b"", credentials, presigned=True)


def signed_form(content_type: str, head: bytes, credentials: Credentials) -> tuple[Signer, dict[str, str]] | None:
    """Who signed the policy of a form for S3 (multipart/form-data), and the form's fields; None if it is invalid.

    Args:
        head: the body up to the name of the file's part, which S3 wants to be the last. S3 itself checks the policy's
            conditions.
    """
    fields = _form_fields(content_type, head)
    if fields is None or any(name not in fields for name in _FORM_FIELDS) or fields["x-amz-algorithm"] != ALGORITHM:
        return None
    scope = fields["x-amz-credential"].split("/")
    if len(scope) != 5 or scope[3:] != ["s3", "aws4_request"]:
        return None
    computed = sigv4.calculate_signature(credentials.secret_of(scope[0]), *scope[1:4], fields["policy"])
    if not sigv4.signatures_match(computed, fields["x-amz-signature"]) or _is_over(fields["policy"]):
        return None
    return Signer(scope[0], "s3"), fields


def _is_whole(signature: Any) -> bool:
    return isinstance(signature, sigv4.HeaderSignature) and signature.signature.isascii()


def _signer(
    signature: Any, request: SignedRequest, body: bytes, credentials: Credentials, *, presigned: bool = False
) -> Signer | None:
    failure = sigv4.header_signature_failure(
        signature,
        credentials.secret_of(signature.access_key_id),
        request.method,
        request.raw_path,
        request.query,
        request.headers,
        body,
        presigned=presigned,
    )
    is_valid = failure is None and "host" in signature.signed_headers.split(";")
    return Signer(signature.access_key_id, signature.service) if is_valid else None


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
