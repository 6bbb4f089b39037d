"""Events of a launch's tasks and trials, and the interface of listeners: display, journal, cost model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raysweep.config.experiment import Experiment
from raysweep.pipeline import FitEvent, Task

from .resources import Allotment


@dataclass(frozen=True)
class SearchTrial:
    """One point that a search tries: a cell whose chain ends in `validate`.

    `search`: name of the Optuna study; `key`: of the stage that scores it, empty for a point that is no valid
    Experiment; `point`: values of the searched fields; `experiment`: the complete one (the arm's, for an invalid
    point); `model`: key of the last epoch of its final training, whose curve is shown, not M_A's or M_B's.
    """

    search: str
    number: int
    arm: str
    coordinates: Mapping[str, str]
    replicate: int
    key: str
    point: Mapping[str, Any]
    experiment: Experiment
    model: str = ""


WorkItem = Task | SearchTrial
"""A task that computes products for cells of the table, or a trial of a search."""


@dataclass(frozen=True)
class End:
    """How a task or trial ended.

    `state`: complete; pruned (stopped early by the search); failed; stopped (unfinished, waits for this launch or the
    next). `elsewhere`: another launch computed it. `scores`: of a complete trial, `validation/<name>`; `seconds`: of a
    trial, summed over its devices.
    """

    state: Literal["complete", "pruned", "failed", "stopped"]
    cause: str = ""
    elsewhere: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class Listener:
    """Receives every event. The methods do nothing here; a listener overrides those it needs."""

    def started(self, work: WorkItem) -> None:
        """A process begins or resumes it."""

    def epoch(self, work: WorkItem, event: FitEvent) -> None:
        """An epoch of one of its trainings is done, or replayed from the store."""

    def ended(self, work: WorkItem, end: End) -> None:
        """It has ended; work that was waiting may end without having started here."""

    def waiting(self, work: WorkItem, holder: str) -> None:
        """Another launch computes it; `holder` describes that launch."""

    def node_checked(self, host: str, found: str, can_work: bool) -> None:
        """Before the first task: what a node has, or why it cannot work."""

    def host_unfit(self, host: str, reason: str) -> None:
        """A machine cannot begin tasks; they go to others."""

    def host_fit(self, host: str) -> None:
        """It can again."""

    def devices(self, allotment: Allotment) -> None:
        """The cluster's devices, at the start of the work and whenever they change."""

    def process_lost(self, host: str) -> None:
        """A process died, perhaps with its machine; its tasks are taken up again. `host`: "" if none was begun."""

    def stopping(self) -> None:
        """Ctrl-C: running trainings end after their epoch."""


class Listeners(Listener):
    """Passes every event on to several listeners, in order."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def started(self, work: WorkItem) -> None:
        for listener in self.listeners:
            listener.started(work)

    def epoch(self, work: WorkItem, event: FitEvent) -> None:
        for listener in self.listeners:
            listener.epoch(work, event)

    def ended(self, work: WorkItem, end: End) -> None:
        for listener in self.listeners:
            listener.ended(work, end)

    def waiting(self, work: WorkItem, holder: str) -> None:
        for listener in self.listeners:
            listener.waiting(work, holder)

    def node_checked(self, host: str, found: str, can_work: bool) -> None:
        for listener in self.listeners:
            listener.node_checked(host, found, can_work)

    def host_unfit(self, host: str, reason: str) -> None:
        for listener in self.listeners:
            listener.host_unfit(host, reason)

    def host_fit(self, host: str) -> None:
        for listener in self.listeners:
            listener.host_fit(host)

    def devices(self, allotment: Allotment) -> None:
        for listener in self.listeners:
            listener.devices(allotment)

    def process_lost(self, host: str) -> None:
        for listener in self.listeners:
            listener.process_lost(host)

    def stopping(self) -> None:
        for listener in self.listeners:
            listener.stopping()
