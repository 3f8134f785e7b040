"""Fixtures of the page's tests; in modules of their own names, since mypy knows one `conftest` only."""

from browser_fixtures import browser, page

__all__ = ["browser", "page"]
