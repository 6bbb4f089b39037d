"""The figure of a search's first objective along each field that varies."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysweep.artifacts.study_record import PlannedSearch, Value
from raysweep.report.formatting import title
from raysweep.report.results.searches import SearchRecord

from .search_panels import objective_title, shown_arms
from .search_scale import Scale, scales, value_words
from .style import INK, WIDTH, looks


@dataclass(frozen=True)
class SlicePanel:
    """The first objective along one field. `points` by arm: (value, score, chosen); not set: not there."""

    scale: Scale
    points: tuple[tuple[str, tuple[tuple[Value, float, bool], ...]], ...]


def slices(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> list[SlicePanel]:
    """A panel a field that varies, all arms in it."""
    shown = [search for search in shown_arms(searches) if search.scored]
    panels = []
    for scale in scales(plan, searches):
        points = tuple((search.arm, tuple(_slice(search, scale))) for search in shown)
        if len({value_words(value) for _, group in points for value, _, _ in group}) > 1:
            panels.append(SlicePanel(scale, points))
    return panels


def _slice(search: SearchRecord, scale: Scale) -> Iterator[tuple[Value, float, bool]]:
    for trial in search.scored:
        value = trial.point.get(scale.path)
        if scale.path in trial.point and scale.place(value) is not None:
            yield value, trial.values[0], trial.number == search.told.number


def draw_slices(panels: Sequence[SlicePanel], plan: PlannedSearch) -> Figure:
    """A small panel a field: the first objective of every complete trial along it; colours: arms; stars: chosen."""
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH if columns > 1 else 0.6 * WIDTH, 1.75 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    styles = looks([False] * len(panels[0].points))
    for axes, panel in zip(grid.ravel(), panels, strict=False):
        for index, ((_, points), style) in enumerate(zip(panel.points, styles, strict=True)):
            aside = 0.14 * (index - (len(styles) - 1) / 2) if panel.scale.categories else 0.0
            _draw_slice(axes, panel.scale, points, style, aside)
        _slice_ticks(axes, panel.scale)
        axes.set_xlabel(panel.scale.label)
    for axes in grid.ravel()[len(panels) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(f"validation {objective_title(plan, plan.objectives[0])}")
    names = [name for name, _ in panels[0].points]
    if len(names) > 1:
        handles = [Line2D([], [], ls="", marker=m, ms=4, color=c, label=name)
                   for name, (c, m) in zip(names, styles, strict=True)]  # fmt: skip
        figure.legend(handles=handles, loc="outside upper center", ncols=min(3, len(handles)))
    return figure


def _draw_slice(
    axes: Axes, scale: Scale, points: Sequence[tuple[Value, float, bool]], look: tuple[str, str], aside: float
) -> None:
    """`aside`: how far from its choice an arm is drawn, so that arms do not hide each other."""
    color, marker = look
    for value, score, chosen in points:
        x = scale.x(value) + aside
        axes.plot([x], [score], ls="", marker=marker, ms=3.6, color=color, alpha=0.7, mew=0)
        if chosen:
            axes.plot([x], [score], ls="", marker="*", ms=10, mfc=color, mec=INK, mew=0.7, zorder=5)


def _slice_ticks(axes: Axes, scale: Scale) -> None:
    if scale.log:
        axes.set_xscale("log")
    if scale.categories:
        axes.set_xlim(-0.5, len(scale.categories) - 0.5)
    marks = scale.marks(4)
    parts = [textwrap.shorten(word, 12, placeholder="…") for _, word in marks]
    axes.set_xticks([scale.x(value) for value, _ in marks], parts, rotation=25 if sum(map(len, parts)) > 24 else 0)
    axes.minorticks_off()


def slices_figure(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> tuple[Figure, str] | None:
    """Complete trials along each field that varies; and the caption."""
    panels = slices(plan, searches)
    if not panels:
        return None
    return draw_slices(panels, plan), (
        f"Search: validation {title(plan.objectives[0])} of complete trials along each field; stars: the chosen "
        "points. Trials without the field are left out, and other fields vary along, so this is no effect of one "
        "field alone."
    )
