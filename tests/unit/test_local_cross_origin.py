"""Which requests the embedded cloud answers: those of programs, and of pages that this machine served."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from spaceport.local.cross_origin import CrossOriginGuard, is_cross_origin

HERE = {"host": "127.0.0.1:4566"}


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a program
        {"origin": "http://localhost:8000", "sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},  # typed, or a bookmark
        {"sec-fetch-site": "cross-site", "referer": "http://localhost:8000/"},  # a picture on a page of this machine
        {"host": "abc123.execute-api.localhost:4566"},
        {"host": "LOCALHOST:4566"},
    ],
)
def test_programs_and_pages_of_this_machine_are_let_in(headers: dict[str, str]) -> None:
    assert not is_cross_origin(HERE | headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://evil.example/@localhost"},
        {"origin": "http://[broken"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site", "referer": "https://evil.example/localhost"},
        {"host": "evil.example:4566"},
        {"host": "notlocalhost"},
        {"host": ""},
    ],
)
def test_pages_of_other_machines_are_turned_away(headers: dict[str, str]) -> None:
    assert is_cross_origin(HERE | headers)


async def _nothing() -> dict[str, Any]:
    return {}


def _through_the_door(scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "let in"})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(CrossOriginGuard(app)(scope, _nothing, send))
    return sent


def test_the_door_answers_itself_whom_it_turns_away() -> None:
    evil = [(b"Origin", b"https://evil.example")]
    assert _through_the_door({"type": "http", "headers": evil})[0]["status"] == 403
    assert _through_the_door({"type": "websocket", "headers": evil})[0]["type"] == "websocket.close"
    assert _through_the_door({"type": "http", "headers": []}) == [{"type": "let in"}]
    assert _through_the_door({"type": "lifespan"}) == [{"type": "let in"}]
