"""A progress bar on the console, where there is one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from raysweep.core.console import PlainConsole
from raysweep.core.masking import steered
from raysweep.core.printable import printable

Told = Callable[[int, int | None], None]
"""Is told what is done, and of how much (None: nobody knows)."""

Bar = Callable[[str, str], AbstractContextManager[Told]]
"""`progress_bar`, or what stands in for it: what is done, and the unit it is counted in."""


def nobody(done: int, total: int | None) -> None:
    """Tells nobody."""


@contextmanager
def no_bar(what: str, unit: str) -> Iterator[Told]:
    """Shows nothing."""
    yield nobody


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Told]:
    """Shows a bar on the console; nothing without a terminal."""
    console = PlainConsole(file=steered(sys.stderr))
    words = (TextColumn(printable(word).replace("{", "{{").replace("}", "}}"), markup=False) for word in (what, unit))
    columns = (next(words), BarColumn(), MofNCompleteColumn(), next(words), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
