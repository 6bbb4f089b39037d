"""The figure of trials as lines over the searched fields and the objectives: parallel coordinates."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from raysweep.artifacts.study_record import PlannedSearch
from raysweep.report.formatting import title
from raysweep.report.results.searches import SearchRecord

from .search_panels import objective_title, shown_arms
from .search_scale import Scale, objective_scales, scales
from .style import INK, WIDTH

_NOT_SET = -0.16
"""Height of trials in which a field is not set, below the axis that goes from 0 to 1."""

_PATCH: dict[str, Any] = {"facecolor": "white", "alpha": 0.7, "pad": 0.4, "linewidth": 0}
"""Behind text that lines run through."""

_MAP = mpl.colormaps["viridis"]


@dataclass(frozen=True)
class ParallelLine:
    """One trial: a place from 0 to 1 on every axis, None where the field is not set. `score` None: pruned."""

    number: int
    places: tuple[float | None, ...]
    score: float | None
    chosen: bool


@dataclass(frozen=True)
class ParallelPanel:
    """One arm's trials over the fields, then the objectives."""

    arm: str
    axes: tuple[Scale, ...]
    lines: tuple[ParallelLine, ...]
    sign: int


def parallels(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> list[ParallelPanel]:
    """Complete and pruned trials, a panel an arm; arms without a complete trial have none."""
    fields = scales(plan, searches)
    ends = objective_scales(plan, searches)
    return [
        ParallelPanel(search.arm, (*fields, *ends), tuple(_lines(search, fields, ends)), plan.signs[0])
        for search in shown_arms(searches)
        if search.scored
    ]


def _lines(search: SearchRecord, fields: Sequence[Scale], ends: Sequence[Scale]) -> Iterator[ParallelLine]:
    for trial in search.trials:
        if not trial.values and trial.state != "pruned":
            continue
        places = [scale.place(trial.point[scale.path]) if scale.path in trial.point else None for scale in fields]
        scored = [end.place(value) for end, value in zip(ends, trial.values, strict=True)] if trial.values else []
        score = trial.values[0] if trial.values else None
        yield ParallelLine(trial.number, (*places, *scored), score, trial.number == search.told.number)


def draw_parallel(panels: Sequence[ParallelPanel], plan: PlannedSearch) -> Figure:
    """A row an arm: every trial a line over the fields and objectives, coloured by the first objective."""
    scores = [line.score for panel in panels for line in panel.lines if line.score is not None]
    norm = Normalize(min(scores), max(scores)) if min(scores) < max(scores) else Normalize(scores[0] - 1, scores[0])
    figure = Figure(figsize=(WIDTH, 2.55 * len(panels) + 0.3), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, norm, plan)
    bar = figure.colorbar(ScalarMappable(norm, _MAP), ax=list(grid), fraction=0.025, pad=0.02,
                          shrink=min(1.0, 0.8 + 0.2 * (len(panels) == 1)))  # fmt: skip
    bar.set_label(f"validation {objective_title(plan, plan.objectives[0])}")
    return figure


def _draw_panel(axes: Axes, panel: ParallelPanel, norm: Normalize, plan: PlannedSearch) -> None:
    missing = [x for x in range(len(panel.axes)) if any(place is None for place in _places(panel, x))]
    for line in sorted(panel.lines, key=lambda line: _order(line, panel.sign)):
        _draw_line(axes, line, norm)
    for x, scale in enumerate(panel.axes):
        axes.plot([x, x], [0, 1], color="#555555", lw=0.8, zorder=3)
        for y, mark in scale.ticks():
            axes.plot([x - 0.04, x], [y, y], color="#555555", lw=0.8, zorder=3)
            axes.text(x - 0.06, y, textwrap.shorten(mark, 14, placeholder="…"), ha="right", va="center", fontsize=6.5,
                      zorder=6, bbox=_PATCH)  # fmt: skip
    for x in missing:
        axes.text(x - 0.06, _NOT_SET, "not set", ha="right", va="center", fontsize=6.5, zorder=6, bbox=_PATCH)
    names = [objective_title(plan, s.label) if not s.path else s.label for s in panel.axes]
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


def parallel_figure(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> tuple[Figure, str] | None:
    """Trials over fields and objectives, where one is complete; and the caption."""
    panels = parallels(plan, searches)
    if not panels:
        return None
    return draw_parallel(panels, plan), (
        "Search: every complete trial is a line over the fields that were searched, coloured by validation "
        f"{title(plan.objectives[0])}; outlined: the chosen point; dashed: pruned. A field that another one switches "
        "off is not set."
    )
