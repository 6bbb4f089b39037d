"""Running cells and tasks in this process, without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raysweep.artifacts.cell_result import CellResult
from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError
from raysweep.data.dataset import FaceData
from raysweep.store.store import Store

from .datasets import Sets
from .execution import Context, FitEvent
from .methods import build
from .stage import Stage, ancestry
from .tasks import KINDS


def run_cell(
    experiment: Experiment,
    data: FaceData | Sets,
    store: Store,
    device: str = "cpu",
    report: Callable[[FitEvent], None] = lambda event: None,
) -> CellResult:
    """Train and score one cell, with every stage it needs; what the store has is read from there.

    An unfinished training goes on from its last checkpoint. `report` is called once an epoch; epochs
    done before a resume are told again, marked as replayed.

    Raises:
        UserError: experiment and data do not go together.
        DegenerateLoss: the loss became NaN or infinite.
    """
    sets = data if isinstance(data, Sets) else Sets(data)
    result: CellResult = Context(KINDS, store, device, report).product(build(experiment, sets))
    return result


def run_task(
    experiment: Experiment,
    sets: Sets,
    key: str,
    keep: Iterable[str],
    store: Store,
    device: str = "cpu",
    report: Callable[[FitEvent], None] = lambda event: None,
) -> None:
    """Make the stage `key` of a cell's graph, and whatever it needs that the store lacks.

    Raises:
        UserError: the graph has no such stage: data or weights changed since it was planned.
        DegenerateLoss: the loss became NaN or infinite.
    """
    stage = _find(build(experiment, sets), key)
    if stage is None:
        raise UserError("the data or the initial weights changed since the launch was planned: run the command again")
    Context(KINDS, store, device, report, frozenset(keep)).product(stage)


def _find(final: Stage, key: str) -> Stage | None:
    return next((stage for stage in ancestry([final]) if stage.key == key), None)
