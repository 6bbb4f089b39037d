"""From cells to a plan: keys, and which of them the store has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from raysweep.core.experiment import flat_words
from raysweep.core.store import Store
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.recipes import experiment_key

from .cells import Cell, cell_epochs
from .study import Study


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
            "weights": " or ".join(sorted({c.experiment.selection.weights for c in self.cells})),
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


def make_plan(name: str, study: Study, preset: str, cells: Sequence[Cell], data: FaceData, store: Store) -> Plan:
    """Cells with their keys, and what the store has already."""
    keyed = [replace(cell, key=experiment_key(cell.experiment, data.fingerprint)) for cell in cells]
    done = frozenset(key for key in {cell.key for cell in keyed} if store.get(key) is not None)
    return Plan(name, study, preset, keyed, done)
