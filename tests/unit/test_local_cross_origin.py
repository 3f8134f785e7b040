"""Which requests may come to the embedded cloud at all: of programs, and of its own page."""

from __future__ import annotations

import pytest

from spaceport.local.cross_origin import is_cross_origin

PORT = 4566
HERE = {"host": "127.0.0.1:4566"}


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a program
        {"origin": "http://127.0.0.1:4566", "sec-fetch-site": "same-origin"},
        {"origin": "http://localhost:4566", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},  # typed, or a bookmark
        {"sec-fetch-site": "same-origin"},  # a picture on our own page
        {"host": "abc123.execute-api.localhost:4566"},
        {"host": "LOCALHOST:4566"},
    ],
)
def test_programs_and_our_own_page_may_come(headers: dict[str, str]) -> None:
    assert not is_cross_origin(HERE | headers, PORT)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://evil.example/@localhost"},
        {"origin": "http://[broken"},
        {"origin": ""},
        {"origin": "http://localhost:8000"},  # another program's page on this machine
        {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-site"},
        {"origin": "https://127.0.0.1:4566"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://evil.localhost:4566"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "referer": "http://127.0.0.1:4566/"},
        {"host": "evil.example:4566"},
        {"host": "127.0.0.1:8000"},
        {"host": "127.0.0.1"},
        {"host": "notlocalhost"},
        {"host": "a.localhost:99999"},
        {"host": ""},
    ],
)
def test_other_pages_are_turned_away(headers: dict[str, str]) -> None:
    assert is_cross_origin(HERE | headers, PORT)
