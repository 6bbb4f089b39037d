"""Drawing trials over the searched fields: parallel coordinates, and slices field by field."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysweep.artifacts.study_record import Value

from .search import objective_title
from .search_scale import Scale
from .search_series import ParallelLine, ParallelPanel, SlicePanel
from .style import INK, WIDTH, looks

_NOT_SET = -0.16
"""Height of trials in which a field is not set, below the axis that goes from 0 to 1."""

_PATCH: dict[str, Any] = {"facecolor": "white", "alpha": 0.7, "pad": 0.4, "linewidth": 0}
"""Behind words that lines run through."""

_MAP = mpl.colormaps["viridis"]


def draw_parallel(panels: Sequence[ParallelPanel], directions: Mapping[str, str]) -> Figure:
    """A row an arm: every trial a line over the fields and objectives, coloured by the first objective."""
    scores = [line.score for panel in panels for line in panel.lines if line.score is not None]
    norm = Normalize(min(scores), max(scores)) if min(scores) < max(scores) else Normalize(scores[0] - 1, scores[0])
    figure = Figure(figsize=(WIDTH, 2.55 * len(panels) + 0.3), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, norm, directions)
    fields = len(panels[0].axes) - len(directions)
    objective = panels[0].axes[fields].label
    bar = figure.colorbar(ScalarMappable(norm, _MAP), ax=list(grid), fraction=0.025, pad=0.02,
                          shrink=min(1.0, 0.8 + 0.2 * (len(panels) == 1)))  # fmt: skip
    bar.set_label(f"validation {objective_title(objective, directions)}")
    return figure


def _draw_panel(axes: Axes, panel: ParallelPanel, norm: Normalize, directions: Mapping[str, str]) -> None:
    missing = [x for x in range(len(panel.axes)) if any(place is None for place in _places(panel, x))]
    for line in sorted(panel.lines, key=lambda line: _order(line, panel.sign)):
        _draw_line(axes, line, norm)
    for x, scale in enumerate(panel.axes):
        axes.plot([x, x], [0, 1], color="#555555", lw=0.8, zorder=3)
        for y, words in scale.ticks():
            axes.plot([x - 0.04, x], [y, y], color="#555555", lw=0.8, zorder=3)
            axes.text(x - 0.06, y, textwrap.shorten(words, 14, placeholder="…"), ha="right", va="center", fontsize=6.5,
                      zorder=6, bbox=_PATCH)  # fmt: skip
    for x in missing:
        axes.text(x - 0.06, _NOT_SET, "not set", ha="right", va="center", fontsize=6.5, zorder=6, bbox=_PATCH)
    names = [objective_title(s.label, directions) if not s.path else s.label for s in panel.axes]
    log = [f"{name}\n(log)" if scale.log else name for name, scale in zip(names, panel.axes, strict=True)]
    axes.set_xticks(range(len(names)), log, fontsize=7.5 if len(names) < 9 else 6.5)
    axes.tick_params(axis="x", length=0, pad=2)
    if not _fits(log):
        for label in axes.get_xticklabels():
            label.set(rotation=25, ha="right", rotation_mode="anchor")
    axes.set(yticks=[], xlim=(-0.55, len(names) - 0.9), ylim=(_NOT_SET - 0.07 if missing else -0.05, 1.05))
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_title(panel.arm, loc="left")


def _places(panel: ParallelPanel, x: int) -> list[float | None]:
    """Of all trials that reach that axis; a pruned one has no objective."""
    return [line.places[x] for line in panel.lines if x < len(line.places)]


def _fits(names: Sequence[str]) -> bool:
    """Whether the names of the axes stand side by side."""
    return max(len(part) for name in names for part in name.split("\n")) * len(names) <= 105


def _order(line: ParallelLine, sign: int) -> tuple[bool, bool, float]:
    """Pruned trials lie below, the best above, the chosen one on top."""
    return line.chosen, line.score is not None, sign * (line.score or 0.0)


def _draw_line(axes: Axes, line: ParallelLine, norm: Normalize) -> None:
    places = [_NOT_SET if place is None else place for place in line.places]
    xs = range(len(places))
    if line.score is None:
        axes.plot(xs, places, color="#c4c4c4", lw=0.6, ls=(0, (3, 2)), zorder=1)
        return
    if line.chosen:
        axes.plot(xs, places, color=INK, lw=3.2, zorder=2)
    axes.plot(xs, places, color=_MAP(norm(line.score)), lw=1.8 if line.chosen else 1.0, alpha=0.9, zorder=2)


def draw_slices(panels: Sequence[SlicePanel], ylabel: str) -> Figure:
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
        row[0].set_ylabel(ylabel)
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
