"""Fixtures of the page's tests; in modules of their own names, since mypy knows one `conftest` only."""

from browser_fixtures import page
from page_fixtures import cloud, jobs, profile
from test_page_viewer import finished

__all__ = ["cloud", "finished", "jobs", "page", "profile"]
