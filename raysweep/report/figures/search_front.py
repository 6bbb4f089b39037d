"""The figure of what trades off against what in a search of several objectives. Pareto fronts are Optuna's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from raysweep.artifacts.study_record import PlannedSearch
from raysweep.report.results.searches import SearchRecord

from .search_importance import rebuilt
from .search_panels import CHOSEN, arm_title, objective_title, panels_of, say, shown_arms, trial_handle, xy
from .style import COLORS, FAINT


@dataclass(frozen=True)
class FrontPanel:
    """Two objectives of one arm; `front` are the trials that nothing beats in all objectives (of all there are)."""

    arm: str
    objectives: tuple[str, str]
    points: tuple[tuple[int, float, float], ...]
    front: tuple[int, ...]
    chosen: int | None


def fronts(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> list[FrontPanel]:
    """A panel an arm and pair of objectives; empty with a single objective."""
    panels = []
    for search in shown_arms(searches) if len(plan.objectives) > 1 else ():
        members = front(plan, search)
        for i, j in itertools.combinations(range(len(plan.objectives)), 2):
            points = tuple((trial.number, trial.values[i], trial.values[j]) for trial in search.scored)
            chosen = search.chosen.number if search.chosen and search.chosen.values else None
            panels.append(FrontPanel(search.arm, (plan.objectives[i], plan.objectives[j]), points, members, chosen))
    return panels


def front(plan: PlannedSearch, search: SearchRecord) -> tuple[int, ...]:
    """Numbers of the scored trials that no other beats in one objective without losing in another."""
    if not search.scored:
        return ()
    return tuple(sorted(search.scored[trial.number].number for trial in rebuilt(plan, search).best_trials))


def draw_front(panels: Sequence[FrontPanel], plan: PlannedSearch) -> Figure:
    """Two objectives a panel: the front filled (joined where there are just two objectives), the rest open."""
    figure, grid = panels_of(len(panels), 2.6)
    joined = len({name for panel in panels for name in panel.objectives}) == 2
    for axes, panel in zip(grid, panels, strict=True):
        members = sorted((x, y) for number, x, y in panel.points if number in panel.front)
        others = [(x, y) for number, x, y in panel.points if number not in panel.front]
        axes.plot(*xy(others), ls="", marker="o", ms=4, mfc="none", mec=FAINT, mew=0.9)
        axes.plot(*xy(members), ls="-" if joined else "", lw=0.8, marker="o", ms=5, color=COLORS[0])
        for number, x, y in panel.points:
            if number == panel.chosen:
                axes.plot([x], [y], ms=11, zorder=5, **CHOSEN)
        if not panel.points:
            say(axes, "no complete trial")
        across, up = (f"validation {objective_title(plan, name)}" for name in panel.objectives)
        axes.set(xlabel=across, ylabel=up, title=arm_title(panel.arm, len(panels)))
        axes.xaxis.set_major_locator(MaxNLocator(5))
    handles = [
        trial_handle("o", COLORS[0], "on the front"),
        Line2D([], [], ls="", marker="o", ms=4, mfc="none", mec=FAINT, label="beaten by another trial"),
    ]
    if any(panel.chosen is not None for panel in panels):
        handles.append(Line2D([], [], ms=10, label="chosen", **CHOSEN))
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def front_figure(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> tuple[Figure, str] | None:
    """Objectives against each other, where there are several and a complete trial; and the caption."""
    panels = fronts(plan, searches)
    if not any(panel.points for panel in panels):
        return None
    return draw_front(panels, plan), (
        "Search: objectives against each other, complete trials. On the front: no other trial is better in one "
        "objective and at least as good in all."
    )
