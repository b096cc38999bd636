"""Shows the progress of a classification on a terminal: how many, how fast, and the time left."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from catdog.errors import CatdogError

Item = TypeVar("Item")


class Rate(ProgressColumn):
    """Photos a second, lately."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.1f} photos/s")


@contextmanager
def shown(count: Callable[[], int | None]) -> Iterator[Callable[[Iterable[Item]], Iterator[Item]]]:
    """A function that counts what it passes on, on stderr if that is a terminal.

    The total comes from `count`, which runs on a thread; without it there is no time left to show.
    """
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        if console.is_terminal:
            Thread(target=_set_total, args=(progress, task, count), daemon=True).start()

        def counted(items: Iterable[Item]) -> Iterator[Item]:
            for item in items:
                yield item
                progress.advance(task)

        yield counted


def _set_total(progress: Progress, task: object, count: Callable[[], int | None]) -> None:
    try:
        total = count()
    except (CatdogError, OSError):  # the classification reports it
        return
    progress.update(task, total=total)  # type: ignore[arg-type]
