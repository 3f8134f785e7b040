"""Fixtures of the page's tests; in modules of their own names, since mypy knows one `conftest` only."""

from browser_fixtures import page
from page_fixtures import cloud, jobs, profile

__all__ = ["cloud", "jobs", "page", "profile"]
