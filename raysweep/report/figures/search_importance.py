"""The figure of what mattered in a search: shares of importance by field, which Optuna computes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from raysweep.artifacts.study_record import PlannedSearch, RangeRecord
from raysweep.report.formatting import plural
from raysweep.report.results.searches import SearchRecord, TrialRecord

from .search_panels import arm_title, objective_title, panels_of, say, shown_arms
from .search_scale import Scale, labels_of, number_of, scale_of, value_words
from .style import COLORS

if TYPE_CHECKING:  # its import takes a third of a second, and most reports have no search
    import optuna

LEAST_TRIALS = 10
"""Complete trials below which no importance is shown."""

TOP_SHARE = 1 / 3
"""PED-ANOVA compares the best third with all. A tenth, its default, would be two or three of 24 trials."""


_EVALUATORS = {
    "fANOVA": "fANOVA (Optuna, 64 trees): the share of the objective's variance over the search space that a "
    "forest fitted to the complete trials puts down to a field alone",
    "PED-ANOVA": "PED-ANOVA (Optuna, conditional): how differently a field is distributed in the best third of the "
    "complete trials and in all of them",
}


@dataclass(frozen=True)
class ImportancePanel:
    """Shares of the fields, largest first, as (path, share, complete trials that have the field); or why none."""

    arm: str
    objective: str
    shares: tuple[tuple[str, float, int], ...]
    complete: int
    evaluator: str = ""
    why: str = ""


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


def importance(
    plan: PlannedSearch, search: SearchRecord, paths: Sequence[str], index: int
) -> tuple[dict[str, float], str]:
    """Importance of fields for the `index`-th objective, as shares of 1; and the name of the evaluator.

    fANOVA (64 trees, seed 0) where every scored trial has all of the fields; it finds the field that matters more
    often with as few trials as a search has. It knows no conditional fields: with them (conditional) PED-ANOVA.
    """
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    always = all(path in settings(plan, trial) for trial in search.scored for path in paths)
    sign = -plan.signs[index]  # PED-ANOVA takes low for good; to fANOVA it is the same
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a field is rarely set (the figure says how often), that low is good
        shares = get_param_importances(
            rebuilt(plan, search),
            evaluator=FanovaImportanceEvaluator(seed=0)
            if always
            else PedAnovaImportanceEvaluator(target_quantile=TOP_SHARE),
            params=list(paths),
            target=lambda trial: sign * trial.values[index],
        )
    return shares, "fANOVA" if always else "PED-ANOVA"


def rebuilt(plan: PlannedSearch, search: SearchRecord) -> optuna.Study:
    """The scored trials as an Optuna study in memory, in the order of `search.scored`."""
    import optuna

    distributions = {r.path: _distribution(r, search.trials) for r in plan.space}
    with _quiet():
        study = optuna.create_study(directions=list(plan.directions))
    for trial in search.scored:
        values = settings(plan, trial)
        study.add_trial(
            optuna.trial.create_trial(
                values=list(trial.values),
                params=values,
                distributions={path: distributions[path] for path in values},
            )
        )
    return study


def settings(plan: PlannedSearch, trial: TrialRecord) -> dict[str, str | float | int]:
    """The trial's values of the fields that are searched, as Optuna gets them; without those that are not set."""
    values = {r.path: _setting(r, trial) for r in plan.space if r.path in trial.point}
    return {path: value for path, value in values.items() if value is not None}


def _setting(range_: RangeRecord, trial: TrialRecord) -> str | float | int | None:
    value = trial.point[range_.path]
    if range_.kind == "choice":
        return value_words(value)
    number = number_of(value)
    if number is None or (range_.kind == "log" and number <= 0):
        return None
    return round(number) if range_.kind == "int" else number


def _distribution(range_: RangeRecord, trials: Sequence[TrialRecord]) -> optuna.distributions.BaseDistribution:
    """Wide enough for every value that was tried."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    scale: Scale = scale_of(range_, "", [t.point[range_.path] for t in trials if range_.path in t.point])
    if scale.categories:
        return CategoricalDistribution(scale.categories)
    if range_.kind == "int":
        return IntDistribution(round(scale.low), round(scale.high))
    return FloatDistribution(scale.low, scale.high, log=scale.log)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's line for every study that is made."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def draw_importance(panels: Sequence[ImportancePanel], plan: PlannedSearch) -> Figure:
    """Bars, largest first; where too little is known, words instead."""
    labels = labels_of([range_.path for range_ in plan.space])
    most = max([len(panel.shares) for panel in panels] + [3])
    figure, grid = panels_of(len(panels), 0.75 + 0.21 * most, across=2)
    for axes, panel in zip(grid, panels, strict=True):
        parts = [
            arm_title(panel.arm, 2),
            f"{objective_title(plan, panel.objective)}, {plural(panel.complete, 'complete trial')}",
        ]
        axes.set_title("\n".join(word for word in parts if word), fontsize=8.5)
        if panel.why:
            say(axes, panel.why)
        else:
            _draw_bars(axes, panel, labels, most)
    return figure


def _draw_bars(axes: Axes, panel: ImportancePanel, labels: Mapping[str, str], most: int) -> None:
    names = [labels[path] + (f" (set in {seen})" if seen < panel.complete else "") for path, _, seen in panel.shares]
    shares = [share for _, share, _ in panel.shares]
    axes.barh(range(len(names)), shares, height=0.62, color=COLORS[0])
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(most - 0.4, -0.6), xlim=(0, 1.16 * max(shares)), xlabel=f"share of importance ({panel.evaluator})")
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    for y, share in enumerate(shares):
        axes.text(share, y, f" {share:.2f}", va="center", fontsize=7.5)


def importance_figure(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> tuple[Figure, str] | None:
    """Which fields mattered, where any could be told; and the caption."""
    panels = importances(plan, searches)
    evaluators = sorted({panel.evaluator for panel in panels if panel.shares})
    if not evaluators:
        return None
    return draw_importance(panels, plan), (
        f"Search: importance of fields by {'; or by '.join(_EVALUATORS[name] for name in evaluators)}. "
        "It describes these trials, with few of them roughly: fields without effect get a share, too. "
        f"Not shown below {LEAST_TRIALS} complete trials."
    )
