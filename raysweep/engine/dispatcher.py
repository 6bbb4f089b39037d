"""Who computes what, and when: tasks of one launch, shared fairly with other launches on the same store.

Knows no Ray: Tune's searcher asks for work here and Tune's callbacks tell here what became of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from raysweep.core.version import code_version
from raysweep.pipeline import FitEvent, Task
from raysweep.scheduling import TaskQueue
from raysweep.store.leases import Leases
from raysweep.store.store import Store, StoreUnusable
from raysweep.store.unusable import described, is_unusable
from raysweep.study.plan import Plan

LOOK_EVERY = 1.0
"""Seconds between looks at what other launches compute."""


class Listener:
    """Whoever wants to know what happens to tasks: the progress display, the journal. Each takes what it needs."""

    def started(self, task: Task) -> None:
        """A process begins with it."""

    def epoch(self, task: Task, event: FitEvent) -> None:
        """An epoch of one of its trainings is done."""

    def completed(self, task: Task, elsewhere: bool = False) -> None:
        """Its product is in the store; `elsewhere`: computed by another launch meanwhile."""

    def failed(self, task: Task, cause: str) -> None:
        """It cannot be done."""

    def waiting(self, task: Task, holder: str) -> None:
        """Another launch (`holder`, in words) computes it."""

    def given_back(self, task: Task) -> None:
        """Its process has left it before its end: it waits again, for this launch or the next."""

    def stopping(self) -> None:
        """Ctrl-C: what runs ends after its epoch."""


@dataclass
class Outcome:
    """How a launch ended.

    `completed`: keys of cells; `failed`: keys of cells with the cause; `trained`: epochs trained by title
    of the training, and in how many pieces; `elsewhere`: tasks that another launch computed meanwhile;
    `interrupted` by Ctrl-C; `stopped`: why the launch ended early, in a sentence.
    """

    completed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    trained: dict[str, tuple[int, int]] = field(default_factory=dict)
    elsewhere: int = 0
    interrupted: bool = False
    stopped: str = ""
    seconds: float = 0.0
    devices: str = ""


class Handout:
    """Gives out tasks as their inputs finish, under a lease each, and keeps count of what happens.

    Args:
        devices: how many tasks run at once; tiny ones travel together, but never so that a device waits.
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
    ) -> None:
        self.plan, self.queue, self.store, self.leases = plan, queue, store, leases
        self.listener, self.devices, self.clock = listener, devices, clock
        self.outcome = Outcome()
        self.tasks = {task.key: task for task in plan.tasks}
        self.cells = frozenset(plan.by_key)
        self.running: set[str] = set()
        self.stopping = False
        self._looked = -LOOK_EVERY
        self._pieces: set[tuple[str, str, str]] = set()

    @property
    def finished(self) -> bool:
        """Nothing is left to hand out, now or later: what runs might come back, so it must have ended, too."""
        return self.stopping or (self.queue.exhausted and not self.running)

    def next(self) -> list[Task]:
        """Tasks for one device, leased and counted as running; none when everything ready is running somewhere."""
        with self.room():
            self._look_elsewhere()
            while not self.stopping and (batch := self.queue.take_batch(self.devices)):
                if ours := [task for task in batch if self._claim(task)]:
                    self.running |= {task.key for task in ours}
                    return ours
        return []

    def stop(self, reason: str = "") -> None:
        """Hand out nothing more. `reason` is kept when there is one."""
        self.stopping = True
        self.outcome.stopped = self.outcome.stopped or reason

    def epoch(self, key: str, event: FitEvent) -> None:
        self._count(key, event)
        with self.room():
            self.listener.epoch(self.tasks[key], event)

    def began(self, key: str) -> None:
        """A process begins with the task; one that came after a death may begin with what its batch has done before."""
        if key not in self.running:
            return
        with self.room():
            self.listener.started(self.tasks[key])

    def done(self, key: str) -> None:
        """The task's product is in the store. Saying so twice is harmless."""
        if key not in self.running:
            return
        self._leave(key)
        self.queue.done(key)
        self._completed(self.tasks[key])

    def failed(self, key: str, cause: str) -> None:
        """The task cannot be done: its cells fail with it, now and in later launches until somebody retries them."""
        if key not in self.running:
            return
        if self.store.has(key):  # it was done, and the word of it was lost with a process
            self.done(key)
            return
        self._fail(self.tasks[key], cause)
        self._leave(key)  # after the note of it: who takes the lease next shall find that

    def died(self, keys: Sequence[str], cause: str) -> None:
        """A process that had these tasks died for good: the one it was at fails, the others are given back."""
        for key in keys:
            if key in self.running and self.store.has(key):
                self.done(key)
        left = [key for key in keys if key in self.running]
        if left:
            self.failed(left[0], cause)
        self.give_back(left)

    def give_back(self, keys: Sequence[str]) -> None:
        """Tasks that were handed out and not begun or not finished: they may be handed out again."""
        for key in keys:
            if key in self.running:
                self._leave(key)
                self.queue.set_aside(key)
                self.queue.resume(key)
                self.listener.given_back(self.tasks[key])

    def _claim(self, task: Task) -> bool:
        """Whether this launch computes the task now: not when another one does, or has done."""
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
        """Tasks that other launches were computing: done there, failed there, or ours to do after all."""
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
        """Whether another launch has brought the task to its end since ours was planned."""
        if self.store.has(task.key) and self.store.get(task.key) is not None:  # an altered one is computed again
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
        with self.room():
            self.listener.completed(task, elsewhere)

    def _fail(self, task: Task, cause: str) -> None:
        facts = {"cause": cause, "time": time.time(), "code_version": code_version()}
        for key in task.cells:
            self.outcome.failed.setdefault(key, cause)
        self.queue.failed(task.key)
        with self.room():
            for key in {task.key, *task.cells}:
                self.store.note_failure(key, facts)
            self.listener.failed(task, cause)

    @contextmanager
    def room(self) -> Iterator[None]:
        """Stops the launch, in good order, when store or journal find no room to write."""
        try:
            yield
        except StoreUnusable as error:
            self.stop(str(error))
        except OSError as error:
            if not is_unusable(error):
                raise
            self.stop(described(error))

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
