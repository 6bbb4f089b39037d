"""One launch from the user's words to the table: the place where all packages meet."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from raysweep.core.errors import UserError
from raysweep.core.experiment import Experiment
from raysweep.core.store import Store
from raysweep.core.version import code_version
from raysweep.data.dataset import TRAIN
from raysweep.data.splits import for_protocol
from raysweep.ending import Ending, Wishes
from raysweep.engine import Listener, Options, Progress, Recorder, cluster, launch
from raysweep.models.arm import check_size
from raysweep.models.backbones import check_weights
from raysweep.recipes import FitEvent, Task, load_sets
from raysweep.study import Cell, Study
from raysweep.study.plan import Plan, make_plan
from raysweep.tracking import schema
from raysweep.tracking.journal import Journal
from raysweep.tracking.publisher import Publisher, adopt_journals
from raysweep.tracking.server import connect, tracking_uri
from raysweep.tracking.writer import Writer
from raysweep.training import check_every_class, given_labels, prepare_targets


@dataclass(frozen=True)
class Session:
    """A planned launch, and where its results go."""

    plan: Plan
    store: Store
    cache: Path

    @classmethod
    def prepare(cls, name: str, study: Study, preset: str, cells: Sequence[Cell], store: Path) -> Session:
        """Read the data and look into the store. Writes nothing but decoded images.

        Raises:
            UserError: data that cannot be read or used.
        """
        cache, kept = store.resolve() / "data", Store(store)
        return cls(make_plan(name, study, preset, cells, kept, cache), kept, cache)

    def plan_json(self) -> dict[str, Any]:
        """What a launch would do, as plain values."""
        plan = self.plan
        return {
            "study": plan.study_name,
            "preset": plan.preset,
            "data": plan.data.name,
            "cells": len(plan.cells),
            "distinct_cells": len(plan.by_key),
            "done": len(plan.done),
            "to_train": len(plan.to_train),
            "epochs_to_train": plan.epochs_to_train,
            "epochs_unshared": plan.epochs_unshared,
            "trainings": {title: {"pieces": n, "epochs": epochs} for title, (n, epochs) in plan.trainings.items()},
            "cell_keys": {cell.name: cell.key for cell in plan.cells},
        }

    def plan_text(self) -> str:
        """What a launch would do, for people."""
        plan = self.plan
        marks = {cell.arm.name: [] for cell in plan.cells}  # type: dict[str, list[str]]
        for cell in plan.cells:
            marks[cell.arm.name].append("done" if cell.key in plan.done else cell.key[:8])
        width = max(len(name) for name in marks)
        return "\n".join(
            [self.headline(), *(f"    {name:{width}}  {' '.join(words)}" for name, words in marks.items())]
        )

    def headline(self) -> str:
        """The plan in a few lines."""
        plan, data = self.plan, self.plan.data
        counts = [len(data.rows(split)) for split in (0, 1, 2)]
        replicates = sorted({cell.replicate for cell in plan.cells})
        shared = len(plan.cells) - len(plan.by_key)
        lines = [
            f"{plan.study_name}: {plan.study.title}",
            f"  data     {data.name}, {sum(counts[:2])} training and {counts[2]} test images, "
            f"{data.num_classes} expressions, {data.images.shape[-1]} px",
            *(f"  extra    {extra.name}, {len(extra.rows(TRAIN))} training images" for extra in plan.extras),
            f"  cells    {len(plan.study.arms())} arms x {len(replicates)} replicates = {len(plan.cells)}"
            + (f", {shared} equal to another" if shared else ""),
            f"  store    {len(plan.done)} done, {len(plan.to_train)} to do",
        ]
        if plan.tasks:
            saved = plan.epochs_unshared - plan.epochs_to_train
            lines.append(
                f"  train    {plan.epochs_to_train} epochs" + (f"; sharing saves {saved} more" if saved > 0 else "")
            )
            lines += [
                f"           {title:24} {n:>4} x, {epochs} epochs" for title, (n, epochs) in plan.trainings.items()
            ]
        return "\n".join(lines)

    def run(self, wishes: Wishes, as_json: bool) -> int:
        """Train, track, report. Returns the exit code: 0, 1 when cells failed, 130 after Ctrl-C.

        Raises:
            UserError: something that would fail every cell, found before the first; nothing is written then.
        """
        console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False)
        self._try_inputs()
        client = connect(wishes.tracking)  # before any training: a store that cannot be written is found out now
        console.print(self.headline(), markup=False, soft_wrap=True)
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        folder, uri = self.store.root / "journal", tracking_uri(wishes.tracking)
        writer = Writer(client, self.store)
        for trouble in adopt_journals(folder, writer, uri):
            console.print(trouble, markup=False, soft_wrap=True)
        options = Options(self.store.root, self.cache, wishes.address, wishes.devices_per_trial)
        with (
            cluster(options, len(self.plan.tasks)) as allotment,
            closing_journal(folder / f"{name}.jsonl") as journal,
        ):
            publisher = Publisher(journal, writer)
            publisher.start()
            recorder = Recorder(self.plan, name, uri, self._tags(), journal, publisher)
            recorder.launched(self.plan.describe(wishes.command))
            with Progress(self.plan, console, self.plan.study.metric) as progress:
                outcome = launch(self.plan, options, allotment, Both(progress, recorder))
            recorder.ended("KILLED" if outcome.interrupted else "FAILED" if outcome.failed else "FINISHED")
            ending = Ending(self.plan, self.store, outcome, name, wishes, console)
            return ending.tell(publisher, self.plan_json() if as_json else None)

    def _try_inputs(self) -> None:
        """Whatever would fail every cell of an arm: initial weights, and labels that the data cannot give."""
        for model in {cell.experiment.model for cell in self.plan.to_train}:
            check_weights(model.backbone, model.weights)
        arms = {cell.arm.name: cell.experiment for cell in reversed(self.plan.to_train)}
        for experiment in arms.values():
            try:
                self._try_arm(experiment)
            except ValueError as error:
                raise UserError(str(error)) from None

    def _try_arm(self, experiment: Experiment) -> None:
        """Labels of the target and of the extra sets, as far as they can be made before any training."""
        sets = load_sets(experiment, self.cache)
        if experiment.model.backbone == "arm":
            check_size(*sets.target.images.shape[2:])
        for data in {id(data): data for data in (sets.target, sets.scored)}.values():
            check_every_class(for_protocol(data, experiment.selection, experiment.seeds.split))
        for data in {id(data): data for data in (sets.target, sets.scored)}.values():
            held = for_protocol(data, experiment.selection, experiment.seeds.split)
            if experiment.joint.method == "target":
                prepare_targets(experiment, held)
            else:
                given_labels(experiment.labels, held, experiment.seeds.noise)
        for extra in sets.extras:
            given_labels(experiment.labels, extra, experiment.seeds.noise)

    def _tags(self) -> dict[str, str]:
        return {
            schema.PRESET: self.plan.preset,
            schema.DATA: self.plan.data.name,
            schema.DATA_FINGERPRINT: self.plan.data.fingerprint,
            schema.CODE_VERSION: code_version(),
        }


class Both:
    """Tells every event of a launch to several listeners."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def started(self, task: Task) -> None:
        for listener in self.listeners:
            listener.started(task)

    def epoch(self, task: Task, event: FitEvent) -> None:
        for listener in self.listeners:
            listener.epoch(task, event)

    def completed(self, task: Task) -> None:
        for listener in self.listeners:
            listener.completed(task)

    def failed(self, task: Task, cause: str) -> None:
        for listener in self.listeners:
            listener.failed(task, cause)


@contextmanager
def closing_journal(path: Path) -> Iterator[Journal]:
    """A journal that is unlocked and closed at the end."""
    journal = Journal(path)
    try:
        yield journal
    finally:
        journal.close()
