"""The fixture of the browser tests; in a module of its own name, since mypy knows one `conftest` only."""

from browser_fixtures import page

__all__ = ["page"]
