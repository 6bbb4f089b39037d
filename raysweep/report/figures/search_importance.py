"""A search as an Optuna study in memory, for what Optuna computes: importance and Pareto fronts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from raysweep.artifacts.study_record import PlannedSearch, RangeRecord
from raysweep.report.results.searches import SearchRecord, TrialRecord

from .search_scale import Scale, number_of, scale_of, value_words

if TYPE_CHECKING:  # its import takes a third of a second, and most reports have no search
    import optuna

TOP_SHARE = 1 / 3
"""PED-ANOVA compares the best third with all. A tenth, its default, would be two or three of 24 trials."""


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


def front(plan: PlannedSearch, search: SearchRecord) -> tuple[int, ...]:
    """Numbers of the scored trials that no other beats in one objective without losing in another."""
    if not search.scored:
        return ()
    return tuple(sorted(search.scored[trial.number].number for trial in rebuilt(plan, search).best_trials))


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
