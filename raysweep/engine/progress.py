"""What a person sees while cells train: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from raysweep.core.awake import awake
from raysweep.core.console import plain
from raysweep.core.formatting import duration, plural
from raysweep.pipeline import FitEvent, Task
from raysweep.study.plan import Plan

from .dispatcher import Listener

PLAIN_EVERY = 15.0
"""Seconds between progress lines when the output is not a terminal."""


@dataclass
class _Running:
    task: Task
    began: float
    title: str = ""
    epoch: int = 0
    epochs: int = 0
    trained: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)


class Progress(Listener):
    """Shows done, running and failed work, and the time left."""

    def __init__(self, plan: Plan, console: Console, metric: str) -> None:
        self.plan, self.console, self.metric = plan, console, metric
        self.left = {task.key: task.epochs for task in plan.tasks}
        self.total_epochs = sum(self.left.values())
        self.total, self.done, self.lost = len(plan.to_train), 0, set[str]()
        self.running: dict[str, _Running] = {}
        self.first_epoch_at: float | None = None
        self._last_line = 0.0
        self._live = Live(console=console, get_renderable=self._screen, refresh_per_second=4, transient=True)

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def started(self, task: Task) -> None:
        self.running.setdefault(task.key, _Running(task, awake()))

    def epoch(self, task: Task, event: FitEvent) -> None:
        running = self.running.setdefault(task.key, _Running(task, awake()))
        running.title, running.scores = event.title, event.metrics
        running.epoch, running.epochs = event.epoch, event.epochs
        if event.replayed:
            return
        running.trained += 1
        self.left[task.key] = max(0, task.epochs - running.trained)
        self.first_epoch_at = self.first_epoch_at or awake()
        if not self.console.is_terminal and time.monotonic() - self._last_line > PLAIN_EVERY:
            self._line(f"  {self._summary()}")

    def completed(self, task: Task, elsewhere: bool = False) -> None:
        cells = self.plan.by_key.get(task.key)
        if cells:
            self.done += 1
            self._line(f"[{self.done + len(self.lost)}/{self.total}] done    {self._words(task)}")
        elif task.epochs:
            self._line(f"{' ' * len(f'[{self.total}/{self.total}]')} shared  {self._words(task)}")
        self._over(task)

    def failed(self, task: Task, cause: str) -> None:
        self.lost |= task.cells
        self.left = {t.key: self.left[t.key] for t in self.plan.tasks if t.key in self.left and t.cells - self.lost}
        self._line(f"[{self.done + len(self.lost)}/{self.total}] FAILED  {self._name(task)}: {cause}")
        self._over(task)

    def waiting(self, task: Task, holder: str) -> None:
        self._line(f"{' ' * len(f'[{self.total}/{self.total}]')} waits   {self._name(task)}: {holder} computes it")

    def given_back(self, task: Task) -> None:
        self.running.pop(task.key, None)

    def stopping(self) -> None:
        self._line("stopping after the running epochs, which are kept; press Ctrl-C again to stop now")

    def _over(self, task: Task) -> None:
        self.left.pop(task.key, None)
        self.running.pop(task.key, None)

    def _name(self, task: Task) -> str:
        """A cell's name, or that of the shared training and its replicate."""
        cells = self.plan.by_key.get(task.key)
        if cells:
            return cells[0].name
        replicate = min(self.plan.by_key[key][0].replicate for key in task.cells)
        title = task.fits[-1][0] if task.fits else task.stage.kind
        return f"{title} #{replicate}, for {plural(len(task.cells), 'cell')}"

    def _words(self, task: Task) -> str:
        running = self.running.get(task.key)
        if running is None:
            return self._name(task)
        score = running.scores.get(f"val/{self.metric}", running.scores.get(f"test_epoch/{self.metric}"))
        shown = f"  val {self.metric} {score:.3f}" if score is not None else ""
        return f"{self._name(task)}{shown}  {awake() - running.began:.0f} s"

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _summary(self) -> str:
        words = [f"{self.done}/{plural(self.total, 'cell')} done", f"{len(self.running)} running"]
        if self.lost:
            words.append(f"{len(self.lost)} failed")
        remaining = self._seconds_left()
        if remaining is not None:
            words.append(f"about {duration(remaining)} left")
        return ", ".join(words)

    def _seconds_left(self) -> float | None:
        """From the speed so far of all devices together; None before the first epochs are in."""
        trained = self.total_epochs - sum(self.left.values())
        if self.first_epoch_at is None or trained < 2:
            return None
        return (awake() - self.first_epoch_at) / (trained - 1) * sum(self.left.values())

    def _screen(self) -> Group:
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
        for title in ("running", "epoch", f"val {self.metric}", "loss", "time"):
            table.add_column(plain(title), style="cyan" if title == "running" else "", header_style="dim")
        for running in list(self.running.values()):
            scores = running.scores
            table.add_row(
                plain(self._name(running.task)),
                plain(f"{running.title} {running.epoch}/{running.epochs}" if running.epochs else ""),
                _number(scores.get(f"val/{self.metric}")),
                _number(scores.get("train/loss")),
                duration(awake() - running.began),
            )
        finished = self.total_epochs - sum(self.left.values())
        bar = ProgressBar(total=max(1, self.total_epochs), completed=finished, width=40)
        return Group(table, bar, plain(self._summary()))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
