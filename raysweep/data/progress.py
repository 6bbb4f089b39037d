"""A progress bar on the console, where there is one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from raysweep.core.console import PlainConsole
from raysweep.core.masking import with_controls
from raysweep.core.printable import printable

OnProgress = Callable[[int, int | None], None]
"""Called with how much is done, and of how much (None: not known)."""

Bar = Callable[[str, str], AbstractContextManager[OnProgress]]
"""`progress_bar`, or a substitute: the name of the work, and the unit it is counted in."""


def ignore_progress(done: int, total: int | None) -> None:
    """Does nothing."""


@contextmanager
def no_bar(what: str, unit: str) -> Iterator[OnProgress]:
    """Shows nothing."""
    yield ignore_progress


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[OnProgress]:
    """Shows a bar on the console; nothing without a terminal."""
    console = PlainConsole(file=with_controls(sys.stderr))
    texts = (TextColumn(printable(text).replace("{", "{{").replace("}", "}}"), markup=False) for text in (what, unit))
    columns = (next(texts), BarColumn(), MofNCompleteColumn(), next(texts), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
