"""What happens to the work of a launch, and the interface of whoever wants to know: display, journal, cost model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raysweep.config.experiment import Experiment
from raysweep.pipeline import FitEvent, Task


@dataclass(frozen=True)
class SearchTrial:
    """One point that a search tries: a cell whose chain ends in `validate`.

    `search`: name of the Optuna study; `key` of the stage that gives its scores, empty for a point that no Experiment
    can be; `point`: values of the searched fields; `experiment`: the whole of it (of such a point, the arm's);
    `model`: key of the last epoch of its own training, which its curve is of: not of M_A's or M_B's, made on the way.
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
"""What is handed out: a task that makes what cells of the table need, or a trial of a search."""


@dataclass(frozen=True)
class End:
    """How a piece of work ended.

    `state`: complete; pruned (a search found it hopeless); failed; stopped (before its end: it waits again, for this
    launch or the next). `elsewhere`: another launch computed it meanwhile. `scores`: of a complete trial,
    `validation/<name>`; `seconds`: of a trial, on all of its devices.
    """

    state: Literal["complete", "pruned", "failed", "stopped"]
    cause: str = ""
    elsewhere: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class Listener:
    """Hears of every event. Each method does nothing here: a listener overrides those it needs."""

    def started(self, work: WorkItem) -> None:
        """A process begins with it, or goes on with it."""

    def epoch(self, work: WorkItem, event: FitEvent) -> None:
        """An epoch of one of its trainings is done, replayed ones among them."""

    def ended(self, work: WorkItem, end: End) -> None:
        """It has ended. What was set aside or waits may end without ever having started here."""

    def waiting(self, work: WorkItem, holder: str) -> None:
        """Another launch (`holder`, for people) computes it."""

    def stopping(self) -> None:
        """Ctrl-C: what runs ends after its epoch."""


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

    def stopping(self) -> None:
        for listener in self.listeners:
            listener.stopping()
