"""The command line: `spaceport run photos.zip`, and everything around a job."""

from spaceport.cli.commands import app, main

__all__ = ["app", "main"]
