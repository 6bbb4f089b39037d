"""The plan of a launch: keys of its cells, and the tasks that compute what the store lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from raysweep.artifacts.study_record import StudyRecord
from raysweep.config.experiment import Experiment
from raysweep.config.sections import Data
from raysweep.core.errors import UserError, error_of_arms
from raysweep.data.dataset import FaceData
from raysweep.pipeline import (
    Known,
    Sets,
    Task,
    build,
    done_cells,
    epochs_alone,
    load_sets,
    main_chain,
    plan_work,
    remarks,
)
from raysweep.pipeline.stage import Stage
from raysweep.store.store import Store

from .cells import Cell
from .describe import UsedData, first_target, other_sets, study_record
from .identity import SetIdentity, used_sets
from .overrides import overrides
from .search import Budget
from .study import Study


@dataclass(frozen=True)
class Plan:
    """All cells of a launch, and the tasks that compute the missing ones.

    `done`: keys of cells whose product is in the store; `failed`: cause by key of cells that failed in an earlier
    launch and are skipped; `finals`: last stage of every cell by key; `extras`: the distinct other data sets; `first`:
    the target among them, if fine-tuning continues on another set; `remarks`: on the use of the sets, for captions;
    `noted`: failures of tasks in the store when the plan was made; `stages`: numbers of storable stages "to_compute",
    "shared" by several cells, and "found"; `used`: identities of the data sets, the scored one first.
    """

    study_name: str
    study: Study
    preset: str
    cells: Sequence[Cell]
    data: FaceData
    extras: Sequence[FaceData]
    finals: Mapping[str, Stage]
    done: frozenset[str]
    tasks: Sequence[Task]
    failed: Mapping[str, str] = field(default_factory=dict)
    noted: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    first: FaceData | None = None
    stages: Mapping[str, int] = field(default_factory=dict)
    used: Sequence[SetIdentity] = ()

    @cached_property
    def by_key(self) -> dict[str, list[Cell]]:
        """Cells by key; those with equal keys are trained once."""
        cells: dict[str, list[Cell]] = {}
        for cell in self.cells:
            cells.setdefault(cell.key, []).append(cell)
        return cells

    def experiment_of(self, task: Task) -> Experiment:
        """The experiment of a cell that needs the task; any of them has the task's stage."""
        return self.by_key[min(task.cells)][0].experiment

    @cached_property
    def watchers(self) -> dict[str, list[Cell]]:
        """Key of an epoch to the unfinished cells whose curve contains it."""
        watchers: dict[str, list[Cell]] = {}
        for key, cells in self.by_key.items():
            if key not in self.done:
                for stage in main_chain(self.finals[key]):
                    watchers.setdefault(stage.key, []).extend(cells)
        return watchers

    @property
    def to_train(self) -> list[Cell]:
        """The first cell of every key that is neither done nor skipped after a failure."""
        return [cells[0] for key, cells in self.by_key.items() if key not in self.done and key not in self.failed]

    @property
    def epochs_to_train(self) -> int:
        return sum(task.epochs for task in self.tasks)

    @property
    def epochs_unshared(self) -> int:
        """Epochs that the missing cells would train without sharing."""
        return sum(epochs_alone(self.finals[cell.key]) for cell in self.to_train)

    @property
    def trainings(self) -> dict[str, tuple[int, int]]:
        """Title to the number of trainings or pieces of trainings to run, and their epochs."""
        counts: Counter[str] = Counter()
        epochs: Counter[str] = Counter()
        for title, length in (fit for task in self.tasks for fit in task.fits):
            counts[title] += 1
            epochs[title] += length
        return {title: (counts[title], epochs[title]) for title in counts}

    def overrides(self, budget: Budget | None = None) -> dict[str, Any]:
        """What the user changed of the study and its preset. `budget`: of an arm's search, if there was one."""
        replicates, first = sorted({cell.replicate for cell in self.cells}), self.cells[0]
        return overrides(self.study, self.preset, first.experiment, first.changed, replicates, budget)

    def record(
        self, command: str, search: Mapping[str, Any] | None = None, budget: Budget | None = None
    ) -> StudyRecord:
        """The record of the launch (`plan.json` in MLflow), from which reports are built.

        Args:
            search: `SearchPlan.describe()` of the search that found the points.
            budget: of each arm's search.
        """
        data = UsedData(self.data, self.extras, self.first, self.remarks, self.used)
        replicates = sorted({cell.replicate for cell in self.cells})
        changed = self.overrides(budget)
        return study_record(
            self.study_name, self.study, self.preset, self.cells, data, replicates, command, changed, search
        )


