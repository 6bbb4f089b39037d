"""Running a search's trial in this process, without Ray."""

from __future__ import annotations

from collections.abc import Callable

from raysweep.artifacts.cell_result import CellResult
from raysweep.config.experiment import Experiment
from raysweep.store.store import Store

from .datasets import Sets
from .execution import Context, FitEvent
from .stages.validate import build_validation
from .tasks import KINDS, plan_tasks


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
        UserError, DegenerateLoss: as `raysweep.pipeline.run_cell`.
    """
    stage = build_validation(experiment, sets)
    keep = frozenset(key for task in plan_tasks([stage], store) for key in task.keep)
    result: CellResult = Context(KINDS, store, device, report, keep).product(stage)
    return result
