"""Per class, per pair of classes, and calibration, of every arm, as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raysweep.artifacts.array_file import Array
from raysweep.core.spreadsheet import csv_text
from raysweep.report.formatting import file_stem
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.arm_diagnostics import ArmDiagnostics, mean_of, of_summary

NAMES = ("classes", "confusion", "calibration")
"""Ends of their file names."""


def diagnostic_files(summary: Summary) -> dict[str, str]:
    """Name to content; {} where no cell has predictions."""
    arms, stem = of_summary(summary), file_stem(summary.study.name)
    if not arms:
        return {}
    made = (_classes(summary, arms), _confusion(summary, arms), _calibration(summary, arms))
    return {f"{stem}_{name}.csv": csv_text(lines) for name, lines in zip(NAMES, made, strict=True)}


def _classes(summary: Summary, arms: Sequence[ArmDiagnostics]) -> list[list[str]]:
    """A line an arm and class. `images`: of one replicate."""
    head = [*_axes(summary), "class", "images", "n"]
    lines = [[*head, *(f"{score}_{part}" for score in ("f1", "recall") for part in ("mean", "std")), "runs"]]
    for arm in arms:
        cells = list(arm.cells.values())
        for k, name in enumerate(summary.study.data.classes):
            parts = [*_place(arm), name, str(int(cells[0].confusion[k].sum())), str(len(cells))]
            for values in ([cell.f1[k] for cell in cells], [cell.recalls[k] for cell in cells]):
                parts += _mean_and_std(np.asarray(values))
            lines.append([*parts, " ".join(arm.runs)])
    return lines


def _confusion(summary: Summary, arms: Sequence[ArmDiagnostics]) -> list[list[str]]:
    """A line an arm, label and prediction; `difference`: from the reference, over the `shared` replicates."""
    study, named = summary.study, {arm.arm.name: arm for arm in arms}
    lines = [[*_axes(summary), "label", "predicted", "share", "n", "reference", "difference", "shared"]]
    for arm in arms:
        reference = summary.arm(study.reference_of(arm.arm.coordinates)) if study.reference else None
        theirs = named.get(reference.name) if reference is not None and not arm.arm.is_reference else None
        both = sorted(arm.cells.keys() & theirs.cells.keys()) if theirs is not None else []
        shares, gaps = arm.shares, None
        if theirs is not None and both:
            gaps = mean_of([arm.cells[r].shares - theirs.cells[r].shares for r in both])
        for (i, j), share in np.ndenumerate(shares):
            names = [study.data.classes[i], study.data.classes[j]]
            against = ["", "", ""]
            if gaps is not None and theirs is not None:
                against = [theirs.arm.name, _digits(gaps[i, j]), str(len(both))]
            lines.append([*_place(arm), *names, _digits(share), str(len(arm.cells)), *against])
    return lines


def _calibration(summary: Summary, arms: Sequence[ArmDiagnostics]) -> list[list[str]]:
    """A line an arm. `n_scaled`: replicates with validation predictions, to which the columns after it belong."""
    names = ("ece", "nll", "temperature", "ece_scaled", "nll_scaled")
    before, after = ([f"{name}_{part}" for name in some for part in ("mean", "std")] for some in (names[:2], names[2:]))
    lines = [[*_axes(summary), "n", *before, "n_scaled", *after, "runs"]]
    for arm in arms:
        cells, scaled = list(arm.cells.values()), list(arm.scaled.values())
        parts = [*_place(arm), str(len(cells))]
        for values in ([cell.reliability.error for cell in cells], [cell.log_loss for cell in cells]):
            parts += _mean_and_std(np.asarray(values))
        parts.append(str(len(scaled)))
        for values in (
            [one.temperature for one in scaled],
            [one.reliability.error for one in scaled],
            [one.log_loss for one in scaled],
        ):
            parts += _mean_and_std(np.asarray(values))
        lines.append([*parts, " ".join(arm.runs)])
    return lines


def _axes(summary: Summary) -> list[str]:
    return [axis.name for axis in summary.study.axes]


def _place(arm: ArmDiagnostics) -> list[str]:
    return list(arm.arm.coordinates.values())


def _mean_and_std(values_N: Array) -> list[str]:
    """Empty where there is nothing to average; no standard deviation of one value."""
    known = values_N[np.isfinite(values_N)] if len(values_N) else values_N
    if not len(known):
        return ["", ""]
    return [_digits(known.mean()), _digits(known.std(ddof=1)) if len(known) > 1 else ""]


def _digits(value: Any) -> str:
    """Six significant digits: the last bits of a mean differ between machines."""
    return "" if np.isnan(value) else f"{value:.6g}"
