"""Which task may run next. Knows no Ray, so that a simulated cluster can drive the same code."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from raysweep.pipeline import Task

TINY_SECONDS = 1.0
"""Tasks below this travel together: to start one costs about as much."""

BATCH_SECONDS = 2.5
"""How much work such a batch holds, about."""

UNTRAINED_SECONDS = 0.5
"""What is assumed of a task that trains nothing and that nobody has measured."""


def unknown_cost(task: Task) -> float | None:
    return None


class TaskQueue:
    """Hands out tasks in their order, each when everything it needs is done. A step costs O(log n).

    What needs a failed task is lost with it, and so is what no cell waits for any more. A task is in one
    place at a time: `waiting`, `running`, `aside`, or gone (done, failed, lost).

    Args:
        tasks: in the order in which they should be handed out as far as their needs allow.
        seconds: what a task costs; None where unknown.
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
        self._of_cell: dict[str, list[Task]] | None = None  # made when something fails
        self._live_cells: dict[str, int] = {}
        self._ready: set[str] = set()
        self._heaps: tuple[list[int], list[int]] = ([], [])  # ranks of ready tasks: of the others, of tiny ones
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
        """How many tasks may run now."""
        return len(self._ready)

    @property
    def exhausted(self) -> bool:
        """Nothing waits and nothing is set aside: whatever runs is the last."""
        return not self.waiting and not self._aside

    def take(self) -> Task | None:
        """The next task that may run, now counted as running; None when there is none at the moment."""
        firsts = [self._first(heap) for heap in self._heaps]
        ranks = [rank for rank in firsts if rank is not None]
        return self._hand_out(min(ranks)) if ranks else None

    def take_batch(self, devices: int) -> list[Task]:
        """What one device should do next: a task, or several tiny ones that travel together; none at the moment: [].

        Args:
            devices: how many devices want work now, the asking one included (at least 1). A batch takes
                no more than its share of what is ready, so that none of them goes without.
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
        """Another launch computes this task: it is not handed out until `resume`. A running one goes back."""
        task = self.running.pop(key, None) or self.waiting.pop(key, None)
        if task is not None:
            self._ready.discard(key)
            self._aside[key] = task

    def resume(self, key: str) -> None:
        """A task set aside may be handed out again, in its old place. Others stay where they are."""
        task = self._aside.pop(key, None)
        if task is not None:
            self.waiting[key] = task
            if not self._missing[key]:
                self._make_ready(task)

    def done(self, key: str) -> None:
        """A task is made, by whomever: what needs it need not wait for it any more."""
        if self._remove(key) is None:
            return
        for user in self._users.pop(key, ()):
            self._missing[user.key] -= 1
            if not self._missing[user.key] and user.key in self.waiting:
                self._make_ready(user)

    def failed(self, key: str) -> list[Task]:
        """Take note that a task failed, wherever it was.

        Returns the tasks that can now never run or that no cell waits for any more, and forgets them. What
        runs goes on.
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
        """Tasks that only these cells and others lost before wait for."""
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
        """The lowest rank in a heap that is still ready."""
        while heap and self._tasks[heap[0]].key not in self._ready:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def _hand_out(self, rank: int) -> Task:
        task = self._tasks[rank]
        self._ready.discard(task.key)
        self.running[task.key] = self.waiting.pop(task.key)
        return task

    def _cost(self, task: Task) -> float:
        """Seconds, for batches: what is unknown is long when it trains."""
        known = self._seconds(task)
        if known is None:
            return float("inf") if task.epochs else UNTRAINED_SECONDS
        return known
