"""A listener that writes every event to the journal and wakes the publisher."""

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
from raysweep.tracking.deferred import Deferred
from raysweep.tracking.epoch_ranges import spans
from raysweep.tracking.journal import Journal, now_ms
from raysweep.tracking.publisher import Publisher

from .events import End, Listener, SearchTrial, WorkItem

ALL = "all"
"""All epochs of a curve, whose number is known when the cell is complete."""


class JournalListener(Listener):
    """Turns events of tasks and trials into journal events (see `raysweep.tracking.writer.Writer`).

    If there is a search, `launched` is called again with the plan of the table after it. `is_open`: the launch has
    begun and not ended.

    Args:
        tracking: address of the MLflow store, without a password.
    """

    def __init__(
        self, study: str, launch: str, tracking: str, journal: Journal, publisher: Publisher | Deferred
    ) -> None:
        self.study, self.launch, self.tracking = study, launch, tracking
        self.journal, self.publisher = journal, publisher
        self.tags: dict[str, str] = {}
        self.is_open = False
        self.plan: Plan | None = None
        self.unfinished: dict[str, Cell] = {}
        self.over: set[str] = set()  # names of cells that are complete or have failed
        self._curves: dict[tuple[str, int], set[int]] = defaultdict(set)  # epochs of trials, by search and number

    def launched(self, description: Mapping[str, Any], tags: Mapping[str, str], plan: Plan | None = None) -> None:
        """The launch begins, or continues with a table; writes cells that are done or failed already.

        Args:
            description: the contents of `plan.json` (`StudyRecord.describe`).
            tags: for every run from now on.
        """
        self.tags, self.is_open = dict(tags), True
        own = {**self.tags, schema.PROCESS: Process.this().word}
        self._write("launch", plan=description, tags=own, tracking=self.tracking)
        if plan is None:
            return
        self.plan, self.shared = plan, SharedEpochs(plan)
        for cell in plan.cells:
            if cell.key in plan.done:
                self.over.add(cell.name)
                self._write("complete", cell=self._cell(cell), shared=ALL)
            elif cell.key in plan.failed:
                self.over.add(cell.name)
                self._write("failed", cell=self._cell(cell), cause=plan.failed[cell.key], before=True)

    def started(self, work: WorkItem) -> None:
        if isinstance(work, SearchTrial):
            self._write("trial", trial=self._trial(work))
            return
        self.shared.started(work)
        for cell in self._cells(work):
            self.unfinished[cell.name] = cell
            self._write("start", cell=self._cell(cell), shared=self.shared.of(cell))

    def epoch(self, work: WorkItem, event: FitEvent) -> None:
        """Writes the epoch to the curve of a trial, to those of cells, or to that of a shared training."""
        if isinstance(work, SearchTrial):
            self._trial_epoch(work, event)
            return
        assert self.plan is not None
        self.shared.epoch(work, event)
        watchers = self.plan.watchers.get(event.key, ())
        cells = [cell for cell in watchers if cell.key in work.cells and cell.name not in self.over]
        for cell in cells:
            self.unfinished[cell.name] = cell
            self._write("epoch", cell=self._cell(cell), epoch=event.epoch, metrics=_finite(event.metrics))
        if not watchers:
            facts = {"epoch": event.epoch, "metrics": _finite(event.metrics), "last": event.epoch == event.until}
            self._write("training", training=self._training(work, event), **facts)

    def ended(self, work: WorkItem, end: End) -> None:
        if isinstance(work, SearchTrial):
            facts = {"scores": _finite(end.scores), "seconds": end.seconds, "cause": end.cause}
            self._write("trial_end", trial=self._trial(work), state=end.state, **facts)
        elif end.state == "complete":
            for cell in self._cells(work):
                self._close(cell)
                self._write("complete", cell=self._cell(cell), shared=self.shared.of(cell))
        elif end.state == "failed":
            self._failed(work, end.cause)

    def finished(self, status: str) -> None:
        """The launch has ended. `status`: FINISHED, FAILED or KILLED, as in MLflow."""
        self.is_open = False
        self._write("end", status=status, stopped=[self._cell(cell) for cell in self.unfinished.values()])

    def _failed(self, task: Task, cause: str) -> None:
        assert self.plan is not None
        for cell in (cell for key in sorted(task.cells) for cell in self.plan.by_key[key]):
            if cell.name not in self.over:
                self._close(cell)
                self._write("failed", cell=self._cell(cell), cause=cause)

    def _trial_epoch(self, trial: SearchTrial, event: FitEvent) -> None:
        """Writes each epoch of the trial's own curve once, even if a restarted process repeats it."""
        seen = self._curves[trial.search, trial.number]
        if event.training == trial.model and event.epoch not in seen:
            seen.add(event.epoch)
            self._write("trial_epoch", trial=self._trial(trial), epoch=event.epoch, metrics=_finite(event.metrics))

    def _cells(self, task: Task) -> list[Cell]:
        """The cells that a task completes."""
        assert self.plan is not None
        return self.plan.by_key.get(task.key, [])

    def _cell(self, cell: Cell) -> dict[str, Any]:
        return {
            "key": cell.key,
            "arm": cell.arm.name,
            "coordinates": dict(cell.arm.coordinates),
            "replicate": cell.replicate,
            "config": cell.experiment.model_dump(),
            "tags": self.tags,
        }

    def _trial(self, trial: SearchTrial) -> dict[str, Any]:
        return {
            "search": trial.search,
            "number": trial.number,
            "arm": trial.arm,
            "coordinates": dict(trial.coordinates),
            "replicate": trial.replicate,
            "key": trial.key,
            "point": dict(trial.point),
            "config": trial.experiment.model_dump(),
            "tags": self.tags,
        }

    def _close(self, cell: Cell) -> None:
        self.unfinished.pop(cell.name, None)
        self.over.add(cell.name)

    def _training(self, task: Task, event: FitEvent) -> dict[str, Any]:
        assert self.plan is not None
        replicate = min(self.plan.by_key[key][0].replicate for key in task.cells)
        return {"key": event.training, "title": event.title, "replicate": replicate, "tags": self.tags}

    def _write(self, event: str, **facts: Any) -> None:
        self.journal.append({"event": event, "time": now_ms(), "study": self.study, "launch": self.launch, **facts})
        self.publisher.wake()


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}


