"""The figure of a search's history: trials in order, the best so far, the chosen one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from raysweep.artifacts.study_record import PlannedSearch
from raysweep.report.results.searches import SearchRecord, TrialState

from .search_panels import CHOSEN, arm_title, objective_title, panels_of, shown_arms, trial_handle, xy
from .style import COLORS, FAINT, INK

_MARKS: dict[str, tuple[str, str]] = {
    "pruned": ("d", FAINT),
    "failed": ("x", COLORS[1]),
    "stopped": ("|", FAINT),
    "running": ("2", FAINT),
    "complete": ("_", FAINT),
}
"""Marker and colour of trials that have no value of their own; "complete" here: without a finite value."""

_BOTTOM = 0.035
"""Height of those marks above the axis, in shares of the panel."""


@dataclass(frozen=True)
class HistoryPanel:
    """One objective of one arm's search. `best`: (trial, best value up to it) of every scored trial.

    `points`: (trial, value); `pruned` at the last value of their curve; `marks` have no value at all.
    """

    arm: str
    objective: str
    points: tuple[tuple[int, float], ...]
    pruned: tuple[tuple[int, float], ...]
    marks: tuple[tuple[int, TrialState], ...]
    best: tuple[tuple[int, float], ...]
    chosen: tuple[int, float] | None


def histories(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> list[HistoryPanel]:
    """A panel an arm and objective."""
    return [_history(plan, search, i) for search in shown_arms(searches) for i in range(len(plan.objectives))]


def _history(plan: PlannedSearch, search: SearchRecord, index: int) -> HistoryPanel:
    name, better = plan.objectives[index], max if plan.signs[index] > 0 else min
    points = tuple((trial.number, trial.values[index]) for trial in search.scored)
    best = itertools.accumulate((value for _, value in points), better)
    cut = [trial for trial in search.trials if trial.state == "pruned" and name in trial.last]
    at = {trial.number for trial in (*search.scored, *cut)}
    chosen = search.chosen
    return HistoryPanel(
        search.arm,
        name,
        points,
        tuple((trial.number, trial.last[name]) for trial in cut),
        tuple((trial.number, trial.state) for trial in search.trials if trial.number not in at),
        tuple((number, value) for (number, _), value in zip(points, best, strict=True)),
        (chosen.number, chosen.values[index]) if chosen and chosen.values else None,
    )


def draw_history(panels: Sequence[HistoryPanel], plan: PlannedSearch) -> Figure:
    """Trials in order with the best so far; pruned ones open, those without a value on the axis."""
    figure, grid = panels_of(len(panels), 2.3)
    for axes, panel in zip(grid, panels, strict=True):
        axes.plot(*xy(panel.points), ls="", marker="o", ms=4, color=COLORS[0], alpha=0.75, mew=0)
        axes.plot(*xy(panel.pruned), ls="", marker="D", ms=3.4, mfc="none", mec=FAINT, mew=0.9)
        axes.step(*xy(_to_the_end(panel)), where="post", color=INK, lw=1.3)
        if panel.chosen:
            axes.plot(*panel.chosen, ms=11, zorder=5, **CHOSEN)
        axes.margins(x=0.03, y=0.1)
        _draw_marks(axes, panel)
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -0.5), max(high, 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.set(
            xlabel="trial",
            ylabel=f"validation {objective_title(plan, panel.objective)}",
            title=arm_title(panel.arm, len(panels)),
        )
    figure.legend(handles=_history_handles(panels), loc="outside upper center", ncols=5, columnspacing=1.4)
    return figure


def _to_the_end(panel: HistoryPanel) -> list[tuple[int, float]]:
    """The best so far, drawn on to the last trial of any kind."""
    numbers = [number for points in (panel.points, panel.pruned, panel.marks) for number, _ in points]
    return [*panel.best, (max(numbers), panel.best[-1][1])] if panel.best else []


def _draw_marks(axes: Axes, panel: HistoryPanel) -> None:
    """Trials without a value, along the lower edge; the values keep clear of it."""
    if not panel.marks:
        return
    if panel.points or panel.pruned:
        low, high = axes.get_ylim()
        axes.set_ylim(low - 0.08 * (high - low), high)
    else:
        axes.set_yticks([])
    for number, state in panel.marks:
        marker, color = _MARKS[state]
        axes.plot([number], [_BOTTOM], marker=marker, ms=5, color=color, mfc="none", mew=1.2,
                  transform=axes.get_xaxis_transform())  # fmt: skip


def _history_handles(panels: Sequence[HistoryPanel]) -> list[Line2D]:
    states = {state for panel in panels for _, state in panel.marks}
    handles: list[Line2D] = []
    if any(panel.points for panel in panels):
        handles.append(trial_handle("o", COLORS[0], "complete", ms=4))
        handles.append(Line2D([], [], color=INK, lw=1.3, label="best so far"))
    if any(panel.chosen for panel in panels):
        handles.append(Line2D([], [], ms=10, label="chosen", **CHOSEN))
    if any(panel.pruned for panel in panels):
        handles.append(trial_handle("D", FAINT, "pruned, at its last epoch", ms=3.4))
    values = {"pruned": "pruned, no value", "complete": "complete, no value"}
    return handles + [trial_handle(*_MARKS[state], values.get(state, state)) for state in _MARKS if state in states]


def history_figure(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> tuple[Figure, str]:
    """Every trial of the searches; and the caption."""
    text = f"Search: every trial in order, scored on validation images of replicate {plan.replicate}. "
    if any(trial.state == "pruned" for search in searches for trial in search.trials):
        text += "Pruned trials stand at the last epoch they saw, which is not their score. "
    text += "The best of many trials is optimistic: the table of results has the replicates."
    return draw_history(histories(plan, searches), plan), text
