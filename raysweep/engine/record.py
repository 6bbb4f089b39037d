"""A launch listener that writes every event to the journal and wakes the publisher."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from raysweep.recipes import FitEvent, Task
from raysweep.study import Cell
from raysweep.study.plan import Plan
from raysweep.tracking.journal import Journal, now_ms
from raysweep.tracking.publisher import Publisher


class Recorder:
    """Turns what happens to tasks into journal events (see `raysweep.tracking.writer.Writer`)."""

    def __init__(
        self, plan: Plan, launch: str, tracking: str, tags: Mapping[str, str], journal: Journal, publisher: Publisher
    ) -> None:
        self.plan, self.launch, self.tracking, self.tags = plan, launch, tracking, dict(tags)
        self.journal, self.publisher = journal, publisher
        self.unfinished: dict[str, Cell] = {}
        self.over: set[str] = set()  # names of cells that are complete or have failed

    def launched(self, description: dict[str, Any]) -> None:
        """The launch begins; cells that the store has already are published from there."""
        self._tell("launch", plan=description, tags=self.tags, tracking=self.tracking)
        for cell in self.plan.cells:
            if cell.key in self.plan.done:
                self.over.add(cell.name)
                self._tell("complete", cell=self._cell(cell))

    def started(self, task: Task) -> None:
        for cell in self.plan.by_key.get(task.key, ()):
            self.unfinished[cell.name] = cell
            self._tell("start", cell=self._cell(cell))

    def epoch(self, task: Task, event: FitEvent) -> None:
        """An epoch belongs to the curves of cells, or to a training that cells are made from."""
        finite = {name: value for name, value in event.metrics.items() if math.isfinite(value)}
        watchers = self.plan.watchers.get(event.key, ())
        cells = [cell for cell in watchers if cell.key in task.cells and cell.name not in self.over]
        for cell in cells:
            self.unfinished[cell.name] = cell
            self._tell("epoch", cell=self._cell(cell), epoch=event.epoch, metrics=finite)
        if not watchers:
            words = {"epoch": event.epoch, "metrics": finite, "last": event.epoch == event.until}
            self._tell("training", training=self._training(task, event), **words)

    def completed(self, task: Task) -> None:
        for cell in self.plan.by_key.get(task.key, ()):
            self._close(cell)
            self._tell("complete", cell=self._cell(cell))

    def failed(self, task: Task, cause: str) -> None:
        for cell in (cell for key in sorted(task.cells) for cell in self.plan.by_key[key]):
            if cell.name in self.over:
                continue
            self._close(cell)
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

    def _close(self, cell: Cell) -> None:
        self.unfinished.pop(cell.name, None)
        self.over.add(cell.name)

    def _training(self, task: Task, event: FitEvent) -> dict[str, Any]:
        replicate = min(self.plan.by_key[key][0].replicate for key in task.cells)
        return {"key": event.training, "title": event.title, "replicate": replicate, "tags": self.tags}

    def _tell(self, event: str, **facts: Any) -> None:
        words = {"event": event, "time": now_ms(), "study": self.plan.study_name, "launch": self.launch}
        self.journal.append({**words, **facts})
        self.publisher.wake()
