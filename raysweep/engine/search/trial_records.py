"""A listener that records in the store which products the trials of a search need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raysweep.core.errors import UserError
from raysweep.engine.events import Listener, SearchTrial, WorkItem
from raysweep.pipeline import Known, build_validation, load_sets
from raysweep.pipeline.stage import Stage
from raysweep.store.store import Store
from raysweep.study.identity import used_sets
from raysweep.study.launch_records import write_trials
from raysweep.study.search_plan import SearchArm, SearchPlan

Tried = Callable[[], Sequence[tuple[SearchArm, int, Mapping[str, Any]]]]


class TrialRecords(Listener):
    """Writes the record of all trials whenever one begins, so that `--gc` keeps their products.

    Args:
        tried: gives arm, number and point of every trial in the search storage, including those of other launches.
    """

    def __init__(self, plan: SearchPlan, preset: str, store: Store, launch: str, tried: Tried) -> None:
        self.plan, self.preset, self.store, self.launch, self.tried = plan, preset, store, launch, tried
        self._stages: dict[tuple[str, int], Stage | None] = {}
        self._known = Known()

    def started(self, work: WorkItem) -> None:
        assert isinstance(work, SearchTrial)
        if (work.search, work.number) not in self._stages:
            self.write()

    def write(self) -> None:
        """Write the record. Raises StoreUnusable."""
        trials = []
        for arm, number, point in self.tried():
            stage = self._stage(arm, number, point)
            if stage is not None:
                trials.append((arm.cell.arm.name, number, stage))
        experiments = [arm.cell.experiment for arm in self.plan.arms]
        used = used_sets(experiments, [load_sets(experiment, self.plan.cache) for experiment in experiments])
        write_trials(self.store, self.plan.study_name, self.preset, self.launch, used, trials, self.plan.study_file)

    def _stage(self, arm: SearchArm, number: int, point: Mapping[str, Any]) -> Stage | None:
        """The last stage of a trial; None for a point that is no valid Experiment."""
        if (arm.name, number) not in self._stages:
            try:
                experiment = arm.at(point)
                stage = build_validation(experiment, load_sets(experiment, self.plan.cache), self._known)
            except UserError:
                stage = None
            self._stages[arm.name, number] = stage
        return self._stages[arm.name, number]
