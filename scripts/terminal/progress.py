"""Progress that people see while a command works: one bar for each long step, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

Advance = Callable[[int], None]


class Steps:
    """The bars of one command, a context manager; without a terminal, a line for each step instead."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}", table_column=None),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, sentence: str) -> None:
        """Prints a sentence above the bars."""
        self.console.print(sentence, highlight=False)

    @contextmanager
    def step(self, description: str, total: int = 1) -> Iterator[Advance]:
        """One step of `total` parts, which the caller advances; at its end it is complete."""
        began_at = time.monotonic()
        task = self._progress.add_task(description, total=total)
        yield lambda parts: self._progress.advance(task, parts)
        self._progress.update(task, completed=total)
        if not self.console.is_terminal:
            self.console.print(
                f"{description}: {total:,} in {time.monotonic() - began_at:.1f} s", highlight=False
            )
