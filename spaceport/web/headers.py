"""What the page's files are sent with: the same by the embedded cloud and by CloudFront."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath
from typing import Final

EMBED: Final = "embed.html"
"""The one file that pages of others may show in a frame."""
YEAR_SECONDS: Final = 365 * 24 * 3600
TYPES: Final = {".js": "text/javascript", ".html": "text/html; charset=utf-8", ".txt": "text/plain; charset=utf-8"}


def content_security_policy(name: str, *hosts: str) -> str:
    """The header of a file. The page calls the API and reads the buckets at `hosts`, and nothing else anywhere."""
    elsewhere = "".join(f" {host}" for host in hosts)
    framed_by = "*" if name == EMBED else "'none'"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:{elsewhere}; "
        f"media-src 'self'{elsewhere}; connect-src 'self'{elsewhere}; worker-src 'self' blob:; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {framed_by}"
    )


def security_headers(name: str, *hosts: str) -> dict[str, str]:
    """What a browser is to refuse for a file of the page."""
    return {
        "content-security-policy": content_security_policy(name, *hosts),
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "cross-origin" if name == EMBED else "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def cache_rule(name: str) -> str:
    """For how long a file is kept: for good where its name holds its hash, else not without asking."""
    return f"public, max-age={YEAR_SECONDS}, immutable" if is_immutable(name) else "no-cache"


def is_immutable(name: str) -> bool:
    """Whether a file never changes under its name, which holds its hash."""
    return PurePosixPath(name).parent.name == "assets"


def media_type(name: str) -> str:
    return TYPES.get(PurePosixPath(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
