"""Simulated tables in three shapes, summarised by the report's own code, and what is wrong in them.

Replicates are shared by arms (seeds, splits) and arms of a higher noise level vary more, as in measured studies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from raysweep.artifacts.study_record import AxisRecord, DataRecord, PlannedCell, StudyRecord
from raysweep.core.formatting import arm_name
from raysweep.report import Results, summarise
from raysweep.report.results.records import CellRecord

SCORES = ("macro_f1", "accuracy", "ece")

Levels = str | tuple[str, ...]
Cells = Mapping[Levels, Sequence[Mapping[str, float] | None]]
"""Levels of an arm to its cells' scores by replicate; None is a cell that failed."""


@dataclass(frozen=True)
class Shape:
    """The axes of a study, its reference, and arms that have the same cells (`same`: arm to the first such arm)."""

    axes: Mapping[str, tuple[str, ...]]
    reference: Mapping[str, str]
    same: Mapping[Levels, Levels]


_SHIFTS = ("none", "moderate", "strong")
_ALONE = ("target only", "SCN on target")
SHAPES = {
    "noise": Shape(
        {"noise": ("0", "0.1", "0.2", "0.3"), "method": ("one-hot", "Euclidean", "Gaussian")}, {"method": "one-hot"}, {}
    ),
    "alpha": Shape({"alpha": ("0", "0.3", "0.5", "0.7", "1")}, {"alpha": "1"}, {}),
    "methods": Shape(
        {"shift": _SHIFTS, "method": (*_ALONE, "extra only", "combination", "fine-tune", "SCN joint", "DCJT")},
        {"method": "target only"},
        {(shift, method): (_SHIFTS[0], method) for shift in _SHIFTS for method in _ALONE},
    ),
}
"""Those of `ablation_noise_rate`, `ablation_alpha` and `dcjt_methods`."""


@dataclass(frozen=True)
class Count:
    """Of `tables` simulated tables, those with any claim, or another fault that is counted."""

    claims: int
    tables: int

    @property
    def share(self) -> float:
        return self.claims / self.tables


def false_claims(shape: str, replicates: int, tables: int, seed: int, shift: float = 0.0) -> Count:
    """Simulate tables of a shape (a name in `SHAPES`) and count those that hold a claim.

    Args:
        shift: by how much every arm but the reference is truly better; 0 for tables in which nothing differs.
    """
    form = SHAPES[shape]
    rng = np.random.default_rng([seed, replicates, list(SHAPES).index(shape)])
    arms: list[Levels] = [levels if len(levels) > 1 else levels[0] for levels in product(*form.axes.values())]
    claims = 0
    for _ in range(tables):
        cells = _draw(form, arms, replicates, rng, shift)
        summary = summarise(results_of(form.axes, form.reference, cells, form.same), further=False)
        comparisons = [score.comparison for arm in summary.arms for score in arm.scores.values()]
        claims += any(c is not None and c.claims for c in comparisons)
    return Count(claims, tables)


def _draw(
    form: Shape, arms: Sequence[Levels], replicates: int, rng: np.random.Generator, shift: float
) -> dict[Levels, list[dict[str, float]]]:
    """Normal scores: a part that all arms of a replicate share, and an arm's own, larger at higher levels."""
    shared = rng.normal(0, 0.02, (replicates, len(SCORES)))
    first = next(iter(form.axes.values()))
    drawn: dict[Levels, list[dict[str, float]]] = {}
    for arm in arms:
        if form.same.get(arm, arm) != arm:
            drawn[arm] = drawn[form.same[arm]]
            continue
        levels = (arm,) if isinstance(arm, str) else arm
        is_reference = all(levels[list(form.axes).index(axis)] == level for axis, level in form.reference.items())
        own = rng.normal(0 if is_reference else shift, 0.01 * (1 + first.index(levels[0])), shared.shape)
        drawn[arm] = [dict(zip(SCORES, row, strict=True)) for row in (0.5 + shared + own).tolist()]
    return drawn


def results_of(
    axes: Mapping[str, Sequence[str]],
    reference: Mapping[str, str],
    cells: Cells,
    keys: Mapping[Levels, Levels] | None = None,
) -> Results:
    """Results of a study from given scores. The first score is the headline.

    Args:
        axes: name to levels.
        reference: levels that others are compared with.
        cells: the scores of every arm, by its level, or its levels where there are several axes.
        keys: arms that have the same cells as another, to that other arm.
    """
    planned, records = [], []
    for arm, row in cells.items():
        levels = (arm,) if isinstance(arm, str) else arm
        coordinates = dict(zip(axes, levels, strict=True))
        for replicate, scores in enumerate(row):
            key = f"{(keys or {}).get(arm, arm)} {replicate}"
            name = arm_name(coordinates)
            planned.append(PlannedCell(coordinates, name, replicate, key))
            state = "failed" if scores is None else "complete"
            records.append(CellRecord(coordinates, name, replicate, key, key, state, dict(scores or {})))
    scores = list(dict.fromkeys(score for row in cells.values() for cell in row if cell for score in cell))
    study = StudyRecord(
        name="simulated", title="Simulated", source="", metric=scores[0], published=None, columns=tuple(scores),
        notes=(), reference=reference, axes=tuple(AxisRecord(name, tuple(levels)) for name, levels in axes.items()),
        preset="demo", replicates=tuple(range(max(map(len, cells.values())))), protocol="validation", weights="best",
        data=DataRecord("made", "f", ("a", "b"), (100, 10, 50), ()), recipe={}, cells=tuple(planned), command="",
        launch="launch",
    )  # fmt: skip
    return Results(study, tuple(records))
