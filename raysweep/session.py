"""One launch from the user's words to the table: the place where all packages meet."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from raysweep.core.errors import UserError
from raysweep.core.store import Store
from raysweep.core.version import code_version
from raysweep.data.dataset import FaceData
from raysweep.data.sources import load_data
from raysweep.data.splits import for_protocol
from raysweep.ending import Ending, Wishes
from raysweep.engine import Listener, Options, Progress, Recorder, cluster, launch
from raysweep.models.backbones import check_weights
from raysweep.study import Cell, Study
from raysweep.study.plan import Plan, make_plan
from raysweep.tracking import schema
from raysweep.tracking.journal import Journal
from raysweep.tracking.publisher import Publisher, adopt_journals
from raysweep.tracking.server import connect, tracking_uri
from raysweep.tracking.writer import Writer
from raysweep.training import prepare_targets


@dataclass(frozen=True)
class Session:
    """A planned launch: the cells, their data, and where results go."""

    plan: Plan
    data: FaceData
    store: Store
    cache: Path

    @classmethod
    def prepare(cls, name: str, study: Study, preset: str, cells: Sequence[Cell], store: Path) -> Session:
        """Read the data and look into the store. Writes nothing but decoded images.

        Raises:
            UserError: data that cannot be read or used.
        """
        cache = store.resolve() / "data"
        data = _one_data_set(cells, cache)
        kept = Store(store)
        return cls(make_plan(name, study, preset, cells, data, kept), data, kept, cache)

    def plan_json(self) -> dict[str, Any]:
        """What a launch would do, as plain values."""
        plan = self.plan
        keys = {cell.key for cell in plan.cells}
        return {
            "study": plan.study_name,
            "preset": plan.preset,
            "data": self.data.name,
            "cells": len(plan.cells),
            "trainings": len(keys),
            "done": len(plan.done),
            "to_train": len(plan.to_train),
            "epochs_to_train": plan.epochs_to_train,
            "cell_keys": {cell.name: cell.key for cell in plan.cells},
        }

    def plan_text(self) -> str:
        """What a launch would do, for people."""
        plan, counts = self.plan, [len(self.data.rows(split)) for split in (0, 1, 2)]
        replicates = sorted({cell.replicate for cell in plan.cells})
        shared = len(plan.cells) - len({cell.key for cell in plan.cells})
        lines = [
            f"{plan.study_name}: {plan.study.title}",
            f"  data     {self.data.name}, {sum(counts[:2])} training and {counts[2]} test images, "
            f"{self.data.num_classes} expressions, {self.data.images.shape[-1]} px",
            f"  cells    {len(plan.study.arms())} arms x {len(replicates)} replicates = {len(plan.cells)}"
            + (f", {shared} equal to another" if shared else ""),
            f"  store    {len(plan.done)} done, {len(plan.to_train)} to train, {plan.epochs_to_train} epochs",
        ]
        marks = {cell.arm.name: [] for cell in plan.cells}  # type: dict[str, list[str]]
        for cell in plan.cells:
            marks[cell.arm.name].append("done" if cell.key in plan.done else cell.key[:8])
        width = max(len(name) for name in marks)
        return "\n".join([*lines, *(f"    {name:{width}}  {' '.join(words)}" for name, words in marks.items())])

    def run(self, wishes: Wishes, as_json: bool) -> int:
        """Train, track, report. Returns the exit code: 0, 1 when cells failed, 130 after Ctrl-C.

        Raises:
            UserError: something that would fail every cell, found before the first; nothing is written then.
        """
        console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False)
        self._try_inputs()
        client = connect(wishes.tracking)  # before any training: a store that cannot be written is found out now
        console.print(self.plan_text().split("\n    ")[0], markup=False, soft_wrap=True)
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        folder, uri = self.store.root / "journal", tracking_uri(wishes.tracking)
        writer = Writer(client, self.store)
        for trouble in adopt_journals(folder, writer, uri):
            console.print(trouble, markup=False, soft_wrap=True)
        options = Options(self.store.root, self.cache, wishes.address, wishes.devices_per_trial)
        with (
            cluster(options, len(self.plan.to_train)) as allotment,
            closing_journal(folder / f"{name}.jsonl") as journal,
        ):
            publisher = Publisher(journal, writer)
            publisher.start()
            recorder = Recorder(self.plan, name, uri, self._tags(), journal, publisher)
            recorder.launched(self.plan.describe(self.data, wishes.command))
            with Progress(self.plan, console, self.plan.study.metric) as progress:
                outcome = launch(self.plan, options, allotment, Both(progress, recorder))
            recorder.ended("KILLED" if outcome.interrupted else "FAILED" if outcome.failed else "FINISHED")
            ending = Ending(self.plan, outcome, name, wishes, console)
            return ending.tell(publisher, self.plan_json() if as_json else None)

    def _try_inputs(self) -> None:
        """Whatever would fail every cell of an arm: initial weights, and labels that the data cannot give."""
        for model in {cell.experiment.model for cell in self.plan.to_train}:
            check_weights(model.backbone, model.weights)
        arms = {cell.arm.name: cell.experiment for cell in reversed(self.plan.to_train)}
        for experiment in arms.values():
            try:
                prepare_targets(experiment, for_protocol(self.data, experiment.selection, experiment.seeds.split))
            except ValueError as error:
                raise UserError(str(error)) from None

    def _tags(self) -> dict[str, str]:
        return {
            schema.PRESET: self.plan.preset,
            schema.DATA: self.data.name,
            schema.DATA_FINGERPRINT: self.data.fingerprint,
            schema.CODE_VERSION: code_version(),
        }


class Both:
    """Tells every event of a launch to several listeners."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def started(self, cell: Cell) -> None:
        for listener in self.listeners:
            listener.started(cell)

    def epoch(self, cell: Cell, number: int, scores: Mapping[str, float]) -> None:
        for listener in self.listeners:
            listener.epoch(cell, number, scores)

    def completed(self, cell: Cell) -> None:
        for listener in self.listeners:
            listener.completed(cell)

    def failed(self, cell: Cell, cause: str) -> None:
        for listener in self.listeners:
            listener.failed(cell, cause)


@contextmanager
def closing_journal(path: Path) -> Iterator[Journal]:
    """A journal that is unlocked and closed at the end."""
    journal = Journal(path)
    try:
        yield journal
    finally:
        journal.close()


def _one_data_set(cells: Sequence[Cell], cache: Path) -> FaceData:
    """The data set of all cells. A study over data sets or image sizes would need one a cell."""
    wanted = {cell.experiment.data for cell in cells}
    if len(wanted) > 1:
        raise UserError("a study cannot sweep data.* fields yet: run it once a data set, with --set or --on")
    return load_data(wanted.pop(), cache)
