"""From cells to a plan: keys, what the store has, and the tasks that make the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from raysweep.core.errors import UserError
from raysweep.core.experiment import flat_words
from raysweep.core.stage import Stage
from raysweep.core.store import Store
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.recipes import Sets, Task, build, epochs_alone, load_sets, main_chain, plan_tasks

from .cells import Cell
from .study import Study


@dataclass(frozen=True)
class Plan:
    """Every cell of a launch, and the tasks that make what is missing.

    `done` holds the keys of cells whose product is in the store; `finals` the last stage of every cell
    by key; `extras` the distinct extra sets of all cells.
    """

    study_name: str
    study: Study
    preset: str
    cells: Sequence[Cell]
    data: FaceData
    extras: Sequence[FaceData]
    finals: Mapping[str, Stage]
    done: frozenset[str]
    tasks: Sequence[Task]

    @cached_property
    def by_key(self) -> dict[str, list[Cell]]:
        """The cells of every key: arms that come to the same thing are trained once."""
        cells: dict[str, list[Cell]] = {}
        for cell in self.cells:
            cells.setdefault(cell.key, []).append(cell)
        return cells

    @cached_property
    def watchers(self) -> dict[str, list[Cell]]:
        """Key of an epoch to the unfinished cells whose curve it belongs to."""
        watchers: dict[str, list[Cell]] = {}
        for key, cells in self.by_key.items():
            if key not in self.done:
                for stage in main_chain(self.finals[key]):
                    watchers.setdefault(stage.key, []).extend(cells)
        return watchers

    @property
    def to_train(self) -> list[Cell]:
        """The first cell of every key that is not done."""
        return [cells[0] for key, cells in self.by_key.items() if key not in self.done]

    @property
    def epochs_to_train(self) -> int:
        return sum(task.epochs for task in self.tasks)

    @property
    def epochs_unshared(self) -> int:
        """Epochs that the missing cells would train if each were run alone."""
        return sum(epochs_alone(self.finals[cell.key]) for cell in self.to_train)

    @property
    def trainings(self) -> dict[str, tuple[int, int]]:
        """By title: how many trainings (pieces of one, where it is cut) there are to do, and their epochs."""
        counts: Counter[str] = Counter()
        epochs: Counter[str] = Counter()
        for title, length in (fit for task in self.tasks for fit in task.fits):
            counts[title] += 1
            epochs[title] += length
        return {title: (counts[title], epochs[title]) for title in counts}

    def describe(self, command: str) -> dict[str, Any]:
        """Plain values from which a report can be built without the study's file (`plan.json` in MLflow)."""
        study, base, data = self.study, self.cells[0].experiment, self.data
        return {
            "study": {
                "name": self.study_name,
                "title": study.title,
                "source": study.source,
                "metric": study.metric,
                "published": study.published,
                "columns": list(study.columns),
                "notes": list(study.notes),
                "reference": dict(study.reference),
                "axes": [{"name": axis.name, "levels": list(axis.levels)} for axis in study.axes],
            },
            "preset": self.preset,
            "replicates": sorted({cell.replicate for cell in self.cells}),
            "protocol": base.selection.protocol,
            "weights": " or ".join(sorted({c.experiment.selection.weights for c in self.cells})),
            "data": {
                "name": data.name,
                "fingerprint": data.fingerprint,
                "classes": list(data.classes),
                "counts": [len(data.rows(split)) for split in (TRAIN, VALIDATION, TEST)],
                "notes": list(data.notes),
                "extras": [
                    {"name": e.name, "fingerprint": e.fingerprint, "count": len(e.rows(TRAIN)), "notes": list(e.notes)}
                    for e in self.extras
                ],
            },
            "recipe": flat_words(base.model_dump(exclude={"seeds"})),
            "cells": [
                {"coordinates": dict(c.arm.coordinates), "arm": c.arm.name, "replicate": c.replicate, "key": c.key}
                for c in self.cells
            ],
            "command": command,
        }


def make_plan(
    name: str, study: Study, preset: str, cells: Sequence[Cell], store: Store, cache: Path | None = None
) -> Plan:
    """Read the data, key every cell, look into the store, and list what is to be done.

    Raises:
        UserError: data that cannot be read or used, or cells that would be scored on different images.
    """
    sets = [load_sets(cell.experiment, cache) for cell in cells]
    stages = [_built(cell, own) for cell, own in zip(cells, sets, strict=True)]
    keyed = [replace(cell, key=stage.key) for cell, stage in zip(cells, stages, strict=True)]
    finals = {stage.key: stage for stage in stages}
    done = frozenset(key for key in finals if store.get(key) is not None)
    scored = {own.scored.fingerprint: own.scored for own in sets}
    if len(scored) > 1:
        raise UserError(
            "a study is scored on one data set, but its arms have several: run it once a data set, with --set or --on"
        )
    extras = {e.fingerprint + str(len(e)): e for own in sets for e in own.all if e.fingerprint not in scored}
    tasks = _ordered(plan_tasks(finals.values(), store), keyed)
    return Plan(name, study, preset, keyed, sets[0].scored, tuple(extras.values()), finals, done, tasks)


def _built(cell: Cell, sets: Sets) -> Stage:
    try:
        return build(cell.experiment, sets)
    except UserError as error:
        raise UserError(f"{cell.arm.name}: {error}") from None


def _ordered(tasks: Sequence[Task], cells: Sequence[Cell]) -> list[Task]:
    """Replicate by replicate, so that a launch that is cut short leaves whole ones; within one what takes no
    training first, then what most work waits for."""
    replicate = {cell.key: cell.replicate for cell in reversed(cells)}
    ahead: dict[str, int] = {}
    users: dict[str, list[str]] = {}
    for task in tasks:
        for need in task.needs:
            users.setdefault(need, []).append(task.key)
    for task in reversed(tasks):  # whoever uses a task comes after it
        ahead[task.key] = task.epochs + max((ahead[user] for user in users.get(task.key, ())), default=0)
    return sorted(
        tasks, key=lambda task: (min(replicate[key] for key in task.cells), ahead[task.key] > 0, -ahead[task.key])
    )
