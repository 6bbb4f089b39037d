"""Scores along an axis, and their drawing where it is numeric; the paper's numbers in panels of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D

from raysweep.artifacts.study_record import AxisRecord, StudyRecord
from raysweep.core.formatting import arm_name
from raysweep.metrics.registry import needing
from raysweep.report.formatting import plural, title
from raysweep.report.published.comparable import comparable, printed, published_table, value
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.statistics import Spread

from .style import COLORS, FAINT, INK, WIDTH, looks

MORE_SCORES = 3

Styles = dict[str, tuple[str, str]]
"""Name of a line to its colour and marker."""

_OURS, _PAPER = 3.9, 1.7
"""Heights in inches of our panels and of the paper's."""


@dataclass(frozen=True)
class Point:
    """One arm on the axis that is drawn along; on an axis of words `x` is the number of the level."""

    x: float
    values: Mapping[int, float]  # by replicate
    spread: Spread
    is_reference: bool
    flagged: bool = False  # some cells are not complete, or degenerate


@dataclass(frozen=True)
class Line:
    """Arms that differ in the axis drawn along only. `name` is empty when there is just one line."""

    name: str
    points: tuple[Point, ...]
    is_reference: bool


@dataclass(frozen=True)
class PaperLine:
    """Published values along the axis."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ScorePanel:
    """One score against the axis; `paper` shares the axes only where the setting is the same."""

    score: str
    lines: tuple[Line, ...]
    paper: tuple[PaperLine, ...] = ()


@dataclass(frozen=True)
class PaperPanel:
    """The paper's values of the headline score on a data set that is not ours."""

    dataset: str
    lines: tuple[PaperLine, ...]


@dataclass(frozen=True)
class Dependence:
    """How scores depend on an axis: our panels, the headline first, then the paper's."""

    axis: AxisRecord
    panels: tuple[ScorePanel, ...]
    paper: tuple[PaperPanel, ...]


def numeric_axis(study: StudyRecord) -> AxisRecord | None:
    """The axis to draw along: the first numeric one that is not the compared axis, else the first numeric one."""
    numeric = [axis for axis in study.axes if axis.numeric]
    return next((axis for axis in numeric if axis != study.compared_axis), numeric[0] if numeric else None)


def drawn_axis(study: StudyRecord) -> AxisRecord | None:
    """The numeric axis; without one, but with two axes, the one whose levels are not compared."""
    if numeric_axis(study) is None and len(study.axes) == 2:
        return next(axis for axis in study.axes if axis != study.compared_axis)
    return numeric_axis(study)


def dependence(summary: Summary) -> Dependence | None:
    """The headline and up to three more scores along an axis; None without such an axis or any score.

    Scores of adapted labels have a figure of their own.
    """
    study = summary.study
    axis = drawn_axis(study)
    if axis is None:
        return None
    more = [score for score in summary.columns if score != study.metric and score not in needing("labels")]
    scores = (study.metric, *more[:MORE_SCORES])
    panels = tuple(ScorePanel(s, _lines(summary, axis, s), _shared_paper(summary, axis, s)) for s in scores)
    if not panels[0].lines:
        return None
    return Dependence(axis, tuple(panel for panel in panels if panel.lines), _paper_panels(summary, axis))


def _lines(summary: Summary, axis: AxisRecord, score: str) -> tuple[Line, ...]:
    grouped: dict[str, list[tuple[ArmSummary, Point]]] = {}
    for arm in summary.arms:
        values = arm.scores[score]
        if values.spread is None:
            continue
        x = _place(axis, arm.coordinates)
        point = Point(x, values.values, values.spread, arm.is_reference, arm.flagged)
        grouped.setdefault(rest_name(arm.coordinates, axis), []).append((arm, point))
    return tuple(
        Line(name, tuple(sorted((p for _, p in members), key=lambda p: p.x)), all(a.is_reference for a, _ in members))
        for name, members in grouped.items()
    )


def _place(axis: AxisRecord, coordinates: Mapping[str, str]) -> float:
    level = coordinates[axis.name]
    return float(level) if axis.numeric else float(axis.levels.index(level))


def rest_name(coordinates: Mapping[str, str], axis: AxisRecord) -> str:
    """Name of the line an arm lies on: its other levels."""
    rest = {a: level for a, level in coordinates.items() if a != axis.name}
    return next(iter(rest.values())) if len(rest) == 1 else arm_name(rest)


def _shared_paper(summary: Summary, axis: AxisRecord, score: str) -> tuple[PaperLine, ...]:
    """Published lines whose every number may be compared with ours."""
    table = published_table(summary.study)
    datasets = [d for d in table.datasets if _all_comparable(summary, d)] if table else []
    return tuple(line for dataset in datasets for line in _paper_lines(summary, axis, score, dataset))


