"""Progress display of a running launch: a live table in a terminal, plain lines elsewhere."""

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

from .events import End, Listener, WorkItem
from .resources import Allotment

PLAIN_EVERY = 15.0
"""Seconds between progress lines when the output is not a terminal."""


class Progress(Listener):
    """A live display on a console, and lines for ended work; a subclass each for cells and searches.

    A context manager, shown while entered.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._last_line = 0.0
        self._live: Live | None = None
        self.allotment: Allotment | None = None

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live = Live(console=self.console, get_renderable=self.screen, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def screen(self) -> Group:
        """The current display."""
        raise NotImplementedError

    def stopping(self) -> None:
        self.line("stopping after the running epochs, which are kept; press Ctrl-C again to stop now")

    def node_checked(self, host: str, found: str, can_work: bool) -> None:
        self.line(f"machine {host} {'is ready' if can_work else 'cannot work'}: {found}")

    def host_unfit(self, host: str, reason: str) -> None:
        self.line(f"machine {host} cannot work ({reason}): its tasks go to other machines")

    def host_fit(self, host: str) -> None:
        self.line(f"machine {host} works again")

    def devices(self, allotment: Allotment) -> None:
        before, self.allotment = self.allotment, allotment
        if (before is None and allotment.present < allotment.total) or (before and before.devices != allotment.devices):
            self.line(f"the cluster has {allotment.devices}")
        if allotment.other_gpus and not (before and before.other_gpus):
            gpus = plural(allotment.other_gpus, "GPU")
            self.line(f"the cluster has {gpus} now, but this launch began on CPUs: start it again to use the GPUs")

    @property
    def on_devices(self) -> str:
        """Such as " on 2 GPUs", or nothing while it is not known."""
        return f" on {self.allotment.devices}" if self.allotment else ""

    def process_lost(self, host: str) -> None:
        self.line(f"a worker{f' on {host}' if host else ''} was lost: its task goes on elsewhere, from its last epoch")

    def line(self, text: str) -> None:
        """Print one line above the table."""
        self._last_line = time.monotonic()
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def line_of_progress(self, text: str) -> None:
        """Print one line without a live table, at most every `PLAIN_EVERY` seconds."""
        if not self.console.is_terminal and time.monotonic() - self._last_line > PLAIN_EVERY:
            self.line(text)

    @staticmethod
    def table(first: str, *others: str) -> Table:
        """An empty table with these columns."""
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
        table.add_column(plain(first), style="cyan", header_style="dim")
        for title in others:
            table.add_column(plain(title), header_style="dim")
        return table


@dataclass
class _Running:
    task: Task
    began: float
    title: str = ""
    epoch: int = 0
    epochs: int = 0
    trained: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)


class CellProgress(Progress):
    """Shows done, running and failed cells, and the time left."""

    def __init__(self, plan: Plan, console: Console, metric: str) -> None:
        super().__init__(console)
        self.plan, self.metric = plan, metric
        self.left = {task.key: task.epochs for task in plan.tasks}
        self.total_epochs = sum(self.left.values())
        self.total, self.done, self.lost = len(plan.to_train), 0, set[str]()
        self.running: dict[str, _Running] = {}
        self.first_epoch_at: float | None = None

    def started(self, work: WorkItem) -> None:
        assert isinstance(work, Task)
        self.running.setdefault(work.key, _Running(work, awake()))

    def epoch(self, work: WorkItem, event: FitEvent) -> None:
        assert isinstance(work, Task)
        running = self.running.setdefault(work.key, _Running(work, awake()))
        running.title, running.scores = event.title, event.metrics
        running.epoch, running.epochs = event.epoch, event.epochs
        if event.replayed:
            return
        running.trained += 1
        self.left[work.key] = max(0, work.epochs - running.trained)
        self.first_epoch_at = self.first_epoch_at or awake()
        self.line_of_progress(f"  {self._summary()}")

    def ended(self, work: WorkItem, end: End) -> None:
        assert isinstance(work, Task)
        if end.state == "complete":
            self._completed(work)
        elif end.state == "failed":
            self.lost |= work.cells
            self.left = {t.key: self.left[t.key] for t in self.plan.tasks if t.key in self.left and t.cells - self.lost}
            self.line(f"{self._counter()} FAILED  {self._name(work)}: {end.cause}")
        if end.state != "stopped":
            self.left.pop(work.key, None)
        self.running.pop(work.key, None)

    def waiting(self, work: WorkItem, holder: str) -> None:
        assert isinstance(work, Task)
        self.line(f"{self._indent()} waits   {self._name(work)}: {holder} is computing it")

    def screen(self) -> Group:
        table = self.table("running", "epoch", f"val {self.metric}", "loss", "time")
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

    def _completed(self, task: Task) -> None:
        if self.plan.by_key.get(task.key):
            self.done += 1
            self.line(f"{self._counter()} done    {self._result(task)}")
        elif task.epochs:
            self.line(f"{self._indent()} shared  {self._result(task)}")

    def _counter(self) -> str:
        return f"[{self.done + len(self.lost)}/{self.total}]"

    def _indent(self) -> str:
        return " " * len(f"[{self.total}/{self.total}]")

    def _name(self, task: Task) -> str:
        """The name of a cell, or of a shared training with its replicate."""
        cells = self.plan.by_key.get(task.key)
        if cells:
            return cells[0].name
        replicate = min(self.plan.by_key[key][0].replicate for key in task.cells)
        title = task.fits[-1][0] if task.fits else task.stage.kind
        return f"{title} #{replicate}, for {plural(len(task.cells), 'cell')}"

    def _result(self, task: Task) -> str:
        running = self.running.get(task.key)
        if running is None:
            return self._name(task)
        score = running.scores.get(f"val/{self.metric}", running.scores.get(f"test_epoch/{self.metric}"))
        shown = f"  val {self.metric} {score:.3f}" if score is not None else ""
        return f"{self._name(task)}{shown}  {awake() - running.began:.0f} s"

    def _summary(self) -> str:
        parts = [f"{self.done}/{plural(self.total, 'cell')} done", f"{len(self.running)} running{self.on_devices}"]
        if self.lost:
            parts.append(f"{len(self.lost)} failed")
        remaining = self._seconds_left()
        if remaining is not None:
            parts.append(f"about {duration(remaining)} left")
        return ", ".join(parts)

    def _seconds_left(self) -> float | None:
        """Estimated from the mean speed of all devices; None before the first epochs."""
        trained = self.total_epochs - sum(self.left.values())
        if self.first_epoch_at is None or trained < 2:
            return None
        return (awake() - self.first_epoch_at) / (trained - 1) * sum(self.left.values())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
