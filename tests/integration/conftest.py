"""Fixtures of the integration tests; in modules of their own names, since mypy knows one `conftest` only."""

from cloud_fixtures import cloud, survey

__all__ = ["cloud", "survey"]
