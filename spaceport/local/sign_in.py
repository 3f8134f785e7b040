"""Signs a browser in to the page: a link holds a code that works once, within minutes, and gets the API key for it.

A browser keeps the addresses that it was led to, and a terminal what it printed. The key would stay there for good; a
code that was used, or has waited too long, opens nothing. Codes are in this process's memory only, as hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from spaceport.local.access import SECRET_HEADER
from spaceport.local.door import Body, Receive, Scope, headers_of

NEW_CODE: Final = "codes"
"""Below the page's address: the owner of the cloud, by its secret, gets a code for a key."""
EXCHANGE: Final = "sign-in"
"""Below the page's address: the page gets the key for a code."""
CALLS: Final = frozenset({NEW_CODE, EXCHANGE})
CODE_SECONDS: Final = 15 * 60.0
MAX_CODES: Final = 100
"""That wait to be used; the oldest goes first."""
MAX_BODY: Final = 4096
USED: Final = {
    "slug": "link_used",
    "sentence": "This link was used already, or is too old. `spaceport link` prints a new one.",
}

Answer = tuple[int, dict[str, Any]]


class OneTimeCodes:
    """Keys by codes, each of which works once, within `CODE_SECONDS`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._keys: dict[str, tuple[float, str]] = {}

    def new(self, key: str) -> str:
        while len(self._keys) >= MAX_CODES:
            del self._keys[next(iter(self._keys))]
        code = secrets.token_urlsafe(32)
        self._keys[_hash(code)] = (self._clock() + CODE_SECONDS, key)
        return code

    def take(self, code: str) -> str | None:
        """The key of a code, which is then used up; None for one that is no code any more, or never was."""
        until, key = self._keys.pop(_hash(code), (0.0, None))
        return key if self._clock() < until else None


class SignIn:
    """Answers `POST codes` and `POST sign-in`, below the page's address. Whoever asks is of our own origin.

    Args:
        secret: of the cloud's owner.
    """

    def __init__(self, secret: str, codes: OneTimeCodes) -> None:
        self._secret = secret.encode()
        self._codes = codes

    async def answer(self, name: str, scope: Scope, receive: Receive) -> Answer:
        """Status and body."""
        headers = headers_of(scope)
        if name == NEW_CODE and not hmac.compare_digest(headers.get(SECRET_HEADER, "").encode(), self._secret):
            return 403, {"slug": "forbidden", "sentence": "Only the owner of this cloud makes links to its page."}
        if scope["method"] != "POST" or headers.get("content-type") != "application/json":
            return 405, {"slug": "bad_request", "sentence": "POST JSON."}
        field = "key" if name == NEW_CODE else "code"
        value = _text(await Body(receive).read(MAX_BODY), field)
        if value is None:
            return 400, {"slug": "bad_request", "sentence": f'The body must be {{"{field}": "…"}}.'}
        if name == NEW_CODE:
            return 201, {"code": self._codes.new(value), "seconds": CODE_SECONDS}
        key = self._codes.take(value)
        return (410, USED) if key is None else (200, {"key": key})


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()


def _text(body: bytes | None, field: str) -> str | None:
    """A field of a JSON object, if it is a text that is not empty."""
    try:
        value = json.loads(body or b"")[field]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return value if isinstance(value, str) and value else None
