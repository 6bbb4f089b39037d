"""A launch listener that measures how fast the devices are, for the next plan."""

from __future__ import annotations

import time
from collections.abc import Callable

from raysweep.config.experiment import Experiment
from raysweep.core.awake import slept
from raysweep.pipeline import FitEvent, Task
from raysweep.scheduling import Speeds

from .events import End, Listener, WorkItem


class SpeedListener(Listener):
    """Notes the seconds of epochs and of whole tasks; those that went on from a checkpoint, or while
    this process was stopped, only by epochs. Also what the launch took until its first epoch began.

    `speeds` is saved by whoever has it.

    Args:
        experiment_of: a task's experiment (`Plan.experiment_of`); none is asked for where trials alone are run.
        since: when the launch began, on the clock of `time.monotonic`; None: not to be noted.
    """

    def __init__(
        self, speeds: Speeds, experiment_of: Callable[[Task], Experiment] | None = None, since: float | None = None
    ) -> None:
        self.speeds, self.experiment_of, self._since = speeds, experiment_of, since
        self._began: dict[str, tuple[float, float]] = {}
        self._slept = slept()
        self._device = ""

    def started(self, work: WorkItem) -> None:
        self._began[work.key] = time.monotonic(), slept()

    def epoch(self, work: WorkItem, event: FitEvent) -> None:
        if self._since is not None and not event.replayed:
            if slept() == self._slept:
                self.speeds.note_start(time.monotonic() - self._since - event.seconds)
            self._since = None
        if event.replayed:
            self._began.pop(work.key, None)
        self._device = event.device or self._device
        self.speeds.note(event, self._experiment(work))

    def ended(self, work: WorkItem, end: End) -> None:
        began = self._began.pop(work.key, None)
        if end.state != "complete" or began is None or not isinstance(work, Task):
            return
        if self._device and began[1] == slept():
            self.speeds.note_task(work, self._experiment(work), time.monotonic() - began[0], self._device)

    def _experiment(self, work: WorkItem) -> Experiment:
        if not isinstance(work, Task):
            return work.experiment
        assert self.experiment_of is not None
        return self.experiment_of(work)
