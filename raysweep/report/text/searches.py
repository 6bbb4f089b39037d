"""Sentences on a study's searches: method, cost, and problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from raysweep.artifacts.study_record import SEARCHED, TUNING, PlannedSearch, StudyRecord
from raysweep.core.formatting import arm_name
from raysweep.report.formatting import listed, number, one_line, plural, title
from raysweep.report.results.searches import SearchRecord, best_trials

if TYPE_CHECKING:
    from raysweep.report.results.aggregate import Summary

SAMPLERS = {
    "tpe": "TPE",
    "gp": "a Gaussian process",
    "cmaes": "CMA-ES",
    "nsga2": "NSGA-II",
    "random": "random search",
}
STOPPERS = {"asha": "ASHA", "median": "the median pruner"}
"""Names of early stopping rules."""


def search_of(summary: Summary, coordinates: Mapping[str, str]) -> SearchRecord | None:
    """The search that found an arm's point; None for a default arm."""
    if coordinates.get(TUNING) != SEARCHED:
        return None
    rest = {axis: level for axis, level in coordinates.items() if axis != TUNING}
    if not rest and len(summary.searches) == 1:
        return summary.searches[0]
    name = arm_name(rest)
    return next((search for search in summary.searches if search.arm == name), None)


def how_found(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> str:
    """One sentence on how the points of the searched arms were found."""
    names = [title(name) for name in plan.objectives]
    objectives = names[0] + (f", of the Pareto front of {listed(names)}" if names[1:] else "")
    sampler = SAMPLERS.get(plan.sampler, plan.sampler)
    stopper = f", {STOPPERS.get(plan.stopper, plan.stopper)} prunes" if plan.stopper else ""
    total: Counter[str] = Counter()
    for search in searches:
        total.update(search.counts)
    each = " in all" if len(searches) > 1 else ""
    hours = [search.device_hours for search in searches if search.device_hours is not None]
    spent = f" and {hours_words(sum(hours))} device-hours" if hours else ""
    return (
        f"Selected on validation images of replicate {plan.replicate} by {objectives} ({sampler}{stopper}): "
        f"{counts_words(total)}{spent}{each}."
    )


def then_replicated(study: StudyRecord) -> str:
    """A sentence that the validation score of a chosen point is optimistic."""
    assert study.search is not None
    text = "the validation score of a selected point is optimistic by selection and is not in the table of results"
    searched = {cell.replicate for cell in study.cells if cell.coordinates.get(TUNING) == SEARCHED}
    if study.search.replicate in searched:
        return (
            f"Then replicated, but replicate {study.search.replicate} of the table is the one that was searched on: "
            f"its seeds are not fresh and its scores are optimistic, too; {text}."
        )
    then = "Then replicated over fresh seeds" if searched else "Not replicated over fresh seeds yet"
    return f"{then}; {text}."


def counts_words(counts: Mapping[str, int]) -> str:
    """For example "24 trials (15 complete, 8 pruned, 1 failed)"."""
    parts = [f"{counts[state]} {state}" for state in ("complete", "pruned", "failed", "stopped", "running")
             if counts.get(state)]  # fmt: skip
    return plural(counts.get("trials", 0), "trial") + (f" ({', '.join(parts)})" if parts else "")


def hours_words(hours: float) -> str:
    """Hours with two decimals, or more if below 0.01.

    >>> hours_words(12.345), hours_words(0.00123)
    ('12.35', '0.0012')
    """
    return f"{hours:.2f}" if hours >= 0.095 or hours == 0 else f"{hours:.2g}"


def troubles(summary: Summary) -> list[str]:
    """Missing or unreadable parts of the searches, by arm."""
    study = summary.study
    if study.search_trouble:
        return [f"The search of this study cannot be shown: {study.search_trouble}."]
    if study.search is None:
        return []
    said = [] if summary.searches else ["The plan of this launch names no search of any arm."]
    for search in summary.searches:
        said += [problem for problem in (_no_point(study.search, search), *search.problems) if problem]
    return said


def _no_point(plan: PlannedSearch, search: SearchRecord) -> str:
    """Why an arm has no point to replicate; "" if it has one."""
    if search.told.number is not None:
        return ""
    where = f"Search of {search.arm}" if search.arm else "Search"
    if not search.trials and not search.counts.get("trials"):
        return f"{where}: no trial is in MLflow yet."
    if not search.scored:
        causes = sorted({one_line(trial.cause, 80) for trial in search.trials if trial.cause})
        why = f": {'; '.join(causes[:3])}" if causes else ""
        return f"{where} found no point: {counts_words(search.counts)}, none with a score{why}. It has no searched arm."
    if len(plan.objectives) > 1:
        return f"{where}: no point of the front is chosen yet."
    best = best_trials(search.scored, plan.signs[0])
    name = title(plan.objectives[0])
    return (
        f"{where}: no point is chosen yet; the best so far is trial {best.number} "
        f"(validation {name} {number(best.values[0])})."
    )
