"""Running cells, tasks and trials of a search in this process, without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from raysweep.artifacts.cell_result import CellResult
from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError
from raysweep.data.dataset import FaceData
from raysweep.store.store import Store

from .datasets import Sets
from .execution import Context, FitEvent
from .methods import build
from .stage import Stage, ancestry
from .stages.validate import build_validation
from .tasks import plan_tasks


def run_cell(
    experiment: Experiment,
    data: FaceData | Sets,
    store: Store,
    device: str = "cpu",
    report: Callable[[FitEvent], None] = lambda event: None,
) -> CellResult:
    """Train and score one cell, with every stage it needs; what the store has is read from there.

    An unfinished training goes on from its last checkpoint. `report` is called once an epoch; epochs
    done before a resume are reported again, marked as replayed.

    Raises:
        UserError: experiment and data do not go together.
        DegenerateLoss: the loss became NaN or infinite.
    """
    sets = data if isinstance(data, Sets) else Sets(data)
    result: CellResult = Context(store, device, report).product(build(experiment, sets))
    return result


def run_validation(
    experiment: Experiment,
    sets: Sets,
    store: Store,
    device: str = "cpu",
    report: Callable[[FitEvent], None] = lambda event: None,
) -> CellResult:
    """Train one trial of a search and score it on validation images, with every stage it needs.

    Epochs where other trials may part from this one are kept: where an extra set joins first, for one.

    Raises:
        UserError, DegenerateLoss: as `run_cell`.
    """
    stage = build_validation(experiment, sets)
    keep = frozenset(key for task in plan_tasks([stage], store) for key in task.keep)
    result: CellResult = Context(store, device, report, keep).product(stage)
    return result


def run_task(
    experiment: Experiment,
    sets: Sets,
    key: str,
    keep: Iterable[str],
    store: Store,
    device: str = "cpu",
    report: Callable[[FitEvent], None] = lambda event: None,
    validates: bool = False,
) -> Any:
    """Make the stage `key` of a cell's graph, and whatever it needs that the store lacks. Returns its product.

    Args:
        validates: the graph is that of a search's trial, which ends in scores of validation images.

    Raises:
        UserError: the graph has no such stage: data or weights changed since it was planned.
        DegenerateLoss: the loss became NaN or infinite.
    """
    stage = stage_of(experiment, sets, key, validates)
    return Context(store, device, report, frozenset(keep)).product(stage)


def stage_of(experiment: Experiment, sets: Sets, key: str, validates: bool = False) -> Stage:
    """The stage `key` of a cell's graph, or of a trial's.

    Raises:
        UserError: the graph has no such stage: data or weights are not those that the launch was planned with.
    """
    final = build_validation(experiment, sets) if validates else build(experiment, sets)
    stage = next((stage for stage in ancestry([final]) if stage.key == key), None)
    if stage is None:
        raise UserError("the data or the initial weights are not those of the launch's plan: run the command again")
    return stage
