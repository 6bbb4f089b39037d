"""A launch listener that writes every event to the journal and wakes the publisher."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from raysweep.pipeline import FitEvent, Task, main_chain
from raysweep.store.process import Process
from raysweep.study import Cell
from raysweep.study.plan import Plan
from raysweep.tracking import schema
from raysweep.tracking.epoch_ranges import spans
from raysweep.tracking.journal import Journal, now_ms
from raysweep.tracking.publisher import Publisher

from .dispatcher import Listener

ALL = "all"
"""Word for a whole curve, whose length only the finished cell knows."""


class Recorder(Listener):
    """Turns what happens to tasks into journal events (see `raysweep.tracking.writer.Writer`)."""

    def __init__(
        self, plan: Plan, launch: str, tracking: str, tags: Mapping[str, str], journal: Journal, publisher: Publisher
    ) -> None:
        self.plan, self.launch, self.tracking, self.tags = plan, launch, tracking, dict(tags)
        self.journal, self.publisher = journal, publisher
        self.unfinished: dict[str, Cell] = {}
        self.over: set[str] = set()  # names of cells that are complete or have failed
        self.shared = SharedEpochs(plan)

    def launched(self, description: dict[str, Any]) -> None:
        """The launch begins; what is known of cells before any work is published right away."""
        tags = {**self.tags, schema.PROCESS: Process.this().word}
        self._tell("launch", plan=description, tags=tags, tracking=self.tracking)
        for cell in self.plan.cells:
            if cell.key in self.plan.done:
                self.over.add(cell.name)
                self._tell("complete", cell=self._cell(cell), shared=ALL)
            elif cell.key in self.plan.failed:
                self.over.add(cell.name)
                self._tell("failed", cell=self._cell(cell), cause=self.plan.failed[cell.key], before=True)

    def started(self, task: Task) -> None:
        self.shared.started(task)
        for cell in self.plan.by_key.get(task.key, ()):
            self.unfinished[cell.name] = cell
            self._tell("start", cell=self._cell(cell), shared=self.shared.of(cell))

    def epoch(self, task: Task, event: FitEvent) -> None:
        """An epoch belongs to the curves of cells, or to a training that cells are made from."""
        self.shared.epoch(task, event)
        finite = {name: value for name, value in event.metrics.items() if math.isfinite(value)}
        watchers = self.plan.watchers.get(event.key, ())
        cells = [cell for cell in watchers if cell.key in task.cells and cell.name not in self.over]
        for cell in cells:
            self.unfinished[cell.name] = cell
            self._tell("epoch", cell=self._cell(cell), epoch=event.epoch, metrics=finite)
        if not watchers:
            words = {"epoch": event.epoch, "metrics": finite, "last": event.epoch == event.until}
            self._tell("training", training=self._training(task, event), **words)

    def completed(self, task: Task, elsewhere: bool = False) -> None:
        for cell in self.plan.by_key.get(task.key, ()):
            self._close(cell)
            self._tell("complete", cell=self._cell(cell), shared=self.shared.of(cell))

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


class SharedEpochs:
    """Which epochs of a cell's own curve its own task did not train: found in the store or computed in another task.

    Of cells with equal keys the first one's task trains; the others' whole curve was computed for it.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.begun: set[str] = set()
        self.told: dict[str, set[int]] = defaultdict(set)  # epochs that own tasks did not plan to train, or replayed
        self.trained: dict[str, set[int]] = defaultdict(set)
        for task in plan.tasks:
            if task.key in plan.by_key:
                self.told[task.key] = _planned(plan, task)

    def started(self, task: Task) -> None:
        self.begun.add(task.key)

    def epoch(self, task: Task, event: FitEvent) -> None:
        if any(cell.key == task.key for cell in self.plan.watchers.get(event.key, ())):
            (self.told if event.replayed else self.trained)[task.key].add(event.epoch)

    def of(self, cell: Cell) -> str:
        """In words, as far as this launch knows: empty for none, `ALL` when it trained nothing for this cell."""
        if cell is not self.plan.by_key[cell.key][0] or cell.key not in self.begun:
            return ALL
        return spans(self.told[cell.key] - self.trained[cell.key])


def _planned(plan: Plan, task: Task) -> set[int]:
    """Epochs of the curve that come before the first that the cell's task makes."""
    epochs = [stage for stage in main_chain(plan.finals[task.key]) if stage.kind == "fit"]
    own = [stage.aside["epoch"] for stage in epochs if stage.key in task.makes]
    first = min(own, default=len(epochs) + 1)
    return {stage.aside["epoch"] for stage in epochs if stage.aside["epoch"] < first}
