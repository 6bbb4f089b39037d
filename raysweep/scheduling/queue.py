"""The task queue, independent of Ray, so that a simulated cluster can use it."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from raysweep.pipeline import Task

TINY_SECONDS = 1.0
"""Tasks below this cost run in batches, since starting a trial takes about as long."""

BATCH_SECONDS = 2.5
"""Approximate cost of such a batch."""

UNTRAINED_SECONDS = 0.5
"""Assumed cost of an unmeasured task without training."""


def unknown_cost(task: Task) -> float | None:
    return None


class TaskQueue:
    """Returns tasks in order as their inputs are done. A step costs O(log n).

    Tasks that need a failed task, or that no live cell needs, are lost. A task is either `waiting`, `running`, `aside`
    or removed (done, failed, lost).

    Args:
        tasks: by priority.
        seconds: cost of a task; None if unknown.
    """

    def __init__(self, tasks: Sequence[Task], seconds: Callable[[Task], float | None] = unknown_cost) -> None:
        self.waiting = {task.key: task for task in tasks}
        self.running: dict[str, Task] = {}
        self.lost_cells: set[str] = set()
        self._aside: dict[str, Task] = {}
        self._seconds = seconds
        self._tasks = list(self.waiting.values())
        self._rank = {key: rank for rank, key in enumerate(self.waiting)}
        self._users: dict[str, list[Task]] = defaultdict(list)
        self._missing: dict[str, int] = {}
        self._of_cell: dict[str, list[Task]] | None = None  # built at the first failure
        self._live_cells: dict[str, int] = {}
        self._ready: set[str] = set()
        self._heaps: tuple[list[int], list[int]] = ([], [])  # ranks of ready tasks: larger ones, tiny ones
        for task in self._tasks:
            needs = [need for need in task.needs if need in self._rank]
            self._missing[task.key] = len(needs)
            for need in needs:
                self._users[need].append(task)
            if not needs:
                self._make_ready(task)

    @property
    def aside(self) -> Mapping[str, Task]:
        """Tasks that another launch computes, by key."""
        return self._aside

    @property
    def ready(self) -> int:
        """Number of tasks that may run now."""
        return len(self._ready)

    @property
    def exhausted(self) -> bool:
        """No task is waiting or set aside; running tasks are the last."""
        return not self.waiting and not self._aside

    def take(self) -> Task | None:
        """The next ready task, which is then running; None if none is ready."""
        firsts = [self._first(heap) for heap in self._heaps]
        ranks = [rank for rank in firsts if rank is not None]
        return self._hand_out(min(ranks)) if ranks else None

    def take_batch(self, devices: int) -> list[Task]:
        """The next work of one device: a task, or a batch of tiny ones; empty if none is ready.

        Args:
            devices: number of devices that share the ready tasks (at least 1); a batch takes at most its share.
        """
        share = self.ready // max(1, devices)
        task = self.take()
        if task is None:
            return []
        batch, total = [task], self._cost(task)
        while total < BATCH_SECONDS and self._cost(task) < TINY_SECONDS and len(batch) < share:
            rank = self._first(self._heaps[1])
            if rank is None:
                break
            batch.append(self._hand_out(rank))
            total += self._cost(batch[-1])
        return batch

    def set_aside(self, key: str) -> None:
        """Set a waiting or running task aside until `resume`, because another launch computes it."""
        task = self.running.pop(key, None) or self.waiting.pop(key, None)
        if task is not None:
            self._ready.discard(key)
            self._aside[key] = task

    def resume(self, key: str) -> None:
        """Return a task set aside to its old position. No effect on other tasks."""
        task = self._aside.pop(key, None)
        if task is not None:
            self.waiting[key] = task
            if not self._missing[key]:
                self._make_ready(task)

    def done(self, key: str) -> None:
        """A task is done, here or elsewhere; its dependents may become ready."""
        if self._remove(key) is None:
            return
        for user in self._users.pop(key, ()):
            self._missing[user.key] -= 1
            if not self._missing[user.key] and user.key in self.waiting:
                self._make_ready(user)

    def failed(self, key: str) -> list[Task]:
        """A task failed.

        Removes and returns the tasks that can no longer run or that no live cell needs, except running ones.
        """
        task = self._remove(key)
        if task is None:
            return []
        lost: list[Task] = []
        dead = [task]
        dead += self._without_cells(task.cells)
        while dead:
            gone = dead.pop()
            if gone is not task:
                if gone.key not in self.waiting and gone.key not in self._aside:
                    continue
                self._remove(gone.key)
                lost.append(gone)
            dead += self._users.pop(gone.key, ())
        return lost

    def _without_cells(self, cells: frozenset[str]) -> list[Task]:
        """Tasks that only these and earlier lost cells need."""
        if self._of_cell is None:
            self._of_cell = defaultdict(list)
            for task in self._tasks:
                self._live_cells[task.key] = len(task.cells)
                for cell in task.cells:
                    self._of_cell[cell].append(task)
        unwanted = []
        for cell in cells - self.lost_cells:
            for task in self._of_cell.pop(cell):
                self._live_cells[task.key] -= 1
                if not self._live_cells[task.key]:
                    unwanted.append(task)
        self.lost_cells |= cells
        return unwanted

    def _remove(self, key: str) -> Task | None:
        self._ready.discard(key)
        return self.running.pop(key, None) or self.waiting.pop(key, None) or self._aside.pop(key, None)

    def _make_ready(self, task: Task) -> None:
        self._ready.add(task.key)
        heapq.heappush(self._heaps[self._cost(task) < TINY_SECONDS], self._rank[task.key])

    def _first(self, heap: list[int]) -> int | None:
        """The lowest rank in a heap whose task is still ready."""
        while heap and self._tasks[heap[0]].key not in self._ready:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def _hand_out(self, rank: int) -> Task:
        task = self._tasks[rank]
        self._ready.discard(task.key)
        self.running[task.key] = self.waiting.pop(task.key)
        return task

    def _cost(self, task: Task) -> float:
        """Cost in seconds for batching; infinite for an unmeasured training."""
        known = self._seconds(task)
        if known is None:
            return float("inf") if task.epochs else UNTRAINED_SECONDS
        return known
