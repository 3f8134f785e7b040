"""Tells requests of pages that others have served from those of programs and of the embedded cloud's own page.

Loopback does not protect against a browser: any page that is open in one can send requests to 127.0.0.1, also a page
that another program serves on another port. Browsers send the origin of a request in headers that pages cannot forge.
Programs (boto3, curl, the stages) send no such headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

OWN: Final = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of our own pages, and of addresses that were typed."""


def is_cross_origin(headers: Mapping[str, str], port: int) -> bool:
    """Whether a request comes from a page that is not the embedded cloud's own. `headers` have lower-case names.

    - `Host` is not ours: its name was made to resolve to 127.0.0.1 (DNS rebinding);
    - `Origin` is another's, or `null`: a script or a form of its page;
    - `Sec-Fetch-Site` tells of another: an image, a frame or a link of its page.
    """
    host = headers.get("host", "")
    if not is_own_host(host, port) and not _is_bucket_host(host, port):
        return True
    if "origin" in headers:
        return not is_own_host(headers["origin"].removeprefix("http://"), port)
    return headers.get("sec-fetch-site", "none") not in OWN


def is_own_host(host: str, port: int) -> bool:
    """Whether `host`, with its port, is where the embedded cloud listens."""
    return host.lower() in {f"127.0.0.1:{port}", f"localhost:{port}"}


def _is_bucket_host(host: str, port: int) -> bool:
    """Whether `host` names a bucket or an API of ours: a name below `localhost`, which browsers never look up."""
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").endswith(".localhost") and parts.port == port
    except ValueError:
        return False
