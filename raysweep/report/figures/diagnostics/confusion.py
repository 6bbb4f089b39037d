"""Confusion of the reference, and how those of other arms differ from it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.artifacts.array_file import Array
from raysweep.core.formatting import arm_name
from raysweep.report.figures.chosen_arms import panels_across, second_axis, side_by_side
from raysweep.report.figures.style import INK, WIDTH
from raysweep.report.formatting import MINUS
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.arm_diagnostics import ArmDiagnostics, mean_of, of_arm

_LEAST = 0.015
"""Smaller shares and differences have no number."""

_FULL = 0.3
"""Difference of the strongest colour."""


@dataclass(frozen=True, eq=False)
class ConfusionPanel:
    """Shares of rows (K, K). `is_difference`: from the reference, over the replicates that both have."""

    name: str
    values_KK: Array
    is_difference: bool
    replicates: int


def confusion_panels(summary: Summary) -> list[ConfusionPanel]:
    """Of the arms side by side: a reference as it is, then others minus theirs. [] without predictions."""
    study = summary.study
    panels: list[ConfusionPanel] = []
    shown: set[str] = set()
    for _, _, where in side_by_side(study, second_axis(study)):
        ours = _found(summary, where)
        reference = study.reference_of(where) if study.reference else where
        theirs = _found(summary, reference)
        if theirs is not None and (name := arm_name(reference)) not in shown:
            shown.add(name)
            panels.append(ConfusionPanel(name, theirs.shares, False, len(theirs.cells)))
        if ours is not None and theirs is not None and reference != where:
            panels += _difference(ours, theirs)
    return panels


def _found(summary: Summary, where: dict[str, str]) -> ArmDiagnostics | None:
    arm = summary.arm(where)
    return None if arm is None else of_arm(arm, len(summary.study.data.classes))


def _difference(ours: ArmDiagnostics, theirs: ArmDiagnostics) -> list[ConfusionPanel]:
    """Paired: the mean over replicates of the difference; [] without a common one."""
    both = sorted(ours.cells.keys() & theirs.cells.keys())
    if not both:
        return []
    values = mean_of([ours.cells[r].shares - theirs.cells[r].shares for r in both])
    return [ConfusionPanel(ours.arm.name, values, True, len(both))]


def confusion_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Confusions and their differences; and its caption."""
    panels = confusion_panels(summary)
    if not panels:
        return None
    text = "Confusion on test images, percent of the row's images, mean over replicates."
    if any(panel.is_difference for panel in panels):
        text += (
            " Blue: the reference. Orange (less) and purple (more): differences of other arms from it in percentage "
            "points, paired by replicate."
        )
    text += f" Below {100 * _LEAST:g} no number is written."
    return draw_confusions(panels, summary.study.data.classes), text


def draw_confusions(panels: Sequence[ConfusionPanel], classes: Sequence[str]) -> Figure:
    """At most three panels a row; labels down, predictions across."""
    across = panels_across(len(panels))
    rows = math.ceil(len(panels) / across)
    figure = Figure(figsize=(WIDTH * across / 3 + (0.3 if across < 3 else 0), 2.55 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, across, squeeze=False)
    for index, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw(axes, panel)
        last = index + across >= len(panels)
        axes.set_xticks(range(len(classes)), classes if last else [""] * len(classes), rotation=40, ha="right",
                        rotation_mode="anchor", fontsize=7)  # fmt: skip
        axes.set_yticks(range(len(classes)), classes if index % across == 0 else [""] * len(classes), fontsize=7)
        name = textwrap.fill(panel.name, 32)
        axes.set_title(f"{name}\nminus reference" if panel.is_difference else name, fontsize=8)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    figure.supxlabel("predicted", fontsize=8)
    figure.supylabel("label", fontsize=8)
    return figure


def _draw(axes: Axes, panel: ConfusionPanel) -> None:
    """Orange to blue about 0 where it is a difference."""
    values = panel.values_KK
    if panel.is_difference:
        axes.imshow(values, cmap="PuOr", vmin=-_FULL, vmax=_FULL)
    else:
        axes.imshow(values, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    strong = 0.75 * _FULL if panel.is_difference else 0.6
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value) or abs(value) < _LEAST:
            continue
        color = "white" if abs(value) > strong else INK
        axes.text(column, row, points(value, panel.is_difference), ha="center", va="center", fontsize=6.5, color=color)


def points(value: float, signed: bool) -> str:
    """Whole percent, with a sign for a difference.

    >>> points(0.618, False), points(-0.04, True)
    ('62', '−4')
    """
    text = f"{100 * value:{'+' if signed else ''}.0f}"
    return text.replace("-", MINUS)
