"""The hyperparameter search inside every arm of a launch: plan, progress, and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from raysweep.artifacts.study_record import StudyRecord
from raysweep.config.experiment import Experiment
from raysweep.core.formatting import duration, plural
from raysweep.data.dataset import FaceData
from raysweep.engine.cluster import ClusterOptions
from raysweep.engine.events import Listeners
from raysweep.engine.journal_listener import JournalListener
from raysweep.engine.resources import Allotment
from raysweep.engine.search.optuna_study import Found
from raysweep.engine.search.progress import SearchProgress
from raysweep.engine.search.run import run_search, search_so_far, trials_left, tried_points
from raysweep.engine.search.trial_dispatcher import SearchOutcome
from raysweep.engine.search.trial_records import TrialRecords
from raysweep.engine.speed_listener import SpeedListener
from raysweep.pipeline import Sets, load_sets, remarks
from raysweep.scheduling import Speeds
from raysweep.store.store import Store
from raysweep.study.describe import UsedData, first_target, other_sets, study_record
from raysweep.study.identity import SetIdentity, used_sets
from raysweep.study.launch_records import has_launch
from raysweep.study.overrides import overrides
from raysweep.study.request import Request
from raysweep.study.search_plan import SearchPlan, plan_search

from .context import Launch, alive_on, run_tags
from .plan_view import data_line, note_lines, other_lines


@dataclass(frozen=True)
class SearchPhase:
    """A planned search. `so_far`: results of the searches that have begun, by arm name."""

    request: Request
    plan: SearchPlan
    so_far: Mapping[str, Found]
    store: Store

    @classmethod
    def prepare(cls, request: Request, store: Store) -> SearchPhase:
        """Read the data, check the space in every arm, and read the search storage. Writes only decoded images.

        Raises:
            UserError: data that cannot be read or used, an invalid space, or a storage of another search.
        """
        assert request.budget is not None
        cache = store.local / "data"
        plan = plan_search(request.name, request.study, request.preset, request.cells, request.budget, cache)
        so_far = search_so_far(plan, ClusterOptions(store, cache), request.storage)
        return cls(request, plan, so_far, store)

    @property
    def points(self) -> dict[str, Mapping[str, Any]]:
        """The best point so far, by name of the arm."""
        return {arm: found.point for arm, found in self.so_far.items() if found.number is not None}

    @property
    def trials_left(self) -> int:
        """Remaining trials of the budget, summed over arms."""
        return trials_left(self.plan, self.so_far, self.request.retry_failed)

    @cached_property
    def sets(self) -> list[Sets]:
        """The data sets of every arm."""
        return [load_sets(cell.experiment, self.plan.cache) for cell in self.request.cells]

    @property
    def data(self) -> FaceData:
        """The data set that is trained and scored on."""
        return self.sets[0].scored

    @property
    def used(self) -> tuple[SetIdentity, ...]:
        """Identities of the data sets, the scored one first."""
        return used_sets((cell.experiment for cell in self.request.cells), self.sets)

    @property
    def start_points(self) -> list[tuple[str, Experiment]]:
        """Arm name and experiment of every start point."""
        search = self.plan.search
        return [
            (arm.cell.arm.name, arm.at(point))
            for arm in self.plan.arms
            for point in search.start_points(arm.cell.experiment)
        ]

    def describe(self, found: Mapping[str, Found]) -> dict[str, Any]:
        """ "search" of plan.json."""
        return self.plan.describe({arm: one.describe() for arm, one in found.items()})

    def headline(self) -> str:
        """The search in a few lines: data, space, budget and progress."""
        search, budget, data, arms = self.plan.search, self.plan.budget, self.data, len(self.request.cells)
        limits = [plural(budget.trials, "trial")] if budget.trials is not None else []
        limits += [f"{budget.device_hours:g} device-hours"] if budget.device_hours is not None else []
        lines = [
            f"{self.plan.study_name}: {self.request.study.title}",
            data_line(data),
            *note_lines(data),
            *other_lines(other_sets(self.sets), first_target(self.sets)),
            *(f"  note     {remark}" for remark in self._remarks),
            f"  search   {plural(len(search.space), 'field')} in {plural(arms, 'arm')}, "
            f"{' or '.join(limits)} each, by {search.sampler}" + (f" and {search.stopper}" if search.stopper else ""),
            f"  select   by {', '.join(search.objectives)} on validation images of replicate {search.replicate}",
        ]
        lines += [_stands(arm, found) for arm, found in self.so_far.items()]
        return "\n".join([*lines, *self._left_lines()])

    def run(
        self, launch: Launch, journal: JournalListener, allotment: Allotment | None, since: float | None
    ) -> SearchOutcome:
        """Search until every arm's budget is spent. `since`: start of the launch, to measure start-up time."""
        tags = run_tags(self.request.preset, self.request.study, self.request.cells[0].experiment, self.used)
        journal.launched(self._record(launch.options.command).describe(), tags)
        tried = partial(tried_points, self.plan, launch.engine, self.request.storage)
        records = TrialRecords(self.plan, self.request.preset, self.store, launch.name, tried)
        records.write()
        speeds = Speeds.read(self.store)
        with SearchProgress(self.plan, self.so_far, launch.console) as progress:
            outcome = run_search(
                self.plan,
                launch.engine,
                allotment,
                Listeners(records, progress, journal, SpeedListener(speeds, since=since)),
                launch.name,
                self._is_alive(),
                self.so_far,
                self.request.storage,
                self.request.retry_failed,
            )
        speeds.save()
        return outcome

    def _record(self, command: str) -> StudyRecord:
        """`plan.json` of a launch before its table is planned."""
        request, first = self.request, self.request.cells[0]
        data = UsedData(self.data, other_sets(self.sets), first_target(self.sets), self._remarks, self.used)
        changed = overrides(
            request.study, request.preset, first.experiment, first.changed, request.replicates, self.plan.budget
        )
        return study_record(
            request.name,
            request.study,
            request.preset,
            request.cells,
            data,
            request.replicates,
            command,
            changed,
            self.describe(self.so_far),
            planned=False,
        )

    @property
    def _remarks(self) -> Sequence[str]:
        """Remarks on how the data sets are used, without repeats."""
        pairs = zip(self.request.cells, self.sets, strict=True)
        return list(dict.fromkeys(remark for cell, own in pairs for remark in remarks(cell.experiment, own)))

    def _left_lines(self) -> list[str]:
        """Remaining trials and their device time at the mean cost so far."""
        left, ended = self.trials_left, sum(found.trials for found in self.so_far.values())
        if self.plan.budget.trials is None or not left or not ended:
            return []
        seconds = left * sum(found.device_seconds for found in self.so_far.values()) / ended
        return [f"  left     {plural(left, 'trial')}, about {duration(seconds)} of device time"]

    def _is_alive(self) -> Callable[[str], bool | None]:
        """A function that tells whether a launch is alive; None for a launch unknown to this store."""
        alive = alive_on(self.store)

        def is_alive(launch: str) -> bool | None:
            return alive(launch) or (False if has_launch(self.store, self.plan.study_name, launch) else None)

        return is_alive


def _stands(arm: str, found: Found) -> str:
    counts = ", ".join(f"{n} {state}" for state, n in found.counts.items() if n)
    best = f"; best {found.values[0]:.3f} (trial {found.number})" if found.number is not None else ""
    return f"  so far   {arm or 'search'}: {counts or 'nothing'}, {duration(found.device_seconds)} of device time{best}"
