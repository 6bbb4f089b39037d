"""What hands out work to trials of Tune and hears what became of it. Knows no Ray."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from raysweep.pipeline import FitEvent
from raysweep.store.store import StoreUnusable
from raysweep.store.unusable import described, is_unusable

from .events import Listener


@dataclass
class Outcome:
    """How a run of a dispatcher ended.

    `interrupted` by Ctrl-C; `stopped`: why it ended early, in a sentence; `seconds` of wall time; `devices`: how many
    of what kind.
    """

    interrupted: bool = False
    stopped: str = ""
    seconds: float = 0.0
    devices: str = ""


@dataclass(frozen=True)
class Assignment:
    """What a process needs to do one task: make the stage `key` of this experiment's graph.

    `keep`: keys of epochs to store in passing; `experiment`: as nested plain values; `validates`: the graph is that of
    a search's trial, which ends in scores of validation images.
    """

    key: str
    keep: Sequence[str]
    experiment: Mapping[str, Any]
    validates: bool = False

    def describe(self) -> dict[str, Any]:
        """As plain values, for Tune's configuration of a trial."""
        return asdict(self)


class Dispatcher(ABC):
    """Gives each trial of Tune, by its id, the tasks for one process, and keeps count of what becomes of them.

    A driver calls `next` until it gives nothing; then `started`, `epoch`, `done` and `failed` as the process reports,
    and `give_back` once the process has left the trial, whatever happened. What it has done by then stays done.

    `trials` has the ids of the trials that are out.
    """

    listener: Listener
    outcome: Outcome
    trials: Collection[str]
    unusable: ClassVar[tuple[type[Exception], ...]] = ()
    """Further errors that mean that a place this launch needs cannot be used."""

    stopping = False

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Nothing is left to hand out, now or later."""

    @abstractmethod
    def next(self, trial_id: str) -> list[Assignment]:
        """Tasks for one process; none when there is nothing at the moment."""

    @abstractmethod
    def started(self, trial_id: str, key: str) -> None:
        """The process begins with a task; after a death of the process, for a second time perhaps."""

    @abstractmethod
    def epoch(self, trial_id: str, key: str, event: FitEvent, seconds: float) -> None:
        """An epoch of a task. `seconds` since the process began with it."""

    @abstractmethod
    def done(self, trial_id: str, key: str, seconds: float, scores: Mapping[str, float]) -> None:
        """A task's product is in the store."""

    @abstractmethod
    def failed(self, trial_id: str, cause: str, key: str = "", seconds: float | None = None) -> None:
        """A task cannot be done; without `key`, the process died for good, in whichever it was at."""

    @abstractmethod
    def give_back(self, trial_id: str) -> None:
        """The process has left the trial: what it has not done may be handed out again."""

    @abstractmethod
    def close(self) -> None:
        """No process is left: give back everything that is out."""

    def stop(self, reason: str = "") -> None:
        """Hand out nothing more. The first `reason` is kept."""
        self.stopping = True
        self.outcome.stopped = self.outcome.stopped or reason

    def interrupt(self) -> None:
        """Ctrl-C: hand out nothing more, and say so."""
        self.outcome.interrupted = True
        self.stop()
        self.listener.stopping()

    @contextmanager
    def stops_when_unusable(self) -> Iterator[None]:
        """Stops the launch, in good order, when store, journal or another of its places cannot be used."""
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
