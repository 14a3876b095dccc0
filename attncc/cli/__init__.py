"""The command line: `attncc` and `python -m attncc`."""

from attncc.cli.app import main

__all__ = ["main"]
