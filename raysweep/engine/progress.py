"""What a person sees while cells train: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from raysweep.study import Cell
from raysweep.study.cells import cell_epochs
from raysweep.study.plan import Plan

PLAIN_EVERY = 15.0
"""Seconds between progress lines when the output is not a terminal."""


@dataclass
class _Running:
    cell: Cell
    began: float
    epoch: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)


class Progress:
    """A launch listener that shows done, running and failed cells, and the time left."""

    def __init__(self, plan: Plan, console: Console, metric: str) -> None:
        self.console, self.metric = console, metric
        self.left = {cell.key: cell_epochs(cell) for cell in plan.to_train}
        self.total_epochs = sum(self.left.values())
        self.total, self.done, self.lost = len(self.left), 0, 0
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

    def started(self, cell: Cell) -> None:
        self.running.setdefault(cell.key, _Running(cell, time.monotonic()))

    def epoch(self, cell: Cell, number: int, scores: Mapping[str, float]) -> None:
        running = self.running.setdefault(cell.key, _Running(cell, time.monotonic()))
        if number <= running.epoch:
            return  # an epoch told again after a resume, or the same training seen from another arm
        running.epoch, running.scores = number, scores
        self.left[cell.key] = max(0, cell_epochs(cell) - number)
        self.first_epoch_at = self.first_epoch_at or time.monotonic()
        if not self.console.is_terminal and time.monotonic() - self._last_line > PLAIN_EVERY:
            self._line(f"  {self._summary()}")

    def completed(self, cell: Cell) -> None:
        self._over(cell, f"done    {self._words(cell)}", failed=False)

    def failed(self, cell: Cell, cause: str) -> None:
        self._over(cell, f"FAILED  {cell.name}: {cause}", failed=True)

    def _over(self, cell: Cell, line: str, failed: bool) -> None:
        if cell.key not in self.left:
            return  # another arm with the same key told us already
        self.left.pop(cell.key)
        self.done, self.lost = self.done + (not failed), self.lost + failed
        self._line(f"[{self.done + self.lost}/{self.total}] {line}")
        self.running.pop(cell.key, None)

    def _words(self, cell: Cell) -> str:
        running = self.running.get(cell.key)
        if running is None:
            return cell.name
        score = running.scores.get(f"val/{self.metric}", running.scores.get(f"test_epoch/{self.metric}"))
        shown = f"  val {self.metric} {score:.3f}" if score is not None else ""
        return f"{cell.name}{shown}  {time.monotonic() - running.began:.0f} s"

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _summary(self) -> str:
        words = [f"{self.done}/{self.total} cells done", f"{len(self.running)} running"]
        if self.lost:
            words.append(f"{self.lost} failed")
        remaining = self._seconds_left()
        if remaining is not None:
            words.append(f"about {_duration(remaining)} left")
        return ", ".join(words)

    def _seconds_left(self) -> float | None:
        """From the speed so far of all devices together; None before the first epochs are in."""
        trained = self.total_epochs - sum(self.left.values())
        if self.first_epoch_at is None or trained < 2:
            return None
        return (time.monotonic() - self.first_epoch_at) / (trained - 1) * sum(self.left.values())

    def _screen(self) -> Group:
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
        for title in ("running", "epoch", f"val {self.metric}", "loss", "time"):
            table.add_column(title, style="cyan" if title == "running" else "", header_style="dim")
        for running in list(self.running.values()):
            scores = running.scores
            table.add_row(
                running.cell.name,
                f"{running.epoch}/{cell_epochs(running.cell)}",
                _number(scores.get(f"val/{self.metric}")),
                _number(scores.get("train/loss")),
                _duration(time.monotonic() - running.began),
            )
        finished = self.total_epochs - sum(self.left.values())
        bar = ProgressBar(total=max(1, self.total_epochs), completed=finished, width=40)
        return Group(table, bar, Text(self._summary()))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
