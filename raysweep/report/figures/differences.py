"""The figure of paired differences: one row an arm, its interval, and the numbers beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.core.formatting import arm_name
from raysweep.report.formatting import title
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.statistics import Comparison, simultaneous
from raysweep.report.tables.arms import difference_words

from .style import COLORS, INK, WIDTH

_VERDICT_COLORS = {"better": COLORS[0], "worse": COLORS[1]}


@dataclass(frozen=True)
class ForestRow:
    """One paired difference to a reference arm."""

    name: str
    group: str
    comparison: Comparison


def forest(summary: Summary) -> list[ForestRow]:
    """Headline differences of every compared arm, grouped by the levels of the axes that are equal."""
    study = summary.study
    rows = []
    for arm in summary.arms:
        comparison = arm.scores[study.metric].comparison
        if comparison is None:
            continue
        compared = {a: level for a, level in arm.coordinates.items() if a in study.reference}
        rest = {a: level for a, level in arm.coordinates.items() if a not in study.reference}
        rows.append(ForestRow(", ".join(compared.values()), arm_name(rest), comparison))
    return rows


def draw_forest(rows: Sequence[ForestRow], score: str, reference: str, family: int = 1) -> Figure:
    """Differences with their intervals for all `family` at once; filled and coloured where they are beyond noise."""
    groups = list(dict.fromkeys(row.group for row in rows))
    height = len(rows) + 0.9 * sum(bool(group) for group in groups)
    figure = Figure(figsize=(WIDTH, 0.75 + 0.235 * height), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=INK, lw=0.9)
    labels: dict[float, str] = {}
    y = 0.0
    for group in groups:
        if group:
            _write(axes, -0.015, y, group, ha="right", weight="bold")
            y += 0.9
        for row in (row for row in rows if row.group == group):
            _draw_row(axes, row, y)
            labels[y] = row.name
            y += 1
    axes.set_yticks(list(labels), list(labels.values()))
    axes.set_ylim(y - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    interval = "95 % paired t-interval" if family < 2 else f"t-intervals, all {family} at once at 95 %"
    text = f"{title(score, arrow=True)}: difference from {reference}, {interval}"
    axes.set_xlabel(text if len(text) <= 80 else textwrap.fill(text, 60))
    return figure


def _draw_row(axes: Axes, row: ForestRow, y: float) -> None:
    comparison = row.comparison
    beyond = comparison.verdict in _VERDICT_COLORS
    color = _VERDICT_COLORS.get(comparison.verdict, "#6b6b6b")
    if comparison.low is not None and comparison.high is not None:
        axes.plot([comparison.low, comparison.high], [y, y], color=color, lw=1.6, solid_capstyle="round")
    fill = color if beyond else "white"
    axes.plot([comparison.difference], [y], marker="o", ms=5.5, color=color, mfc=fill, mew=1.3, ls="")
    _write(axes, 1.02, y, f"{difference_words(comparison)},  n = {comparison.n}", ha="left")


def _write(axes: Axes, x: float, y: float, text: str, **how: object) -> None:
    """Words beside the axes: x in shares of their width, y in rows."""
    axes.text(x, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8, **how)  # type: ignore[arg-type]


def differences_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Paired differences from the reference, where levels are no numbers; and its caption."""
    study, rows = summary.study, forest(summary)
    if not rows or all(axis.numeric for axis in study.axes if axis.name in study.reference):
        return None
    reference = arm_name(study.reference)
    return draw_forest(rows, study.metric, reference, summary.family), (
        f"Paired differences in {title(study.metric)} from {reference} with {simultaneous(summary.family)}. Filled and "
        "coloured: beyond noise, blue better, red worse."
    )
