"""What a person watching a training run sees on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


@dataclass(frozen=True)
class ProgressLine:
    """A bar with speed, time left and the latest scores."""

    bar: Progress
    task: TaskID

    def step(self, step: int, steps_per_second: float, batch_size: int) -> None:
        """Show that a step was taken."""
        speed = f"{steps_per_second:.1f} steps/s, {steps_per_second * batch_size:,.0f} presets/s"
        self.bar.update(self.task, completed=step, speed=speed)

    def validated(self, scores: Mapping[str, float]) -> None:
        """Show the scores of a validation."""
        self.bar.update(self.task, scores=", ".join(f"{name} {score:.4f}" for name, score in scores.items()))


@contextmanager
def progress_line(name: str, step: int, total: int, show: bool | None) -> Iterator[ProgressLine]:
    """Show progress on standard error while the block runs: always, never, or (``None``) on a terminal only."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[speed]}  {task.fields[scores]}"),
        console=console,
        disable=not (console.is_terminal if show is None else show),
    )
    with bar:
        yield ProgressLine(bar, bar.add_task(name, total=total, completed=step, speed="", scores=""))