def make_plan(
    name: str,
    study: Study,
    preset: str,
    cells: Sequence[Cell],
    store: Store,
    cache: Path | None = None,
    retry_failed: bool = False,
    seconds: Callable[[Task], float | None] = lambda task: None,
) -> Plan:
    """Read the data, compute the keys of the cells, and list the tasks that the store lacks.

    Cells that failed in an earlier launch are skipped, unless `retry_failed`. `seconds`: cost of a task, None if
    unknown; affects the order only.

    Raises:
        UserError: data that cannot be read or used, or cells that would be scored on different images.
    """
    sets = [load_sets(cell.experiment, cache) for cell in cells]
    return plan_cells(name, study, preset, cells, sets, store, retry_failed, seconds)


def plan_cells(
    name: str,
    study: Study,
    preset: str,
    cells: Sequence[Cell],
    sets: Sequence[Sets],
    store: Store,
    retry_failed: bool = False,
    seconds: Callable[[Task], float | None] = lambda task: None,
) -> Plan:
    """`make_plan` with the data sets of every cell given."""
    known = Known()
    stages = _built(cells, sets, known)
    keyed = [replace(cell, key=stage.key) for cell, stage in zip(cells, stages, strict=True)]
    finals = {stage.key: stage for stage in stages}
    del known, stages  # as large as the plan itself
    done = done_cells(finals, store)
    failed = {} if retry_failed else _failed_before(finals.keys() - done, store)
    scored = {own.scored.fingerprint: own.scored for own in sets}
    if len(scored) > 1:
        fields = {name: {getattr(cell.experiment.data, name) for cell in cells} for name in Data.model_fields}
        swept = ", ".join(f"data.{name}" for name, values in fields.items() if len(values) > 1)
        raise UserError(
            f"a study is scored on one data set, but its arms have several{f' ({swept} is swept)' if swept else ''}: "
            "run it once per data set, with --set or --on"
        )
    extras = other_sets(sets)
    said = [remark for cell, own in zip(cells, sets, strict=True) for remark in remarks(cell.experiment, own)]
    work = plan_work({key: stage for key, stage in finals.items() if key not in failed}, done, store)
    tasks = ordered(work.tasks, {cell.key: cell.replicate for cell in reversed(keyed)}, seconds)
    noted = failures(store, {task.key for task in tasks})
    counts = {"to_compute": work.computed, "shared": work.shared, "found": work.found}
    used = used_sets((cell.experiment for cell in cells), sets)
    return Plan(
        name, study, preset, keyed, sets[0].scored, extras, finals, done, tasks, failed, noted,
        remarks=tuple(dict.fromkeys(said)), first=first_target(sets), stages=counts,
        used=used,
    )  # fmt: skip


def _failed_before(keys: Iterable[str], store: Store) -> dict[str, str]:
    """Cause by key of cells that failed in an earlier launch."""
    return {key: str(facts.get("cause", "unknown")) for key, facts in failures(store, keys).items()}


def failures(store: Store, keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The failure records of the keys, where there are any."""
    there = {name.removesuffix(".json") for name in store.files.names("failed")}
    noted = {key: store.failure(key) for key in there.intersection(keys)}
    return {key: facts for key, facts in noted.items() if facts is not None}


def _built(cells: Sequence[Cell], sets: Sequence[Sets], known: Known) -> list[Stage]:
    """The last stage of every cell. Raises UserError for data that do not suit a method, naming the arms."""
    stages: list[Stage] = []
    faults: dict[str, str] = {}
    for cell, own in zip(cells, sets, strict=True):
        if cell.arm.name in faults:
            continue
        try:
            stages.append(build(cell.experiment, own, known))
        except UserError as error:
            faults[cell.arm.name] = str(error)
    if faults:
        raise error_of_arms(faults, len({cell.arm.name for cell in cells}))
    return stages


def ordered(
    tasks: Sequence[Task], replicates: Mapping[str, int], seconds: Callable[[Task], float | None] = lambda task: None
) -> list[Task]:
    """Tasks by priority: by replicate, so that an interrupted launch leaves complete ones; then tasks that no training
    depends on; then by the longest path to the end, in seconds, or in epochs if any cost is unknown.

    Args:
        tasks: in topological order, inputs first.
        replicates: by key of a cell.
    """
    costs = [seconds(task) for task in tasks]
    lengths = [float(task.epochs) for task in tasks] if None in costs else [cost or 0.0 for cost in costs]
    ahead: dict[str, float] = {}
    longest: dict[str, float] = {}  # longest path after the task
    trains: dict[str, bool] = {}
    for task, length in zip(reversed(tasks), reversed(lengths), strict=True):  # dependents come later
        ahead[task.key] = length + longest.get(task.key, 0.0)
        trains[task.key] = task.epochs > 0 or trains.get(task.key, False)
        for need in task.needs:
            longest[need] = max(longest.get(need, 0.0), ahead[task.key])
            trains[need] = trains[task.key] or trains.get(need, False)
    return sorted(
        tasks, key=lambda task: (min(replicates[key] for key in task.cells), trains[task.key], -ahead[task.key])
    )
