"""Tune's view of the hand-out: a searcher that suggests tasks as their inputs finish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ray.tune.search import Searcher

from raysweep.pipeline import Task

from .dispatcher import Handout


class TaskSearcher(Searcher):
    """Suggests the configuration of the next tasks; None while every waiting task needs a running one.

    What became of them is told to the hand-out by `launch._Watch`.
    """

    def __init__(self, handout: Handout, configure: Callable[[Sequence[Task]], dict[str, Any]]) -> None:
        super().__init__(metric=None, mode=None)
        self.handout, self.configure = handout, configure

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher to restore a run; ours resume from the store instead

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        batch = self.handout.next()
        if batch:
            return self.configure(batch)
        return str(Searcher.FINISHED) if self.handout.finished else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing; see the class."""

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a launch resumes by planning again against the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing; see `save`."""
