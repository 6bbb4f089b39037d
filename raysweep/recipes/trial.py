"""Running a search's trial in this process, without Ray."""

from __future__ import annotations

from collections.abc import Callable

from raysweep.core.experiment import Experiment
from raysweep.core.store import Store

from .context import Context, FitEvent
from .graph import KINDS, plan_tasks
from .result import CellResult
from .sets import Sets
from .validate import build_validation


def run_validation(
    experiment: Experiment,
    sets: Sets,
    store: Store,
    device: str = "cpu",
    report: Callable[[FitEvent], None] = lambda event: None,
) -> CellResult:
    """Train and score one trial, with every stage it needs; what the store has is read from there.

    Epochs where other trials may part from this one are kept: where an extra set joins first, for one.

    Raises:
        UserError, DegenerateLoss: as `raysweep.recipes.run_cell`.
    """
    stage = build_validation(experiment, sets)
    keep = frozenset(key for task in plan_tasks([stage], store) for key in task.keep)
    result: CellResult = Context(KINDS, store, device, report, keep).product(stage)
    return result
