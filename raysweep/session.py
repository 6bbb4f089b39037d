"""One launch from the user's words to the table: the place where all packages meet."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from raysweep.core.errors import UserError
from raysweep.core.store import Store
from raysweep.core.version import code_version
from raysweep.data.dataset import FaceData
from raysweep.data.sources import load_data
from raysweep.engine import Listener, Options, Outcome, Progress, Recorder, cluster, launch
from raysweep.models.backbones import check_weights
from raysweep.report import ReportFiles, build_report
from raysweep.study import Cell, Study
from raysweep.study.plan import Plan, make_plan
from raysweep.tracking import schema
from raysweep.tracking.journal import Journal
from raysweep.tracking.publisher import Publisher, adopt_journals
from raysweep.tracking.server import connect, ui_command
from raysweep.tracking.writer import Writer

DRAIN_SECONDS = 60.0
"""How long a launch waits at its end for a slow tracking server; the journal keeps what is left."""


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

    def run(
        self,
        address: str | None,
        devices_per_trial: int,
        tracking: str | None,
        out: Path | None,
        command: str,
        as_json: bool,
    ) -> int:
        """Train, track, report. Returns the exit code: 0, 1 when cells failed, 130 after Ctrl-C."""
        console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False)
        for model in {cell.experiment.model for cell in self.plan.to_train}:
            check_weights(model.backbone, model.weights)
        client = connect(tracking)  # before any training: a store that cannot be written is found out now
        options = Options(self.store.root, self.cache, address, devices_per_trial)
        console.print(self.plan_text().split("\n    ")[0], markup=False, soft_wrap=True)
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        writer = Writer(client, self.store)
        adopt_journals(self.store.root / "journal", writer)
        with cluster(options, len(self.plan.to_train)) as allotment:
            journal = Journal(self.store.root / "journal" / f"{name}.jsonl")
            publisher = Publisher(journal, writer)
            publisher.start()
            recorder = Recorder(self.plan, name, self._tags(), journal, publisher)
            recorder.launched(self.plan.describe(self.data, command))
            with Progress(self.plan, console, self.plan.study.metric) as progress:
                outcome = launch(self.plan, options, allotment, Both(progress, recorder))
        recorder.ended("KILLED" if outcome.interrupted else "FAILED" if outcome.failed else "FINISHED")
        arrived = publisher.close(10.0 if outcome.interrupted else DRAIN_SECONDS)
        if not arrived:
            console.print(f"tracking: not everything has arrived ({publisher.trouble}); it is kept in {journal.path} "
                          "and published by the next launch", markup=False, soft_wrap=True)  # fmt: skip
        journal.close()
        return self._tell(console, outcome, name, tracking, out, command, as_json)

    def _tell(
        self, console: Console, outcome: Outcome, launch_name: str, tracking: str | None, out: Path | None,
        command: str, as_json: bool,
    ) -> int:  # fmt: skip
        """The end of a launch: table, files, what failed, what to type next."""
        done = len(outcome.completed) + len(self.plan.done)
        words = f"{done} of {len({c.key for c in self.plan.cells})} trainings done in {outcome.seconds:.0f} s"
        if outcome.interrupted:
            console.print(
                f"\nstopped: {words}; finished cells are kept. To go on:\n  {command}", markup=False, soft_wrap=True
            )
            return 130
        report = build_report(
            self.plan.study_name, out or Path("reports") / self.plan.study_name, tracking, launch_name
        )
        causes = {cell.name: outcome.failed[cell.key] for cell in self.plan.cells if cell.key in outcome.failed}
        if as_json:
            facts = {"done": done, "failed": causes, "seconds": round(outcome.seconds, 1), "launch": launch_name}
            files = [str(path) for path in report.paths]
            sys.stdout.write(json.dumps({**self.plan_json(), **facts, "files": files}, indent=1) + "\n")
            return 1 if causes else 0
        console.print(_table(report))
        say = partial(console.print, markup=False, soft_wrap=True)
        for sentence in report.reading:
            say(sentence)
        for cell, cause in causes.items():
            say(f"FAILED {cell}: {cause}")
        say(f"\n{words}{f' on {outcome.devices}' if outcome.devices else ''}.")
        say(f"report           {next(path for path in report.paths if path.suffix == '.html')}, and "
            f"{len(report.paths) - 1} more files (Markdown, LaTeX, CSV, figures) beside it")  # fmt: skip
        say(f"compare trials   {ui_command(tracking)}")
        return 1 if causes else 0

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


def _table(report: ReportFiles) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for i, title in enumerate(report.header):
        table.add_column(title, justify="right" if i else "left")
    for row in report.rows:
        table.add_row(*row)
    return table


def _one_data_set(cells: Sequence[Cell], cache: Path) -> FaceData:
    """The data set of all cells. A study over data sets or image sizes would need one a cell."""
    wanted = {cell.experiment.data for cell in cells}
    if len(wanted) > 1:
        raise UserError("a study cannot sweep data.* fields yet: run it once a data set, with --set or --on")
    return load_data(wanted.pop(), cache)
