"""F1 and recall by class: a row an arm."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.artifacts.array_file import Array
from raysweep.report.figures.style import INK, WIDTH
from raysweep.report.formatting import plural
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.arm_diagnostics import ArmDiagnostics, of_summary

MOST_ROWS = 24
_NAME = 26
"""Letters of an arm's name on a line."""


def classes_figure(summary: Summary) -> tuple[Figure, str] | None:
    """F1 and recall of every class and arm; and its caption."""
    arms = of_summary(summary)
    if not arms:
        return None
    more = f" The first {MOST_ROWS} of {len(arms)} arms." if len(arms) > MOST_ROWS else ""
    return draw_classes(arms[:MOST_ROWS], summary.study.data.classes), (
        "F1 and recall by class on test images, mean over replicates; darker is more; no claims are made about "
        f"single classes.{more}{lacking_words(summary, arms)}"
    )


def lacking_words(summary: Summary, arms: Sequence[ArmDiagnostics]) -> str:
    """A sentence on complete cells whose predictions are not in MLflow."""
    lacking = sum(arm.complete for arm in summary.arms) - sum(len(arm.cells) for arm in arms)
    verb = "is" if lacking == 1 else "are"
    return f" {plural(lacking, 'complete cell')} without readable predictions {verb} left out." if lacking else ""


def draw_classes(arms: Sequence[ArmDiagnostics], classes: Sequence[str]) -> Figure:
    """Two panels, F1 and recall; arms down, classes across."""
    names = [textwrap.fill(arm.arm.name, _NAME) + (" (reference)" if arm.arm.is_reference else "") for arm in arms]
    lines = sum(name.count("\n") + 1 for name in names) + 0.6 * len(names)
    figure = Figure(figsize=(WIDTH, 1.3 + 0.13 * lines), layout="constrained")
    grid = figure.subplots(1, 2, sharey=True)
    tables = {"F1": np.stack([arm.f1 for arm in arms]), "recall": np.stack([arm.recalls for arm in arms])}
    for axes, (title, values) in zip(grid, tables.items(), strict=True):
        _draw_table(axes, values)
        axes.set_title(title)
        axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
    grid[0].set_yticks(range(len(arms)), names, fontsize=7.5)
    return figure


def _draw_table(axes: Axes, values_AK: Array) -> None:
    axes.imshow(values_AK, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for (row, column), value in np.ndenumerate(values_AK):
        if not np.isnan(value):
            axes.text(column, row, percent(value), ha="center", va="center", fontsize=7, color=INK)


def percent(value: float) -> str:
    """Two digits of a share: ".62", "1".

    >>> percent(0.618), percent(0.996)
    ('.62', '1')
    """
    return "1" if value >= 0.995 else f"{value:.2f}"[1:]
