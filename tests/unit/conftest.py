"""Fixtures of the unit tests; in modules of their own names, since mypy knows one `conftest` only."""

from aws_fixtures import _calls_are_atomic, _clients_are_made_once, _fake_account, aws, bucket, table, uploads
from sweeper_cases import _impatient, batch, clock, nudges

__all__ = [
    "_calls_are_atomic",
    "_clients_are_made_once",
    "_fake_account",
    "_impatient",
    "aws",
    "batch",
    "bucket",
    "clock",
    "nudges",
    "table",
    "uploads",
]
