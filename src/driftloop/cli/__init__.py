"""The ``driftloop`` command."""

from driftloop.cli.main import main

__all__ = ["main"]
