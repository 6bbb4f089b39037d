"""What predictions say beyond scores, over the replicates of an arm."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from raysweep.artifacts.array_file import Array
from raysweep.metrics.calibration import Reliability
from raysweep.report.results.statistics import Spread, spread

from .aggregate import ArmSummary, Summary
from .diagnostics import CellDiagnostics, Scaled, of_cell


@dataclass(frozen=True, eq=False)
class ArmDiagnostics:
    """One arm with the diagnostics of its cells by replicate, and their MLflow runs in the same order."""

    arm: ArmSummary
    cells: Mapping[int, CellDiagnostics]
    runs: tuple[str, ...]

    @property
    def scaled(self) -> dict[int, Scaled]:
        """Of the cells whose temperature could be fitted."""
        return {replicate: cell.scaled for replicate, cell in self.cells.items() if cell.scaled is not None}

    @property
    def f1(self) -> Array:
        """By class, mean over replicates; NaN where no test image has it. Shape (K,)."""
        return mean_of([cell.f1 for cell in self.cells.values()])

    @property
    def recalls(self) -> Array:
        """As `f1`."""
        return mean_of([cell.recalls for cell in self.cells.values()])

    @property
    def shares(self) -> Array:
        """Confusion as shares of rows, mean over replicates. Shape (K, K)."""
        return mean_of([cell.shares for cell in self.cells.values()])

    def pooled(self, scaled: bool) -> Reliability:
        """Reliability over the images of all replicates; of those with a temperature if `scaled`."""
        cells = self.scaled.values() if scaled else self.cells.values()
        return reduce(add, [cell.reliability for cell in cells])

    def errors(self, scaled: bool) -> Spread | None:
        """Calibration error over replicates, before or after scaling."""
        cells = self.scaled.values() if scaled else self.cells.values()
        return spread([cell.reliability.error for cell in cells])


def mean_of(values: Sequence[Array]) -> Array:
    """Mean over the first axis without NaN; NaN where all are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class without images
        mean: Array = np.nanmean(np.stack(values), axis=0)
    return mean


def of_arm(arm: ArmSummary, classes: int) -> ArmDiagnostics | None:
    """Of its cells with predictions of so many classes; None where there are none."""
    found = {
        cell.replicate: (cell.run_id or "", made)
        for cell in arm.cells
        if (made := of_cell(cell)) is not None and len(made.confusion) == classes
    }
    if not found:
        return None
    return ArmDiagnostics(arm, {r: made for r, (_, made) in found.items()}, tuple(run for run, _ in found.values()))


def of_summary(summary: Summary) -> list[ArmDiagnostics]:
    """Every arm that has any, in the order of the table."""
    classes = len(summary.study.data.classes)
    return [made for arm in summary.arms if (made := of_arm(arm, classes)) is not None]
