"""The interface that gives tasks to Tune trials and receives their results. Independent of Ray."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from raysweep.pipeline import FitEvent
from raysweep.store.store import StoreUnusable
from raysweep.store.unusable import described, is_unusable

from .events import Listener


@dataclass
class Outcome:
    """How a run of a dispatcher ended.

    `interrupted`: by Ctrl-C; `stopped`: reason for an early end, as a sentence; `unfit`: machines that
    could not begin tasks, with the reason; `seconds`: wall time; `devices`: number and kind, such as "2 GPUs".
    """

    interrupted: bool = False
    stopped: str = ""
    unfit: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    devices: str = ""


@dataclass(frozen=True)
class Assignment:
    """One task for a process: compute the stage `key` of this experiment's graph.

    `keep`: keys of epochs to store on the way; `experiment`: as nested plain values; `validates`: the graph of a search
    trial, which ends in scores of validation images.
    """

    key: str
    keep: Sequence[str]
    experiment: Mapping[str, Any]
    validates: bool = False

    def describe(self) -> dict[str, Any]:
        """As plain values, for Tune's configuration of a trial."""
        return asdict(self)


class Dispatcher(ABC):
    """Assigns tasks to Tune trials, by trial id, and records the results.

    The driver calls `next` until it returns nothing; then `started`, `epoch`, `done` and `failed` as the process
    reports, and `give_back` when the process has left the trial for any reason; tasks done by then stay done.

    `trials`: ids of the trials that have tasks.
    """

    listener: Listener
    outcome: Outcome
    trials: Collection[str]
    unusable: ClassVar[tuple[type[Exception], ...]] = ()
    """Further exceptions that mean that a storage of this launch cannot be used."""

    stopping = False

    @property
    @abstractmethod
    def finished(self) -> bool:
        """No task is left, now or later."""

    @abstractmethod
    def next(self, trial_id: str) -> list[Assignment]:
        """Tasks for one process; empty when none is ready."""

    @abstractmethod
    def started(self, trial_id: str, key: str) -> None:
        """The process begins a task; again if it was restarted after it died."""

    @abstractmethod
    def epoch(self, trial_id: str, key: str, event: FitEvent, seconds: float) -> None:
        """An epoch of a task has ended, `seconds` after the process began the task."""

    @abstractmethod
    def done(self, trial_id: str, key: str, seconds: float, scores: Mapping[str, float]) -> None:
        """A task's product is in the store."""

    @abstractmethod
    def failed(self, trial_id: str, cause: str, key: str = "", seconds: float | None = None) -> None:
        """A task has failed; without `key`, the process failed for good during one of its tasks."""

    @abstractmethod
    def give_back(self, trial_id: str) -> None:
        """The process has left the trial: its unfinished tasks may be assigned again."""

    @abstractmethod
    def close(self) -> None:
        """No process is left: give back all assigned tasks."""

    def resize(self, devices: int) -> None:  # noqa: B027  only batches of tasks depend on it
        """The cluster has, or may have, so many devices now."""

    def stop(self, reason: str = "") -> None:
        """Assign no more tasks. The first `reason` is kept."""
        self.stopping = True
        self.outcome.stopped = self.outcome.stopped or reason

    def interrupt(self) -> None:
        """Ctrl-C: assign no more tasks and tell the listener."""
        self.outcome.interrupted = True
        self.stop()
        self.listener.stopping()

    @contextmanager
    def stops_when_unusable(self) -> Iterator[None]:
        """Stops the launch cleanly if the store, the journal or another storage cannot be used."""
        try:
            yield
        except StoreUnusable as error:
            self.stop(str(error))
        except self.unusable as error:
            self.stop(self.unusable_reason(error))
        except OSError as error:
            if not is_unusable(error):
                raise
            self.stop(described(error))

    def unusable_reason(self, error: Exception) -> str:
        """A sentence about one of `unusable`."""
        return str(error)
