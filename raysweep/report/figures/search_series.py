"""What the figures of a search show, as plain values. Importance and Pareto fronts are Optuna's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raysweep.artifacts.study_record import PlannedSearch, Value
from raysweep.report.formatting import plural
from raysweep.report.results.searches import SearchRecord, TrialState

from .search_importance import front, importance, settings
from .search_scale import Scale, labels_of, scale_of, value_words

MOST_ARMS = 6
"""Panels of a figure; the interactive page has all arms."""

LEAST_TRIALS = 10
"""Complete trials below which no importance is shown."""


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


@dataclass(frozen=True)
class ImportancePanel:
    """Shares of the fields, largest first, as (path, share, complete trials that have the field); or why none."""

    arm: str
    objective: str
    shares: tuple[tuple[str, float, int], ...]
    complete: int
    evaluator: str = ""
    why: str = ""


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


@dataclass(frozen=True)
class SlicePanel:
    """The first objective along one field. `points` by arm: (value, score, chosen); not set: not there."""

    scale: Scale
    points: tuple[tuple[str, tuple[tuple[Value, float, bool], ...]], ...]


@dataclass(frozen=True)
class FrontPanel:
    """Two objectives of one arm; `front` are the trials that nothing beats in all objectives (of all there are)."""

    arm: str
    objectives: tuple[str, str]
    points: tuple[tuple[int, float, float], ...]
    front: tuple[int, ...]
    chosen: int | None


def shown_arms(searches: Sequence[SearchRecord]) -> list[SearchRecord]:
    """The first arms that have a trial at all."""
    return [search for search in searches if search.trials][:MOST_ARMS]


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


def importances(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> list[ImportancePanel]:
    """Which fields an objective depends on, as far as the trials tell: a panel an arm and objective."""
    return [_importance(plan, search, i) for search in shown_arms(searches) for i in range(len(plan.objectives))]


def _importance(plan: PlannedSearch, search: SearchRecord, index: int) -> ImportancePanel:
    complete, objective = len(search.scored), plan.objectives[index]
    points = [settings(plan, trial) for trial in search.scored]
    seen = {r.path: [point[r.path] for point in points if r.path in point] for r in plan.space}
    varied = [path for path, values in seen.items() if len(set(values)) > 1]
    why = _why_none(search, varied, index)
    if why:
        return ImportancePanel(search.arm, objective, (), complete, why=why)
    shares, evaluator = importance(plan, search, varied, index)
    if len(set(shares.values())) == 1:  # Optuna's answer where nothing can be told apart
        return ImportancePanel(search.arm, objective, (), complete, why="no field stands out")
    ordered = sorted(varied, key=lambda path: -shares[path])
    bars = tuple((path, shares[path], len(seen[path])) for path in ordered)
    return ImportancePanel(search.arm, objective, bars, complete, evaluator)


def _why_none(search: SearchRecord, varied: Sequence[str], index: int) -> str:
    """Why no importance can be computed; empty where it can."""
    complete = len(search.scored)
    if complete < LEAST_TRIALS:
        return f"{plural(complete, 'complete trial')}:\nfewer than {LEAST_TRIALS} tell\nnothing of importance"
    if len(varied) < 2:
        return "fewer than two fields\nvary: nothing to compare"
    if len({trial.values[index] for trial in search.scored}) == 1:
        return "all complete trials\nscore the same"
    return ""


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


def scales(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> list[Scale]:
    """The axis of every searched field, the same for all arms."""
    labels = labels_of([range_.path for range_ in plan.space])
    tried = [trial.point for search in searches for trial in search.trials]
    return [scale_of(r, labels[r.path], [point[r.path] for point in tried if r.path in point]) for r in plan.space]


def parallels(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> list[ParallelPanel]:
    """Complete and pruned trials, a panel an arm; arms without a complete trial have none."""
    fields = scales(plan, searches)
    values = [trial.values for search in searches for trial in search.scored]
    if not values:
        return []
    columns = list(zip(*values, strict=True))
    ends = [Scale("", name, min(c), max(c)) for name, c in zip(plan.objectives, columns, strict=True)]
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