class SharedEpochs:
    """Epochs of a cell's curve that its own task did not train, since the store or another task had them.

    Of cells with equal keys only the first has a task of its own; all epochs of the others are shared.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.begun: set[str] = set()
        self.found: dict[str, set[int]] = defaultdict(set)  # epochs not planned for the own task, or replayed
        self.trained: dict[str, set[int]] = defaultdict(set)
        for task in plan.tasks:
            if task.key in plan.by_key:
                self.found[task.key] = _planned(plan, task)

    def started(self, task: Task) -> None:
        self.begun.add(task.key)

    def epoch(self, task: Task, event: FitEvent) -> None:
        if any(cell.key == task.key for cell in self.plan.watchers.get(event.key, ())):
            (self.found if event.replayed else self.trained)[task.key].add(event.epoch)

    def of(self, cell: Cell) -> str:
        """The shared epochs as text, as far as this launch knows; `ALL` if it trained no epoch of the cell."""
        if cell is not self.plan.by_key[cell.key][0] or cell.key not in self.begun:
            return ALL
        return spans(self.found[cell.key] - self.trained[cell.key])


def _planned(plan: Plan, task: Task) -> set[int]:
    """Epochs of the curve before the first that the cell's task trains."""
    epochs = [stage for stage in main_chain(plan.finals[task.key]) if stage.kind == "fit"]
    own = [stage.attached.epoch for stage in epochs if stage.key in task.makes]
    first = min(own, default=len(epochs) + 1)
    return {stage.attached.epoch for stage in epochs if stage.attached.epoch < first}
