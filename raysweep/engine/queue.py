"""Which task may run next. Knows no Ray, so that a simulated cluster can drive the same code."""

from __future__ import annotations

from collections.abc import Sequence

from raysweep.recipes import Task


class TaskQueue:
    """Hands out tasks in their order, each when everything it needs is done.

    What needs a failed task is lost with it.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.waiting = {task.key: task for task in tasks}
        self.running: dict[str, Task] = {}
        self.lost_cells: frozenset[str] = frozenset()
        self._pending = set(self.waiting)

    def take(self) -> Task | None:
        """The next task that may run, now counted as running; None when there is none at the moment."""
        for key, task in self.waiting.items():
            if not task.needs & self._pending:
                self.running[key] = self.waiting.pop(key)
                return task
        return None

    def done(self, key: str) -> None:
        self._pending.discard(key)
        self.running.pop(key, None)

    def failed(self, key: str) -> list[Task]:
        """Take note that a task failed.

        Returns the tasks that can now never run or that no cell waits for any more, and forgets them.
        """
        task = self.running.pop(key, None)
        self.lost_cells |= task.cells if task else frozenset()
        lost = {k: t for k, t in self.waiting.items() if t.cells and t.cells <= self.lost_cells}
        dead = {key, *lost}
        while True:
            hit = [task for task in self.waiting.values() if task.needs & dead and task.key not in lost]
            if not hit:
                break
            lost |= {task.key: task for task in hit}
            dead |= {task.key for task in hit}
        for gone in lost:
            del self.waiting[gone]
        return list(lost.values())

    @property
    def exhausted(self) -> bool:
        """Nothing waits: whatever runs is the last."""
        return not self.waiting
