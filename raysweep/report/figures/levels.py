"""Drawing scores at the levels of an axis of words: the compared arms side by side at each level."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from raysweep.report.formatting import title
from raysweep.report.results.aggregate import Summary

from .scores import (
    Dependence,
    Line,
    PaperPanel,
    ScorePanel,
    Styles,
    dependence,
    draw_dependence,
    draw_paper,
    frame,
    interval_handles,
    line_styles,
)
from .style import FAINT, INK, WIDTH

_MAIN, _ROW = 3.0, 1.75
"""Heights in inches of the headline's panel and of a row of small ones."""

_GROUP = 0.8
"""Share of a level's width that its arms fill."""


def draw_levels(data: Dependence, compared: str, source: str) -> Figure:
    """Means with 95 % t-intervals, replicates faint, each level's reference as a line; more scores and the paper below.

    `compared`: name of the axis whose levels stand side by side.
    """
    styles = line_styles(data.panels[0].lines)
    small, paper = data.panels[1:], data.paper
    heights = [_MAIN, *([_ROW] if small else []), *([_ROW] if paper else [])]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.5), layout="constrained")
    parts = iter(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    main = next(parts).subplots()
    draw_level_panel(main, data.panels[0], data, styles, big=True)
    main.set_xlabel(data.axis.name)
    main.set_ylabel(title(data.panels[0].score, arrow=True))
    if small:
        _draw_small(next(parts), data, styles)
    if paper:
        draw_paper(next(parts), data, source, lambda axes, panel: _draw_paper_lines(axes, panel, data, styles))
    _legend(figure, data.panels[0], styles, compared)
    return figure


def _draw_small(part: SubFigure, data: Dependence, styles: Styles) -> None:
    for axes, panel in zip(part.subplots(1, len(data.panels) - 1, squeeze=False)[0], data.panels[1:], strict=True):
        draw_level_panel(axes, panel, data, styles, big=False)
        axes.set_title(title(panel.score, arrow=True), loc="left", fontsize=8.5)
        axes.locator_params(axis="y", nbins=4)


def draw_level_panel(axes: Axes, panel: ScorePanel, data: Dependence, styles: Styles, big: bool) -> None:
    """One score at the levels of an axis of words."""
    aside = 0.2 * _GROUP / len(panel.lines)
    for line, shift in zip(panel.lines, _shifts(panel.lines), strict=True):
        _draw_line(axes, line, (shift, aside), styles.get(line.name, (FAINT, "x")), big)
    names = list(styles)
    for paper in panel.paper:
        color, _ = styles.get(paper.name, (FAINT, "x"))
        shift = _shifts(names)[names.index(paper.name)] if paper.name in names else 0.0
        axes.plot([x + shift for x, _ in paper.points], [y for _, y in paper.points], ls="", marker="_", ms=9,
                  mew=1.4, color=color)  # fmt: skip
    _level_ticks(axes, data)
    low, high, _ = frame(panel)
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def _draw_line(axes: Axes, line: Line, shifts: tuple[float, float], look: tuple[str, str], big: bool) -> None:
    """`shifts`: of the arm from the middle of a level, and of its replicates from its mean."""
    color, marker = look
    for point in line.points:
        x = point.x + shifts[0]
        if len(point.values) > 1:
            axes.scatter([x + shifts[1]] * len(point.values), list(point.values.values()), s=8 if big else 3,
                         color=color, alpha=0.4, linewidths=0, zorder=2)  # fmt: skip
        if point.spread.low is not None and point.spread.high is not None:
            axes.plot([x, x], [point.spread.low, point.spread.high], color=color, lw=1.4 if big else 0.9, zorder=3)
        if point.is_reference:
            axes.hlines(point.spread.mean, point.x - 0.46, point.x + 0.46, color=INK, lw=0.7, ls=(0, (4, 3)), zorder=1)
        fill = "white" if point.flagged else color
        axes.plot([x], [point.spread.mean], marker=marker, ms=5.5 if big else 3, color=color, mfc=fill, zorder=4)


def _draw_paper_lines(axes: Axes, panel: PaperPanel, data: Dependence, styles: Styles) -> None:
    for line, shift in zip(panel.lines, _shifts(panel.lines), strict=True):
        color, marker = styles.get(line.name, (FAINT, "x"))
        axes.plot([x + shift for x, _ in line.points], [y for _, y in line.points], ls="", color=color, marker=marker,
                  mfc="white", ms=4)  # fmt: skip
    _level_ticks(axes, data)
    axes.margins(y=0.15)


def _level_ticks(axes: Axes, data: Dependence) -> None:
    """A name in the middle of each level, a line between levels."""
    levels = data.axis.levels
    axes.set_xticks(range(len(levels)), levels)
    axes.set_xlim(-0.5, len(levels) - 0.5)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    for edge in range(1, len(levels)):
        axes.axvline(edge - 0.5, color="#d0d0d0", lw=0.7, zorder=0)


def _shifts(lines: Sequence[object]) -> list[float]:
    """Sideways places of the arms around a level."""
    step = _GROUP / max(len(lines), 1)
    return [(index - (len(lines) - 1) / 2) * step for index in range(len(lines))]


def _legend(figure: Figure, panel: ScorePanel, styles: Styles, compared: str) -> None:
    """Above everything: one entry an arm, then what lines and open markers mean."""
    references = {line.name for line in panel.lines if line.is_reference}
    handles = [
        Line2D([], [], ls="", color=color, marker=marker, ms=5.5, label=f"{n} (reference)" if n in references else n)
        for n, (color, marker) in styles.items()
    ]
    handles += interval_handles([panel])
    if panel.paper:
        handles.append(Line2D([], [], ls="", marker="_", ms=9, mew=1.4, color=FAINT, label="paper"))
    figure.legend(handles=handles, title=compared, loc="outside upper center", ncols=min(4, len(handles)),
                  columnspacing=1.4)  # fmt: skip


def scores_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Scores along the axis that is drawn: a line over numbers, levels side by side; and its caption."""
    study, along = summary.study, dependence(summary)
    if along is None:
        return None
    figure = (
        draw_dependence(along, study.source)
        if along.axis.numeric
        else draw_levels(along, study.compared_axis.name, study.source)
    )
    return figure, _scores_words(summary, along)


def _scores_words(summary: Summary, along: Dependence) -> str:
    text = (
        f"{title(along.panels[0].score)} and other scores along {along.axis.name}: mean, 95 % t-interval of the mean, "
        "and each replicate (faint). Arms share splits, flipped labels and initial weights, so paired differences are "
        "known better than these intervals suggest."
    )
    if any(point.flagged for line in along.panels[0].lines for point in line.points):
        text += " Open markers: some cells are missing or degenerate."
    if along.paper:
        text += " The lower panels show the paper's numbers on axes of their own: images and recipe differ from ours."
    if any(panel.paper for panel in along.panels):
        text += " Dashed: the paper's numbers." if along.axis.numeric else " Short bars: the paper's numbers."
    if not along.axis.numeric:
        text += " Broken line: mean of the reference." if summary.study.reference else ""
    return text