def _paper_panels(summary: Summary, axis: AxisRecord) -> tuple[PaperPanel, ...]:
    """The other ones, each data set on axes of its own."""
    table = published_table(summary.study)
    datasets = [d for d in table.datasets if not _all_comparable(summary, d)] if table else []
    panels = (PaperPanel(d, _paper_lines(summary, axis, summary.study.metric, d)) for d in datasets)
    return tuple(panel for panel in panels if panel.lines)


def _all_comparable(summary: Summary, dataset: str) -> bool:
    table = published_table(summary.study)
    assert table is not None
    with_number = [
        arm.coordinates
        for arm in summary.arms
        if any(printed(summary, dataset, arm.coordinates, score) for score in table.scores(dataset))
    ]
    return all(comparable(summary, dataset, coordinates) for coordinates in with_number)


def _paper_lines(summary: Summary, axis: AxisRecord, score: str, dataset: str) -> tuple[PaperLine, ...]:
    table = published_table(summary.study)
    if table is None or not table.knows(dataset, axis.name):
        return ()
    lines: dict[str, list[tuple[float, float]]] = {}
    for arm in summary.arms:
        number = value(summary, dataset, arm.coordinates, score)
        if number is not None:
            lines.setdefault(rest_name(arm.coordinates, axis), []).append((_place(axis, arm.coordinates), number))
    return tuple(PaperLine(name, tuple(sorted(points))) for name, points in lines.items())


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

    def draw_lines(axes: Axes, panel: PaperPanel) -> None:
        for line in panel.lines:
            color, marker = styles.get(line.name, (FAINT, "x")) if line.name else (FAINT, "o")
            axes.plot(*_xy(line), ls="--", lw=1.1, color=color, marker=marker, ms=3.5)
        _level_ticks(axes, {x for line in panel.lines for x, _ in line.points})
        axes.set_xlabel(data.axis.name)

    draw_paper(parts[1], data, source, draw_lines)
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
    if any(point.is_reference and not line.is_reference for line in panel.lines for point in line.points):
        pairs.append((Line2D([], [], ls="", marker="o", ms=9, mfc="none", mec=INK), "reference"))
    pairs += [(handle, str(handle.get_label())) for handle in interval_handles([panel])]
    if pairs:
        axes.legend(*zip(*pairs, strict=True), loc="best")


def interval_handles(panels: Sequence[ScorePanel]) -> list[Line2D]:
    """Legend entries for what is drawn beside the means: intervals, and open markers."""
    points = [point for panel in panels for line in panel.lines for point in line.points]
    counts = sorted({point.spread.n for point in points})
    handles: list[Line2D] = []
    if counts[-1] > 1:
        count = plural(counts[0], "replicate") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} replicates"
        cut = " (some leave the frame)" if any(frame(panel)[2] for panel in panels) else ""
        handles.append(Line2D([], [], color=FAINT, lw=1.3, label=f"95 % t-interval, {count}{cut}"))
    if any(point.flagged for point in points):
        handles.append(Line2D([], [], ls="", marker="o", mfc="white", color=FAINT, label="cells missing or degenerate"))
    return handles


def draw_paper(part: FigureBase, data: Dependence, source: str, draw: Callable[[Axes, PaperPanel], None]) -> None:
    """The paper's panels side by side, the lines of each by `draw`."""
    where = f" ({source})" if source else ""
    above = f"As printed in the paper{where}: not comparable with ours, see the table's notes"
    part.suptitle(above, fontsize=8.5, color="#555555", x=0.01, ha="left")
    grid = part.subplots(1, len(data.paper), squeeze=False)[0]
    for axes, panel in zip(grid, data.paper, strict=True):
        draw(axes, panel)
        axes.set_title(panel.dataset, loc="left", fontsize=8.5)
        axes.locator_params(axis="y", nbins=4)
    grid[0].set_ylabel(title(data.panels[0].score))


def _xy(line: PaperLine) -> tuple[list[float], list[float]]:
    return [x for x, _ in line.points], [y for _, y in line.points]


def _level_ticks(axes: Axes, levels: set[float]) -> None:
    axes.set_xticks(sorted(levels), [f"{level:g}" for level in sorted(levels)])


def _spacing(lines: Sequence[Line]) -> float:
    """Sideways shift between lines, so that their intervals do not hide each other."""
    xs = sorted({point.x for line in lines for point in line.points})
    gaps = [right - left for left, right in itertools.pairwise(xs)]
    return 0.08 * min(gaps) if gaps and len(lines) > 1 else 0.0
