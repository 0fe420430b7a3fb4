"""What a person sees of long work on a terminal; silent elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def progress_bar(*columns: str) -> Progress:
    """A bar on standard error with these text columns, shown on a terminal only."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *(TextColumn(column) for column in columns),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


@contextmanager
def counting(what: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """Show how many things are done, how many a second, and the time left; call what is given with (done, all)."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=total, speed="")

        def update(done: int, everything: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=everything, speed=f"{speed:.0f}/s" if speed else "")

        yield update
