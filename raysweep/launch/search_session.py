"""A launch of a study with a search: search inside every arm, then replicate what was found over fresh seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from raysweep.config.experiment import Experiment
from raysweep.core.formatting import duration, plural
from raysweep.data.dataset import FaceData
from raysweep.engine.resources import Allotment
from raysweep.engine.search.dispatcher import SearchListener, SearchTrial
from raysweep.engine.search.journal_listener import SearchRecorder
from raysweep.engine.search.optuna_study import Found
from raysweep.engine.search.progress import SearchProgress
from raysweep.engine.search.speed_listener import SearchTiming
from raysweep.engine.search.trial_records import Memory
from raysweep.engine.search.tune_run import SearchOutcome, run_search, search_so_far, trials_left, tried_points
from raysweep.engine.tune_run import Options, allot_again, cluster
from raysweep.pipeline import FitEvent, Sets, draw_sets, load_sets, remarks
from raysweep.scheduling import Speeds
from raysweep.store.process import Process
from raysweep.store.store import Store
from raysweep.study import Cell, Study, make_cells
from raysweep.study.cells import fresh_replicates, search_budget, search_cells
from raysweep.study.identity import SetIdentity, used_sets
from raysweep.study.launch_records import has_launch
from raysweep.study.overrides import overrides
from raysweep.study.plan import describe_arms, describe_study, first_target, other_sets
from raysweep.study.search_plan import SearchPlan, plan_search
from raysweep.tracking.schema import PROCESS
from raysweep.tracking.server import connect
from raysweep.tracking.writer import Writer

from .context import Launch, alive_on, console_for, opened, run_tags
from .options import Wishes
from .plan_view import data_line, note_lines, other_lines
from .preflight import try_inputs
from .session import Session
from .summary import DRAIN_SECONDS, DRAIN_SECONDS_INTERRUPTED


@dataclass(frozen=True)
class SearchOptions:
    """What the user asked of a search: replicates of its table, budget an arm, where its state is."""

    store: Store
    replicates: Sequence[int] | None = None
    trials: int | None = None
    device_hours: float | None = None
    storage: str | None = None
    retry_failed: bool = False


@dataclass(frozen=True)
class SearchSession:
    """A planned search and the replicates to come. `changes`: fields that the user set for every arm."""

    plan: SearchPlan
    study: Study
    preset: str
    cells: Sequence[Cell]
    replicates: Sequence[int]
    changes: Mapping[str, Any]
    store: Store
    storage: str | None
    retry_failed: bool = False

    @classmethod
    def prepare(
        cls, name: str, study: Study, preset: str, changes: Mapping[str, Any], asked: SearchOptions
    ) -> SearchSession:
        """Read the data, check the space in every arm, and look into the store. Writes nothing but decoded images.

        Raises:
            UserError: data that cannot be read or used, a space or budget that makes no sense.
        """
        cells = search_cells(study, preset, changes)
        replicates = fresh_replicates(study, preset, asked.replicates)
        budget = search_budget(study, preset, asked.trials, asked.device_hours)
        plan = plan_search(name, study, preset, cells, budget, asked.store.local / "data")
        return cls(plan, study, preset, cells, replicates, changes, asked.store, asked.storage, asked.retry_failed)

    @property
    def options(self) -> Options:
        return Options(self.store, self.store.local / "data")

    @property
    def data(self) -> FaceData:
        """The data set that is trained and scored on."""
        return load_sets(self.cells[0].experiment, self.plan.cache).scored

    @cached_property
    def _sets(self) -> list[Sets]:
        """The data sets of every arm."""
        return [load_sets(cell.experiment, self.plan.cache) for cell in self.cells]

    @property
    def used(self) -> tuple[SetIdentity, ...]:
        """What the data sets are, the scored one first."""
        return used_sets((cell.experiment for cell in self.cells), self._sets)

    @property
    def _remarks(self) -> list[str]:
        """What readers must know of how the sets are used, each once."""
        pairs = zip(self.cells, self._sets, strict=True)
        return list(dict.fromkeys(remark for cell, own in pairs for remark in remarks(cell.experiment, own)))

    @property
    def start_points(self) -> list[tuple[str, Experiment]]:
        """What every arm tries first: its name and an experiment."""
        search = self.plan.search
        return [
            (arm.cell.arm.name, arm.at(point))
            for arm in self.plan.arms
            for point in search.start_points(arm.cell.experiment)
        ]

    def check(self, download: bool = True) -> None:
        """Try what would fail every trial. Raises UserError; writes nothing but decoded images."""
        if trials_left(self.plan, self._so_far(), self.retry_failed):
            try_inputs(self.start_points, self.plan.cache or self.store.local / "data", download=download)

    def text(self, devices: Sequence[int] = (1,), per_trial: int = 1) -> str:
        """What a launch would do, for people."""
        so_far = self._so_far()
        lines = [self.headline(so_far)]
        session = self._replicates({arm: found.point for arm, found in so_far.items() if found.number is not None})
        if session is None:
            lines.append("  then     the best point of every arm and the arm as it is, over replicates "
                         + ", ".join(map(str, self.replicates)))  # fmt: skip
        else:
            lines += ["", session.words(devices, per_trial).text()]
        return "\n".join(lines)

    def json(self, devices: Sequence[int] = (1,), per_trial: int = 1) -> dict[str, Any]:
        """The same as plain values. `table`: the plan of the replicates, None until every arm has a best point."""
        so_far = self._so_far()
        session = self._replicates({arm: found.point for arm, found in so_far.items() if found.number is not None})
        return {
            "study": self.plan.study_name,
            "preset": self.preset,
            "search": self.plan.describe({arm: found.describe() for arm, found in so_far.items()}),
            "trials_left": trials_left(self.plan, so_far, self.retry_failed),
            "replicates": list(self.replicates),
            "table": None if session is None else session.json(devices, per_trial),
        }

    def headline(self, so_far: Mapping[str, Found]) -> str:
        """The search in a few lines."""
        search, budget = self.plan.search, self.plan.budget
        data = self.data
        words = [plural(budget.trials, "trial")] if budget.trials is not None else []
        words += [f"{budget.device_hours:g} device-hours"] if budget.device_hours is not None else []
        lines = [
            f"{self.plan.study_name}: {self.study.title}",
            data_line(data),
            *note_lines(data),
            *other_lines(other_sets(self._sets), first_target(self._sets)),
            *(f"  note     {remark}" for remark in self._remarks),
            f"  search   {plural(len(search.space), 'field')} in {plural(len(self.cells), 'arm')}, "
            f"{' or '.join(words)} each, by {search.sampler}" + (f" and {search.stopper}" if search.stopper else ""),
            f"  select   by {', '.join(search.objectives)} on validation images of replicate {search.replicate}",
        ]
        lines += [_stands(arm, found) for arm, found in so_far.items()]
        return "\n".join([*lines, *self._left(so_far)])

    def _left(self, so_far: Mapping[str, Found]) -> list[str]:
        """How much of the search is to come, at what trials took so far."""
        left = trials_left(self.plan, so_far, self.retry_failed)
        ended = sum(found.trials for found in so_far.values())
        if self.plan.budget.trials is None or not left or not ended:
            return []
        seconds = left * sum(found.device_seconds for found in so_far.values()) / ended
        return [f"  left     {plural(left, 'trial')}, about {duration(seconds)} of device time"]

    def run(self, wishes: Wishes, as_json: bool) -> int:
        """Search, replicate, report. Returns the exit code as `Session.run` does.

        Raises:
            UserError: something that would fail every trial, found before the first; nothing is written then.
        """
        self.check()
        draw_sets(self._sets)
        so_far = self._so_far()
        writer = Writer(connect(wishes.tracking), self.store)
        console = console_for(as_json)
        console.print(self.headline(so_far), markup=False, soft_wrap=True)
        if self.plan.search.stopper and wishes.devices_per_trial > 1:
            console.print("  note     trials on several devices each are not ended early", highlight=False)
        options = Options(self.store, self.store.local / "data", wishes.address, wishes.devices_per_trial)
        with (
            cluster(options, self._tasks_ahead(so_far)) as allotment,
            opened(writer, self.plan.study_name, options, wishes, console) as opening,
        ):
            return self._both_phases(opening, allotment, so_far, as_json)

    def _both_phases(
        self, opening: Launch, allotment: Allotment | None, so_far: Mapping[str, Found], as_json: bool
    ) -> int:
        outcome = self._search(opening, allotment, so_far)
        if outcome.interrupted or outcome.stopped:
            return self._ended_early(opening, outcome)
        for sentence in outcome.failed.values():
            opening.say(sentence)
        found = self.plan.describe(outcome.describe())
        session = self._replicates(outcome.points, found)
        if session is None:
            self._tell_end(opening, "FAILED")
            opening.publisher.close(DRAIN_SECONDS)
            return 1
        opening.say(f"\nreplicating what was found over replicates {', '.join(map(str, self.replicates))}")
        opening.say(session.words().headline())
        tasks = len(session.plan.tasks)
        code = session.compute(opening, allot_again(opening.options, allotment, tasks), as_json)
        return code or (1 if outcome.failed else 0)

    def _tasks_ahead(self, so_far: Mapping[str, Found]) -> int:
        """How much there is to compute, as far as that is known: 0 when the store has everything."""
        left = trials_left(self.plan, so_far, self.retry_failed)
        session = self._replicates({arm: found.point for arm, found in so_far.items() if found.number is not None})
        return left + (len(session.plan.tasks) if session else 1)

    def _search(self, opening: Launch, allotment: Allotment | None, so_far: Mapping[str, Found]) -> SearchOutcome:
        data, used = self.data, self.used
        tags = run_tags(self.preset, self.study, self.cells[0].experiment, used)
        found = self.plan.describe({arm: f.describe() for arm, f in so_far.items()})
        base, others, first = self.cells[0].experiment, other_sets(self._sets), first_target(self._sets)
        sets = (data, others, first, self._remarks, used)
        words = describe_study(self.plan.study_name, self.study, self.preset, base, *sets)
        changed = overrides(self.study, self.preset, base, self.cells[0].changed, self.replicates, self.plan.budget)
        description = {**words, **describe_arms(self.cells), "cells": [], "overrides": changed,
                       "replicates": list(self.replicates), "command": opening.wishes.command,
                       "search": found}  # fmt: skip
        opening.tell("launch", plan=description, tags={**tags, PROCESS: Process.this().word}, tracking=opening.uri)
        recorder = SearchRecorder(self.plan.study_name, opening.name, tags, opening.journal, opening.publisher)
        devices = allotment.concurrency if allotment else 1
        tried = partial(tried_points, self.plan, self.options, self.storage)
        memory = Memory(self.plan, self.preset, self.store, opening.name, tried)
        memory.write()
        timing = SearchTiming(Speeds.read(self.store))
        with SearchProgress(self.plan, so_far, opening.console, devices) as progress:
            outcome = run_search(
                self.plan,
                opening.options,
                allotment,
                SearchListeners(memory, progress, recorder, timing),
                opening.name,
                self._is_alive,
                self.storage,
                self.retry_failed,
            )
        timing.speeds.save()
        return outcome

    @cached_property
    def _is_alive(self) -> Callable[[str], bool | None]:
        """Whether a launch lives; None of one that this store does not know."""
        alive = alive_on(self.store)

        def is_alive(launch: str) -> bool | None:
            return alive(launch) or (False if has_launch(self.store, self.plan.study_name, launch) else None)

        return is_alive

    def _ended_early(self, opening: Launch, outcome: SearchOutcome) -> int:
        self._tell_end(opening, "KILLED" if outcome.interrupted else "FAILED")
        opening.publisher.close(DRAIN_SECONDS_INTERRUPTED)
        why = f": {outcome.stopped}" if outcome.stopped else ""
        opening.say(f"\nstopped{why}; finished trials are kept. To go on:\n  {opening.wishes.command}")
        return 130 if outcome.interrupted else 1

    def _tell_end(self, opening: Launch, status: str) -> None:
        opening.tell("end", status=status, stopped=[])

    def _so_far(self) -> dict[str, Found]:
        return search_so_far(self.plan, self.options, self.storage)

    def _replicates(
        self, points: Mapping[str, Mapping[str, Any]], found: Mapping[str, Any] | None = None
    ) -> Session | None:
        """The launch of the table, of the arms whose search found something; None when none did."""
        if not points:
            return None
        study = self.study.tuned(points)
        cells = make_cells(study, self.preset, self.replicates, self.changes)
        session = Session.prepare(self.plan.study_name, study, self.preset, cells, self.store, self.retry_failed)
        return Session(session.plan, session.store, session.cache, found)


class SearchListeners(SearchListener):
    """Tells every event of a search to several listeners."""

    def __init__(self, *listeners: SearchListener) -> None:
        self.listeners = listeners

    def started(self, trial: SearchTrial) -> None:
        for listener in self.listeners:
            listener.started(trial)

    def epoch(self, trial: SearchTrial, epoch: int, metrics: Mapping[str, float]) -> None:
        for listener in self.listeners:
            listener.epoch(trial, epoch, metrics)

    def trained(self, experiment: Experiment, event: FitEvent) -> None:
        for listener in self.listeners:
            listener.trained(experiment, event)

    def ended(self, trial: SearchTrial, state: str, scores: Mapping[str, float], seconds: float, cause: str) -> None:
        for listener in self.listeners:
            listener.ended(trial, state, scores, seconds, cause)

    def stopping(self) -> None:
        for listener in self.listeners:
            listener.stopping()


def _stands(arm: str, found: Found) -> str:
    counts = ", ".join(f"{n} {state}" for state, n in found.counts.items() if n)
    best = f"; best {found.values[0]:.3f} (trial {found.number})" if found.number is not None else ""
    return f"  so far   {arm or 'search'}: {counts or 'nothing'}, {duration(found.device_seconds)} of device time{best}"
