"""The two consoles of the commands. Whatever is printed is text: names of files and messages of jobs are a user's.

Rich would read `[/x].jpg` as markup and fail, so markup is off; what is to be bold is a `Text` with a style.
"""

from __future__ import annotations

from rich.console import Console

console = Console(highlight=False, markup=False)
error_console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
