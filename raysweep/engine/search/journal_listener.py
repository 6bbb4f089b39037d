"""A listener of searches that writes every event to the journal and wakes the publisher."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from raysweep.tracking.journal import Journal, now_ms
from raysweep.tracking.publisher import Publisher

from .dispatcher import SearchListener, SearchTrial


class SearchRecorder(SearchListener):
    """Turns what happens to trials into journal events (see `raysweep.tracking.writer`)."""

    def __init__(
        self, study: str, launch: str, tags: Mapping[str, str], journal: Journal, publisher: Publisher
    ) -> None:
        self.study, self.launch, self.tags = study, launch, dict(tags)
        self.journal, self.publisher = journal, publisher

    def started(self, trial: SearchTrial) -> None:
        self._tell("trial", trial)

    def epoch(self, trial: SearchTrial, epoch: int, metrics: Mapping[str, float]) -> None:
        self._tell("trial_epoch", trial, epoch=epoch, metrics=_finite(metrics))

    def ended(self, trial: SearchTrial, state: str, scores: Mapping[str, float], seconds: float, cause: str) -> None:
        self._tell("trial_end", trial, state=state, scores=_finite(scores), seconds=seconds, cause=cause)

    def _tell(self, event: str, trial: SearchTrial, **facts: Any) -> None:
        words = {"event": event, "time": now_ms(), "study": self.study, "launch": self.launch}
        self.journal.append({**words, "trial": {**asdict(trial), "tags": self.tags}, **facts})
        self.publisher.wake()


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}
