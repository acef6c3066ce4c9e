"""Progress, on stderr: bars, and spinners where nobody knows how long it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

__all__ = ["ToldProgress", "shares", "steps"]


class _Repeats(ProgressColumn):
    """What the line to a device has spoiled since the beginning, if it has."""

    def __init__(self, repeated: Callable[[], int]) -> None:
        super().__init__()
        self._repeated = repeated
        self._before = repeated()

    def render(self, task: Task) -> Text:
        repeats = self._repeated() - self._before
        if not repeats:
            return Text()
        return Text(f"bad line, {repeats:,} repeat{'s' * (repeats > 1)}", style="yellow")


def _nothing() -> int:
    return 0


@contextlib.contextmanager
def shares(
    text: str, console: Console | None = None, repeated: Callable[[], int] = _nothing
) -> Iterator[Callable[[float], None]]:
    """A bar for shares of the whole, growing to 1; it is there from the first report on.

    Parameters
    ----------
    repeated : returns how many exchanges with a device were spoiled so far
        It is called while the bar is shown, by a thread.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        _Repeats(repeated),
    )
    bar = Progress(*columns, console=console or Console(stderr=True))
    task = bar.add_task(text, total=1.0)

    def report(share: float) -> None:
        bar.start()
        bar.update(task, completed=share)

    try:
        yield report
    finally:
        if bar.live.is_started:
            bar.stop()


@contextlib.contextmanager
def steps(
    console: Console, repeated: Callable[[], int] = _nothing
) -> Iterator[Callable[[str], None]]:
    """A spinner beside the name of the step that it was told last, and how long that takes.

    It vanishes in the end. Where there is no terminal, a line tells of each step.

    Parameters
    ----------
    repeated : as of `shares`
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        _Repeats(repeated),
    )
    live = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not live) as spinner:

        def begin(name: str) -> None:
            for task in spinner.task_ids:
                spinner.remove_task(task)
            spinner.add_task(name, total=None)
            if not live:
                console.print(f"{name} ...")

        yield begin


class ToldProgress(Progress):
    """Where there is no terminal, a line tells of each new description, before what takes long."""

    _told = ""

    def add_task(self, description: str, *arguments: Any, **options: Any) -> TaskID:
        self._tell(description)
        return super().add_task(description, *arguments, **options)

    def update(self, task_id: TaskID, **options: Any) -> None:
        self._tell(options.get("description"))
        super().update(task_id, **options)

    def reset(self, task_id: TaskID, **options: Any) -> None:
        self._tell(options.get("description"))
        super().reset(task_id, **options)

    def _tell(self, description: str | None) -> None:
        if description and description != self._told and not self.console.is_terminal:
            self.console.print(f"{description} ...")
            self._told = description
