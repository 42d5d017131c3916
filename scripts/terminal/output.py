"""Where a command prints its result."""

import sys

from rich.console import Console

UNFOLDED_WIDTH = 150


def output_console() -> Console:
    """Standard output; wide where it is no terminal, so that no name is folded."""
    return Console(width=None if sys.stdout.isatty() else UNFOLDED_WIDTH)
