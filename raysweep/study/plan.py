"""From a study to cells: which experiments, under which keys, and which of them are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raysweep.core.errors import UserError, unknown_name
from raysweep.core.experiment import Experiment, flat_words
from raysweep.core.store import Store
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.recipes import experiment_key

from .presets import PRESETS
from .study import Arm, Axis, Study


@dataclass(frozen=True)
class Cell:
    """One arm of one replicate: what is trained and scored."""

    arm: Arm
    replicate: int
    experiment: Experiment
    key: str = ""

    @property
    def name(self) -> str:
        return f"{self.arm.name} #{self.replicate}"


@dataclass(frozen=True)
class Plan:
    """Every cell of a launch. `done` holds the keys whose product is in the store."""

    study_name: str
    study: Study
    preset: str
    cells: Sequence[Cell]
    done: frozenset[str]

    @property
    def to_train(self) -> list[Cell]:
        """The first cell of every key that is not done: equal keys are trained once. Replicate by
        replicate, so that a launch that is cut short leaves whole replicates."""
        first: dict[str, Cell] = {}
        for cell in self.cells:
            if cell.key not in self.done:
                first.setdefault(cell.key, cell)
        return sorted(first.values(), key=lambda cell: cell.replicate)  # stable: arms stay in order

    @property
    def epochs_to_train(self) -> int:
        return sum(cell_epochs(cell) for cell in self.to_train)

    def describe(self, data: FaceData, command: str) -> dict[str, Any]:
        """Plain values from which a report can be built without the study's file (`plan.json` in MLflow)."""
        study, base = self.study, self.cells[0].experiment
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
            "weights": base.selection.weights,
            "data": {
                "name": data.name,
                "fingerprint": data.fingerprint,
                "classes": list(data.classes),
                "counts": [len(data.rows(split)) for split in (TRAIN, VALIDATION, TEST)],
                "notes": list(data.notes),
            },
            "recipe": flat_words(base.model_dump(exclude={"seeds"})),
            "cells": [
                {"coordinates": dict(c.arm.coordinates), "arm": c.arm.name, "replicate": c.replicate, "key": c.key}
                for c in self.cells
            ],
            "command": command,
        }


def cell_epochs(cell: Cell) -> int:
    """Epochs a cell trains (an upper bound where validation chooses the length of a retraining)."""
    twice = cell.experiment.selection.protocol == "select_then_retrain"
    return cell.experiment.train.epochs * (2 if twice else 1)


def with_axis(study: Study, name: str, words: Sequence[str], values: Sequence[Any]) -> Study:
    """The study with one axis replaced, narrowed or added.

    `name` is a field path: the axis over it is replaced, or a new one added. Or it is an axis's
    name: `words` choose among its levels, or are values of its field when it has just one.
    """
    for i, axis in enumerate(study.axes):
        if name != axis.name and not axis.sets(name):
            continue
        axes = list(study.axes)
        axes[i] = _changed_axis(axis, name, words, values)
        reference = dict(study.reference)
        if axis.name in reference and reference[axis.name] not in axes[i].levels:
            raise UserError(
                f"--axis {name}: the study compares with {axis.name}={reference[axis.name]}, "
                f"so that level must stay among {', '.join(axes[i].levels)}"
            )
        return replace(study, axes=axes)
    if "." not in name:
        raise unknown_name("axis", name, [axis.name for axis in study.axes], "(or name a field, such as train.epochs)")
    return replace(study, axes=[*study.axes, Axis.of(name, values)])


def _changed_axis(axis: Axis, name: str, words: Sequence[str], values: Sequence[Any]) -> Axis:
    if all(word in axis.levels for word in words):
        return Axis(axis.name, {word: axis.levels[word] for word in words})
    paths = {path for changes in axis.levels.values() for path in changes}
    if len(paths) > 1:
        wrong = next(word for word in words if word not in axis.levels)
        raise unknown_name(f"level of axis {axis.name!r}:", wrong, axis.levels)
    return Axis.of(paths.pop(), values, axis.name)


def make_cells(
    study: Study, preset: str, replicates: Sequence[int], changes: Mapping[str, Any]
) -> list[Cell]:
    """Cells without keys. Order of precedence: preset, the study's base, `changes`, the arm."""
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    swept = {path for arm in study.arms() for path in arm.changes}
    for path in changes:
        if path in swept:
            raise UserError(f"--set {path}: the study sweeps this field; use --axis {path}=... instead")
    base = Experiment().with_changes({**PRESETS[preset].changes, **study.base, **changes})
    return [
        Cell(arm, number, base.with_changes(arm.changes).with_replicate(number))
        for arm in study.arms()
        for number in replicates
    ]


def make_plan(name: str, study: Study, preset: str, cells: Sequence[Cell], data: FaceData, store: Store) -> Plan:
    """Cells with their keys, and what the store has already."""
    keyed = [replace(cell, key=experiment_key(cell.experiment, data.fingerprint)) for cell in cells]
    done = frozenset(key for key in {cell.key for cell in keyed} if store.get(key) is not None)
    return Plan(name, study, preset, keyed, done)
