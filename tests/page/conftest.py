"""Fixtures of the page's tests; in modules of their own names, since mypy knows one `conftest` only."""

from browser_fixtures import browser, page
from page_fixtures import cloud

__all__ = ["browser", "cloud", "page"]
