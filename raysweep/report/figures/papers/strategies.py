"""The headline score of every arm, where arms differ in one axis of words (DCJT, Figure 1: training strategies)."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.report.figures.scores import Line, Point, ScorePanel, frame
from raysweep.report.figures.style import COLORS, INK, WIDTH
from raysweep.report.formatting import number, plural, title
from raysweep.report.results.aggregate import Summary

MOST_ROWS = 24


def strategies(summary: Summary) -> dict[str, Point]:
    """By name; {} unless there is one axis, of words, and two arms with a score."""
    study = summary.study
    if len(study.axes) != 1 or study.axes[0].numeric:
        return {}
    rows: dict[str, Point] = {}
    for arm in summary.arms:
        score = arm.scores[study.metric]
        if score.spread is not None:
            name = next(iter(arm.coordinates.values()))
            rows[name] = Point(float(len(rows)), score.values, score.spread, arm.is_reference, arm.flagged)
    return rows if len(rows) > 1 else {}


def strategies_figure(summary: Summary) -> tuple[Figure, str] | None:
    """A row an arm; and the caption."""
    study, found = summary.study, strategies(summary)
    if not found:
        return None
    rows = dict(itertools.islice(found.items(), MOST_ROWS))
    flagged = " Open: some cells are missing or degenerate." if any(point.flagged for point in rows.values()) else ""
    more = f" The first {MOST_ROWS} of {len(found)} arms." if len(found) > MOST_ROWS else ""
    counts = sorted({point.spread.n for point in rows.values()})
    of = plural(counts[0], "replicate") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} replicates"
    cut = "; some leave the frame" if _frame(rows, study.metric)[2] else ""
    line = " Broken line: the reference." if any(point.is_reference for point in rows.values()) else ""
    return draw_strategies(rows, study.metric, study.axes[0].name), (
        f"{title(study.metric)} by {study.axes[0].name}: mean, 95 % t-interval of the mean ({of}{cut}), and each "
        f"replicate (faint).{line}{flagged}{more} Arms share splits and initial weights, so paired differences "
        "are known better."
    )


def _frame(rows: Mapping[str, Point], score: str) -> tuple[float, float, bool]:
    return frame(ScorePanel(score, (Line("", tuple(rows.values()), is_reference=False),)))


def draw_strategies(rows: Mapping[str, Point], score: str, axis: str) -> Figure:
    """Horizontal, the first arm on top, its mean written beside it."""
    names = [textwrap.fill(name, 30) + ("\n(reference)" if row.is_reference else "") for name, row in rows.items()]
    height = sum(name.count("\n") + 1.6 for name in names)
    figure = Figure(figsize=(WIDTH, 0.7 + 0.15 * height), layout="constrained")
    axes = figure.subplots()
    for y, point in enumerate(rows.values()):
        _draw_row(axes, point, y)
    low, high, _ = _frame(rows, score)
    axes.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(title(score, arrow=True))
    axes.set_ylabel(axis)
    return figure


def _draw_row(axes: Axes, point: Point, y: float) -> None:
    color, spread = (INK if point.is_reference else COLORS[0]), point.spread
    values = list(point.values.values())
    axes.scatter(values, [y] * len(values), s=9, color=color, alpha=0.35, linewidths=0)
    if spread.low is not None and spread.high is not None:
        axes.plot([spread.low, spread.high], [y, y], color=color, lw=1.6, solid_capstyle="round")
    fill, marker = "white" if point.flagged else color, "o" if point.is_reference else "s"
    axes.plot([spread.mean], [y], ls="", marker=marker, ms=5.5, color=color, mfc=fill)
    if point.is_reference:
        axes.axvline(spread.mean, color=INK, lw=0.7, ls=(0, (4, 3)), zorder=0)
    axes.text(1.015, y, number(spread.mean), transform=axes.get_yaxis_transform(), va="center", fontsize=8)
