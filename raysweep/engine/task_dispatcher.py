"""Dispatches the tasks of a plan under store leases, shared fairly with other launches on the same store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from raysweep.core.version import code_version
from raysweep.pipeline import FitEvent, Task
from raysweep.scheduling import TaskQueue
from raysweep.store.leases import Leases
from raysweep.store.store import Store
from raysweep.study.plan import Plan

from .dispatcher import Assignment, Dispatcher, Outcome
from .events import End, Listener

LOOK_EVERY = 1.0
"""Seconds between checks of tasks that other launches compute."""


@dataclass
class TableOutcome(Outcome):
    """How the cells of a launch ended.

    `completed`: keys of cells; `failed`: cause by key of the cell; `trained`: number of pieces and of epochs by title
    of the training; `elsewhere`: number of tasks that another launch computed.
    """

    completed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    trained: dict[str, tuple[int, int]] = field(default_factory=dict)
    elsewhere: int = 0


class TaskDispatcher(Dispatcher):
    """Assigns tasks as their inputs finish, under a lease each, and small tasks in batches.

    Args:
        devices: number of tasks that run at once, until `resize`; limits batches so that no device is idle.
        waits: for tasks that other launches compute; False: finished when these are all that is left.
    """

    def __init__(
        self,
        plan: Plan,
        queue: TaskQueue,
        store: Store,
        leases: Leases,
        listener: Listener,
        devices: int = 1,
        clock: Callable[[], float] = time.monotonic,
        waits: bool = True,
    ) -> None:
        self.plan, self.queue, self.store, self.leases = plan, queue, store, leases
        self.listener, self.devices, self.clock, self.waits = listener, devices, clock, waits
        self.outcome: TableOutcome = TableOutcome()
        self.tasks = {task.key: task for task in plan.tasks}
        self.cells = frozenset(plan.by_key)
        self.trials: dict[str, list[str]] = {}
        self.running: set[str] = set()
        self._looked = -LOOK_EVERY
        self._pieces: set[tuple[str, str, str]] = set()

    @property
    def finished(self) -> bool:
        """True if no task is left and none is running, since running tasks may be given back."""
        over = self.queue.exhausted if self.waits else not self.queue.waiting
        return self.stopping or (over and not self.running)

    def next(self, trial_id: str) -> list[Assignment]:
        """Leased tasks for one device; empty when every ready task is running somewhere."""
        with self.stops_when_unusable():
            self._look_elsewhere()
            while not self.stopping and (batch := self.queue.take_batch(self.devices)):
                if ours := [task for task in batch if self._claim(task)]:
                    self.trials[trial_id] = [task.key for task in ours]
                    self.running |= {task.key for task in ours}
                    return [self._assignment(task) for task in ours]
        return []

    def started(self, trial_id: str, key: str) -> None:
        """Ignores tasks that are done already, which a restarted process begins again."""
        if key not in self.running:
            return
        with self.stops_when_unusable():
            self.listener.started(self.tasks[key])

    def epoch(self, trial_id: str, key: str, event: FitEvent, seconds: float = 0.0) -> None:
        self._count(key, event)
        with self.stops_when_unusable():
            self.listener.epoch(self.tasks[key], event)

    def done(self, trial_id: str, key: str, seconds: float = 0.0, scores: Mapping[str, float] | None = None) -> None:
        """Calling it again for the same task has no effect."""
        if key not in self.running:
            return
        self._leave(key)
        self.queue.done(key)
        self._completed(self.tasks[key])

    def failed(self, trial_id: str, cause: str, key: str = "", seconds: float | None = None) -> None:
        """Fails the task's cells, now and in later launches until they are retried. Without `key`, tasks whose
        products are in the store are done, and the first other one fails."""
        for task in [key] if key else self.trials[trial_id]:
            if task not in self.running:
                continue
            if self.store.has(task):  # done, but its message was lost with the process
                self.done(trial_id, task)
                continue
            self._fail(self.tasks[task], cause)
            self._leave(task)  # last: the next holder of the lease must find the failure
            return

    def give_back(self, trial_id: str) -> None:
        for key in self.trials.pop(trial_id, ()):
            if key in self.running:
                self._leave(key)
                self.queue.set_aside(key)
                self.queue.resume(key)
                self.listener.ended(self.tasks[key], End("stopped"))

    def resize(self, devices: int) -> None:
        self.devices = devices

    def close(self) -> None:
        self.stop()
        for trial_id in list(self.trials):
            self.give_back(trial_id)

    def _assignment(self, task: Task) -> Assignment:
        return Assignment(task.key, sorted(task.keep), self.plan.experiment_of(task).model_dump())

    def _claim(self, task: Task) -> bool:
        """Whether this launch may compute the task: False if another launch computes or has computed it."""
        holder = self.leases.take(task.makes)
        if holder is not None:
            self.queue.set_aside(task.key)
            self.listener.waiting(task, holder)
            return False
        if self._settled(task):
            self.leases.release(task.makes)
            return False
        return True

    def _look_elsewhere(self) -> None:
        """Check tasks that other launches compute: done, failed, or released and to be done here."""
        if not self.queue.aside or self.clock() - self._looked < LOOK_EVERY:
            return
        self._looked = self.clock()
        for task in [self.tasks[key] for key in self.queue.aside]:
            if self._settled(task):
                continue
            if self.leases.take(task.makes) is None:
                self.leases.release(task.makes)
                self.queue.resume(task.key)

    def _settled(self, task: Task) -> bool:
        """Whether another launch has completed or failed the task since this one was planned."""
        if self.store.has(task.key) and self.store.get(task.key) is not None:  # a damaged product is computed again
            self.outcome.elsewhere += 1
            self.queue.done(task.key)
            self._completed(task, elsewhere=True)
            return True
        failure = self.store.failure(task.key)
        if failure is not None and failure != self.plan.noted.get(task.key):
            self._fail(task, str(failure.get("cause", "unknown")))
            return True
        return False

    def _completed(self, task: Task, elsewhere: bool = False) -> None:
        if task.key in self.cells:
            self.outcome.completed.add(task.key)
        with self.stops_when_unusable():
            self.listener.ended(task, End("complete", elsewhere=elsewhere))

    def _fail(self, task: Task, cause: str) -> None:
        facts = {"cause": cause, "time": time.time(), "code_version": code_version()}
        for key in task.cells:
            self.outcome.failed.setdefault(key, cause)
        self.queue.failed(task.key)
        with self.stops_when_unusable():
            for key in {task.key, *task.cells}:
                self.store.note_failure(key, facts)
            self.listener.ended(task, End("failed", cause))

    def _leave(self, key: str) -> None:
        self.running.discard(key)
        self.leases.release(self.tasks[key].makes)

    def _count(self, key: str, event: FitEvent) -> None:
        if event.replayed:
            return
        pieces, epochs = self.outcome.trained.get(event.title, (0, 0))
        piece = (key, event.training, event.title)
        new = piece not in self._pieces
        self._pieces.add(piece)
        self.outcome.trained[event.title] = (pieces + new, epochs + 1)
