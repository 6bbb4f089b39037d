"""What a study cost: runs, epochs and device-hours by kind of work, of failed cells and of trials too."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raysweep.report.formatting import DASH
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.records import CellRecord, Results
from raysweep.report.results.searches import SearchRecord
from raysweep.report.text.caption import label_of
from raysweep.report.text.overrides import label_tag
from raysweep.report.text.searches import hours_words

from .table import Column, Entry, ReportTable

BUDGET = "budget"
_STATES = ("complete", "failed", "stopped", "running")


@dataclass(frozen=True)
class Expense:
    """One kind of work. `epochs`, `hours`: None where no run has any recorded."""

    work: str
    runs: int
    epochs: int | None
    hours: float | None


def expenses(results: Results) -> list[Expense]:
    """Kinds that have runs. A run that several cells of the plan have counts once."""
    cells = {cell.run_id: cell for cell in results.cells if cell.run_id is not None}
    found = [_of_cells(state, [cell for cell in cells.values() if cell.state == state]) for state in _STATES]
    shared = results.shared()
    found.append(Expense("trainings that cells share", shared.runs, shared.epochs, shared.seconds / 3600))
    found += _of_searches(results.searches)
    return [expense for expense in found if expense.runs]


def _of_cells(state: str, cells: Sequence[CellRecord]) -> Expense:
    epochs, seconds = _sum(cell.epochs() for cell in cells), _sum(cell.spent() for cell in cells)
    return Expense(f"{state} cells", len(cells), None if epochs is None else round(epochs), _hours(seconds))


def _of_searches(searches: Sequence[SearchRecord]) -> list[Expense]:
    """Trials by state; as a whole where only the plan tells their time."""
    trials = [trial for search in searches for trial in search.trials]
    timed = [trial for trial in trials if trial.seconds is not None]
    hours = [search.device_hours for search in searches if search.device_hours is not None]
    if not timed or not math.isclose(sum(hours), math.fsum(t.seconds or 0.0 for t in timed) / 3600, rel_tol=0.01):
        return [Expense("search trials", sum(s.counts.get("trials", 0) for s in searches), None, _sum(hours))]
    states = list(dict.fromkeys(trial.state for trial in trials))
    return [
        Expense(
            f"{state} search trials",
            sum(trial.state == state for trial in trials),
            None,
            _hours(_sum(trial.seconds for trial in trials if trial.state == state)),
        )
        for state in states
    ]


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 3600


def budget_table(summary: Summary, results: Results) -> ReportTable | None:
    """A row a kind of work, and their sum; None without any run."""
    rows = expenses(results)
    if not rows:
        return None
    epochs, hours = _sum(row.epochs for row in rows), _sum(row.hours for row in rows)
    whole = Expense("all", sum(row.runs for row in rows), None if epochs is None else round(epochs), hours)
    columns = (Column("work", left=True), Column("runs"), Column("epochs"), Column("device-hours"))
    entries = tuple(_row(row) for row in [*rows, *([whole] if len(rows) > 1 else [])])
    rules = frozenset({len(rows)}) if len(rows) > 1 else frozenset()
    above = (
        "Budget: runs, epochs that they trained themselves and their device-hours, validation included.",
        "Epochs of a trial are not recorded; evaluation after training is not timed.",
    )
    label = f"{label_of(summary.study)}_{BUDGET}"
    return ReportTable(label, columns, entries, above, (), rules, label_tag([summary.study]))


def _row(expense: Expense) -> tuple[Entry, ...]:
    epochs = DASH if expense.epochs is None else f"{expense.epochs:,}"
    hours = DASH if expense.hours is None else hours_words(expense.hours)
    return Entry(expense.work), Entry(f"{expense.runs:,}"), Entry(epochs), Entry(hours)
