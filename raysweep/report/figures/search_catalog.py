"""Which figures the searches of a study get, and what is written below each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from raysweep.artifacts.study_record import PlannedSearch
from raysweep.report.formatting import title
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.searches import SearchRecord

from .catalog import Picture
from .parallel import draw_parallel, draw_slices
from .search import draw_front, draw_history, draw_importance, objective_title
from .search_scale import labels_of
from .search_series import LEAST_TRIALS, MOST_ARMS, fronts, histories, importances, parallels, shown_arms, slices
from .style import style

NAMES = ("search_history", "search_importance", "search_parallel", "search_slices", "search_front")
"""Every figure there can be: `figures/<study>_<name>.png` and `.pdf`."""


def draw_search_pictures(summary: Summary, stem: str) -> list[Picture]:
    """Every figure that the trials allow; none without a trial."""
    plan = summary.study.search
    if plan is None or not shown_arms(summary.searches):
        return []
    more = sum(bool(search.trials) for search in summary.searches) > MOST_ARMS
    cut = f" The first {MOST_ARMS} arms." if more else ""
    with style():
        return [Picture(f"{stem}_{name}", figure, words + cut) for name, figure, words in _figures(plan, summary)]


def _figures(plan: PlannedSearch, summary: Summary) -> Iterator[tuple[str, Figure, str]]:
    searches = summary.searches
    directions: dict[str, str] = dict(zip(plan.objectives, plan.directions, strict=True))
    first = title(plan.objectives[0])
    yield "search_history", draw_history(histories(plan, searches), directions), _history_words(plan, searches)
    bars = importances(plan, searches)
    if any(panel.shares for panel in bars):
        labels = labels_of([range_.path for range_ in plan.space])
        evaluators = {panel.evaluator for panel in bars if panel.shares}
        yield "search_importance", draw_importance(bars, labels, directions), _importance_words(evaluators)
    lines = parallels(plan, searches)
    if lines:
        yield "search_parallel", draw_parallel(lines, directions), _parallel_words(first)
    along = slices(plan, searches)
    if along:
        ylabel = f"validation {objective_title(plan.objectives[0], directions)}"
        yield "search_slices", draw_slices(along, ylabel), _slices_words(first)
    trade = fronts(plan, searches)
    if any(panel.points for panel in trade):
        yield "search_front", draw_front(trade, directions), _FRONT_WORDS


def _history_words(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> str:
    text = f"Search: every trial in order, scored on validation images of replicate {plan.replicate}. "
    if any(trial.state == "pruned" for search in searches for trial in search.trials):
        text += "Pruned trials stand at the last epoch they saw, which is not their score. "
    return f"{text}The best of many trials is optimistic: the table of results has the replicates."


def _importance_words(evaluators: set[str]) -> str:
    how = {
        "fANOVA": "fANOVA (Optuna, 64 trees): the share of the objective's variance over the search space that a "
        "forest fitted to the complete trials puts down to a field alone",
        "PED-ANOVA": "PED-ANOVA (Optuna, conditional): how differently a field is distributed in the best third of the "
        "complete trials and in all of them",
    }
    return (
        f"Search: importance of fields by {'; or by '.join(how[name] for name in sorted(evaluators))}. "
        "It describes these trials, with few of them roughly: fields without effect get a share, too. "
        f"Not shown below {LEAST_TRIALS} complete trials."
    )


def _parallel_words(first: str) -> str:
    return (
        f"Search: every complete trial is a line over the fields that were searched, coloured by validation {first}; "
        "outlined: the chosen point; dashed: pruned. A field that another one switches off is not set."
    )


def _slices_words(first: str) -> str:
    return (
        f"Search: validation {first} of complete trials along each field; stars: the chosen points. Trials without the "
        "field are left out, and other fields vary along, so this is no effect of one field alone."
    )


_FRONT_WORDS = (
    "Search: objectives against each other, complete trials. On the front: no other trial is better in one objective "
    "and at least as good in all."
)
