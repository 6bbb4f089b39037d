"""A launch listener that writes every event to the journal and wakes the publisher."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from raysweep.study import Cell
from raysweep.study.plan import Plan
from raysweep.tracking.journal import Journal, now_ms
from raysweep.tracking.publisher import Publisher


class Recorder:
    """Turns what happens to cells into journal events (see `raysweep.tracking.writer.Writer`)."""

    def __init__(
        self, plan: Plan, launch: str, tracking: str, tags: Mapping[str, str], journal: Journal, publisher: Publisher
    ) -> None:
        self.plan, self.launch, self.tracking, self.tags = plan, launch, tracking, dict(tags)
        self.journal, self.publisher = journal, publisher
        self.unfinished: dict[str, Cell] = {}

    def launched(self, description: dict[str, Any]) -> None:
        """The launch begins; cells that the store has already are published from there."""
        self._tell("launch", plan=description, tags=self.tags, tracking=self.tracking)
        for cell in self.plan.cells:
            if cell.key in self.plan.done:
                self._tell("complete", cell=self._cell(cell))

    def started(self, cell: Cell) -> None:
        self.unfinished[cell.name] = cell
        self._tell("start", cell=self._cell(cell))

    def epoch(self, cell: Cell, number: int, scores: Mapping[str, float]) -> None:
        finite = {name: value for name, value in scores.items() if math.isfinite(value)}
        self._tell("epoch", cell=self._cell(cell), epoch=number, metrics=finite)

    def completed(self, cell: Cell) -> None:
        self.unfinished.pop(cell.name, None)
        self._tell("complete", cell=self._cell(cell))

    def failed(self, cell: Cell, cause: str) -> None:
        self.unfinished.pop(cell.name, None)
        self._tell("failed", cell=self._cell(cell), cause=cause)

    def ended(self, status: str) -> None:
        """The launch is over: FINISHED, FAILED or KILLED (MLflow's words)."""
        self._tell("end", status=status, stopped=[self._cell(cell) for cell in self.unfinished.values()])

    def _cell(self, cell: Cell) -> dict[str, Any]:
        return {
            "key": cell.key,
            "arm": cell.arm.name,
            "coordinates": dict(cell.arm.coordinates),
            "replicate": cell.replicate,
            "config": cell.experiment.model_dump(),
            "tags": self.tags,
        }

    def _tell(self, event: str, **facts: Any) -> None:
        words = {"event": event, "time": now_ms(), "study": self.plan.study_name, "launch": self.launch}
        self.journal.append({**words, **facts})
        self.publisher.wake()
