"""One complete cell of each arm, for figures of single images."""

from __future__ import annotations

from collections.abc import Sequence

from raysweep.report.figures.chosen_arms import second_axis, side_by_side
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.records import CellRecord

MOST_READ = 24
"""Arms whose files are looked at for what a figure needs."""


def first_cells(summary: Summary) -> list[tuple[ArmSummary, CellRecord]]:
    """The first complete cell of each of the first arms; [] where none is complete."""
    return _first_of(summary.arms[:MOST_READ])


def cells_side_by_side(summary: Summary) -> list[tuple[ArmSummary, CellRecord]]:
    """The same of the arms that stand side by side."""
    study = summary.study
    arms = (summary.arm(where) for _, _, where in side_by_side(study, second_axis(study)))
    return _first_of([arm for arm in arms if arm is not None])


def _first_of(arms: Sequence[ArmSummary]) -> list[tuple[ArmSummary, CellRecord]]:
    return [(arm, next(cell for cell in arm.cells if cell.complete)) for arm in arms if arm.complete]
