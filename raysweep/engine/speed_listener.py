"""A launch listener that measures how fast the devices are, for the next plan."""

from __future__ import annotations

import time

from raysweep.core.awake import slept
from raysweep.pipeline import FitEvent, Task
from raysweep.scheduling import Speeds
from raysweep.study import Cell
from raysweep.study.plan import Plan

from .dispatcher import Listener


class Timing(Listener):
    """Notes the seconds of epochs and of whole tasks; those that went on from a checkpoint, or while
    this process was stopped, only by epochs. Also what the launch took until its first epoch began.

    `since`: when it began, on the clock of `time.monotonic`; None: not to be noted.
    """

    def __init__(self, plan: Plan, speeds: Speeds, since: float | None = None) -> None:
        self.plan, self.speeds, self._since = plan, speeds, since
        self._began: dict[str, tuple[float, float]] = {}
        self._slept = slept()
        self._device = ""

    def started(self, task: Task) -> None:
        self._began[task.key] = time.monotonic(), slept()

    def epoch(self, task: Task, event: FitEvent) -> None:
        if self._since is not None and not event.replayed:
            if slept() == self._slept:
                self.speeds.note_start(time.monotonic() - self._since - event.seconds)
            self._since = None
        if event.replayed:
            self._began.pop(task.key, None)
        self._device = event.device or self._device
        self.speeds.note(event, self._cell(task).experiment)

    def completed(self, task: Task, elsewhere: bool = False) -> None:
        began = self._began.pop(task.key, None)
        if began is not None and self._device and began[1] == slept():
            self.speeds.note_task(task, self._cell(task).experiment, time.monotonic() - began[0], self._device)

    def failed(self, task: Task, cause: str) -> None:
        self._began.pop(task.key, None)

    def _cell(self, task: Task) -> Cell:
        return self.plan.by_key[min(task.cells)][0]
