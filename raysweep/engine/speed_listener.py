"""A listener that measures training speeds for the cost estimates of later plans."""

from __future__ import annotations

import time
from collections.abc import Callable

from raysweep.config.experiment import Experiment
from raysweep.core.awake import slept
from raysweep.pipeline import FitEvent, Task
from raysweep.scheduling import Speeds

from .events import End, Listener, WorkItem


class SpeedListener(Listener):
    """Measures the seconds of epochs, of whole tasks, and from the start of the launch to its first epoch.

    Tasks that resumed from a checkpoint, or during which this process was suspended, count by their epochs only. The
    caller saves `speeds`.

    Args:
        experiment_of: gives a task's experiment (`Plan.experiment_of`); not needed for search trials.
        since: start of the launch in `time.monotonic` seconds; None: start-up time is not measured.
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
