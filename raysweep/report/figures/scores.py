"""Drawing scores along a numeric axis, the paper's numbers in panels of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D

from raysweep.report.formatting import plural, title

from .series import Dependence, Line, PaperLine, PaperPanel, Point, ScorePanel
from .style import COLORS, FAINT, INK, WIDTH, looks

Styles = dict[str, tuple[str, str]]
"""Name of a line to its colour and marker."""

_OURS, _PAPER = 3.9, 1.7
"""Heights in inches of our panels and of the paper's."""


def draw_dependence(data: Dependence, source: str) -> Figure:
    """Means with 95 % t-intervals along the numeric axis, replicates faint, the paper's panels below."""
    styles = line_styles(data.panels[0].lines)
    if not data.paper:
        figure = Figure(figsize=(WIDTH, _OURS), layout="constrained")
        _draw_ours(figure, data, styles)
        return figure
    figure = Figure(figsize=(WIDTH, _OURS + _PAPER), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(_OURS, _PAPER))
    _draw_ours(parts[0], data, styles)
    _draw_paper(parts[1], data, styles, source)
    return figure


def line_styles(lines: Sequence[Line]) -> Styles:
    """Colour and marker by line. A single line is coloured even where all of it is the reference."""
    if len(lines) == 1:
        return {lines[0].name: (COLORS[0], "o")}
    return dict(zip((line.name for line in lines), looks([line.is_reference for line in lines]), strict=True))


def _draw_ours(part: FigureBase, data: Dependence, styles: Styles) -> None:
    """The headline's panel, and beside it a small one for each further score."""
    small = data.panels[1:]
    grid = part.add_gridspec(max(len(small), 1), 2 if small else 1, width_ratios=(2, 1) if small else None)
    main = part.add_subplot(grid[:, 0])
    draw_panel(main, data.panels[0], styles, big=True)
    main.set_xlabel(data.axis.name)
    main.set_ylabel(title(data.panels[0].score, arrow=True))
    _legend(main, data.panels[0])
    for row, panel in enumerate(small):
        axes = part.add_subplot(grid[row, 1], sharex=main)
        draw_panel(axes, panel, styles, big=False)
        axes.set_title(title(panel.score, arrow=True), loc="left", fontsize=8.5)
        axes.locator_params(axis="y", nbins=4)
        last = row == len(small) - 1
        axes.tick_params(labelbottom=last)
        axes.set_xlabel(data.axis.name if last else "")


def draw_panel(axes: Axes, panel: ScorePanel, styles: Styles, big: bool) -> None:
    """One score along a numeric axis."""
    width, middle = _spacing(panel.lines), (len(panel.lines) - 1) / 2
    for index, line in enumerate(panel.lines):
        color, marker = styles.get(line.name, (FAINT, "x"))
        _draw_line(axes, line, color, marker, (index - middle) * width, big, alone=len(panel.lines) == 1)
    for paper in panel.paper:
        color = styles.get(paper.name, (FAINT, ""))[0] if paper.name else FAINT
        label = f"paper, {paper.name}" if paper.name else "paper"
        axes.plot(*_xy(paper), ls="--", lw=1.1, color=color, marker="x", ms=4, label=label)
    _level_ticks(axes, {point.x for line in panel.lines for point in line.points})
    low, high, _ = frame(panel)
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def frame(panel: ScorePanel) -> tuple[float, float, bool]:
    """Lowest and highest value to show, and whether an interval is cut there.

    Intervals of two or three replicates are so wide that they would hide the values: no more is
    shown of them than the range of the values again on either side.
    """
    points = [point for line in panel.lines for point in line.points]
    values = [value for point in points for value in point.values.values()]
    values += [value for paper in panel.paper for _, value in paper.points]
    ends = [end for p in points if p.spread.low is not None and p.spread.high is not None
            for end in (p.spread.low, p.spread.high)]  # fmt: skip
    low, high = min(values), max(values)
    reach = (high - low) or 0.1 * abs(high) or 0.1
    wanted = (min([low, *ends]), max([high, *ends]))
    shown = (max(wanted[0], low - reach), min(wanted[1], high + reach))
    if shown[0] == shown[1]:
        return low - reach, high + reach, False
    return *shown, shown != wanted


