"""Plans of small studies, and products that look as if they had been computed, for tests of records and upkeep."""

from collections.abc import Sequence
from dataclasses import replace

from raysweep.config.experiment import Experiment
from raysweep.data.dataset import FaceData
from raysweep.pipeline import Sets
from raysweep.pipeline.stage import ancestry
from raysweep.pipeline.stage_kinds import is_stored
from raysweep.store.store import Store
from raysweep.study import Axis, Cell, Study
from raysweep.study.plan import Plan, plan_cells
from tests.conftest import make_squares

SMALL = {
    "data.image_size": 32,
    "model.backbone": "small",
    "model.weights": None,
    "train.epochs": 4,
    "train.decay_every": 2.0,
    "train.swa_start": None,
    "selection.weights": "best",
}


def small_plan(
    store: Store,
    factors: Sequence[float] = (0.5, 0.1),
    name: str = "decay",
    data: FaceData | None = None,
    replicates: Sequence[int] = (0, 1),
    **changes,
) -> Plan:
    """An arm a decay factor: arms of one replicate share the first two epochs. Changes: names with __ for the dot."""
    faces = data or replace(make_squares(), name="squares")
    study = Study("What the decay does", [Axis.of("train.decay_factor", list(factors), "factor")])
    base = Experiment().with_changes(SMALL | {path.replace("__", "."): value for path, value in changes.items()})
    cells = [
        Cell(arm, number, base.with_changes(arm.changes).with_replicate(number))
        for arm in study.arms()
        for number in replicates
    ]
    return plan_cells(name, study, "demo", cells, [Sets(faces)] * len(cells), store)


def kept(plan: Plan, arm: str | None = None) -> set[str]:
    """Keys of everything that the store may keep of a plan's cells."""
    finals = [plan.finals[cell.key] for cell in plan.cells if arm in (None, cell.arm.name)]
    return {stage.key for stage in ancestry(finals) if is_stored(stage.kind)}


def compute(store: Store, plan: Plan, leave_out: Sequence[str] = ()) -> set[str]:
    """Put 100 bytes in place of every product that a launch of the plan would store. Returns the keys."""
    keys = {key for task in plan.tasks for key in (task.key, *task.keep)} - set(leave_out)
    for key in keys:
        store.put(key, lambda folder: (folder / "result.json").write_text("x" * 100), {})
    return keys


def cell_keys(plan: Plan) -> dict[str, str]:
    return {cell.name: cell.key for cell in plan.cells}
