"""Tune's view of the queue: a searcher that suggests tasks as their inputs finish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from raysweep.recipes import Task

from .queue import TaskQueue


class TaskSearcher(Searcher):
    """Suggests the configuration of the next task; None while every waiting task needs a running one."""

    def __init__(self, queue: TaskQueue, configure: Callable[[Task], dict[str, Any]]) -> None:
        super().__init__(metric=None, mode=None)
        self.queue, self.configure = queue, configure
        self.tasks: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.queue.exhausted:
            return str(Searcher.FINISHED)
        task = self.queue.take()
        if task is None:
            return None
        self.tasks[trial_id] = task.key
        return self.configure(task)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        key = self.tasks.pop(trial_id)
        if error or "failed" in (result or {}):
            self.queue.failed(key)
        else:
            self.queue.done(key)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a launch resumes by planning again against the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing; see `save`."""