def _draw_line(axes: Axes, line: Line, color: str, marker: str, shift: float, big: bool, alone: bool) -> None:
    """Faint replicates (joined where there is one line: their pairing shows), intervals, a line through the means."""
    _draw_replicates(axes, line, color, shift, 9 if big else 4, joined=alone)
    for point in line.points:
        if point.spread.low is not None and point.spread.high is not None:
            x = point.x + shift
            axes.plot([x, x], [point.spread.low, point.spread.high], color=color, lw=1.3 if big else 1.0, zorder=3)
    xs, ys = [p.x + shift for p in line.points], [p.spread.mean for p in line.points]
    axes.plot(xs, ys, color=color, lw=1.6 if big else 1.1, zorder=3)
    size = 5.5 if big else 3.4
    for point, x in zip(line.points, xs, strict=True):
        fill = "white" if point.flagged else color
        axes.plot([x], [point.spread.mean], marker=marker, ms=size, color=color, mfc=fill, ls="", zorder=4)
        if point.is_reference and not line.is_reference:
            axes.plot([x], [point.spread.mean], marker="o", ms=2 * size, mfc="none", mec=INK, mew=1, ls="", zorder=5)
    axes.plot([], [], color=color, marker=marker, ms=size, lw=1.6, label=line.name)


def _draw_replicates(axes: Axes, line: Line, color: str, shift: float, size: float, joined: bool) -> None:
    replicates = sorted({r for point in line.points for r in point.values})
    if len(replicates) < 2:
        return
    for replicate in replicates:
        points = [point for point in line.points if replicate in point.values]
        xs, ys = [point.x + shift for point in points], [point.values[replicate] for point in points]
        if joined:
            axes.plot(xs, ys, color=color, lw=0.6, alpha=0.3, zorder=1)
        axes.scatter(xs, ys, s=size, color=color, alpha=0.35, linewidths=0, zorder=2)


def _legend(axes: Axes, panel: ScorePanel) -> None:
    references = {line.name for line in panel.lines if line.is_reference}
    handles, labels = axes.get_legend_handles_labels()
    pairs: list[tuple[Any, str]] = [
        (handle, f"{label} (reference)" if label in references else label)
        for handle, label in zip(handles, labels, strict=True)
        if label
    ]
    points = [point for line in panel.lines for point in line.points]
    if any(point.is_reference and not line.is_reference for line in panel.lines for point in line.points):
        pairs.append((Line2D([], [], ls="", marker="o", ms=9, mfc="none", mec=INK), "reference"))
    if max(point.spread.n for point in points) > 1:
        cut = " (some leave the frame)" if frame(panel)[2] else ""
        pairs.append((Line2D([], [], color=FAINT, lw=1.3), f"95 % t-interval, {count_words(points)}{cut}"))
    if any(point.flagged for point in points):
        pairs.append((Line2D([], [], ls="", marker="o", mfc="white", color=FAINT), "cells missing or degenerate"))
    if pairs:
        axes.legend(*zip(*pairs, strict=True), loc="best")


def count_words(points: Sequence[Point]) -> str:
    """How many replicates the points have."""
    counts = sorted({point.spread.n for point in points})
    return plural(counts[0], "replicate") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} replicates"


def paper_words(source: str) -> str:
    """What stands above the paper's panels."""
    return f"As printed in the paper{f' ({source})' if source else ''}: not comparable with ours, see the table's notes"


def _draw_paper(part: FigureBase, data: Dependence, styles: Styles, source: str) -> None:
    part.suptitle(paper_words(source), fontsize=8.5, color="#555555", x=0.01, ha="left")
    grid = part.subplots(1, len(data.paper), squeeze=False)[0]
    for axes, panel in zip(grid, data.paper, strict=True):
        _draw_paper_panel(axes, panel, styles)
        axes.set_xlabel(data.axis.name)
    grid[0].set_ylabel(title(data.panels[0].score))


def _draw_paper_panel(axes: Axes, panel: PaperPanel, styles: Styles) -> None:
    for line in panel.lines:
        color, marker = styles.get(line.name, (FAINT, "x")) if line.name else (FAINT, "o")
        axes.plot(*_xy(line), ls="--", lw=1.1, color=color, marker=marker, ms=3.5)
    _level_ticks(axes, {x for line in panel.lines for x, _ in line.points})
    axes.set_title(panel.dataset, loc="left", fontsize=8.5)
    axes.locator_params(axis="y", nbins=4)


def _xy(line: PaperLine) -> tuple[list[float], list[float]]:
    return [x for x, _ in line.points], [y for _, y in line.points]


def _level_ticks(axes: Axes, levels: set[float]) -> None:
    axes.set_xticks(sorted(levels), [f"{level:g}" for level in sorted(levels)])


def _spacing(lines: Sequence[Line]) -> float:
    """Sideways shift between lines, so that their intervals do not hide each other."""
    xs = sorted({point.x for line in lines for point in line.points})
    gaps = [right - left for left, right in itertools.pairwise(xs)]
    return 0.08 * min(gaps) if gaps and len(lines) > 1 else 0.0
