"""Which trial runs next, and what became of it: all arms' searches of one launch. Knows no cluster.

Tune's searcher asks here for work, Tune's callbacks tell here what happens, and a listener hears of it in the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError
from raysweep.engine.interrupt import Fault
from raysweep.pipeline import CellResult, FitEvent, build_validation, load_sets
from raysweep.store.store import Store
from raysweep.study.search_plan import SearchArm, SearchPlan

from .optuna_study import CAUSE, KEY, SECONDS, SEEN, ArmStudy, ProposedPoint

LOOK_EVERY = 2.0
"""Seconds between looks at what other launches do on the same storage."""

NOTE_EVERY = 10.0
"""Seconds between notes of how long a trial has taken so far."""


@dataclass(frozen=True)
class SearchTrial:
    """A trial, for listeners. `search`: name of the Optuna study; `key` of the stage that gives its scores, empty for
    a point that no Experiment can be; `point`: what was searched; `config`: the whole experiment."""

    search: str
    number: int
    arm: str
    coordinates: Mapping[str, str]
    replicate: int
    key: str
    point: Mapping[str, Any]
    config: Mapping[str, Any]


class SearchListener:
    """Whoever wants to know what happens to trials: the display, the journal. Each takes what it needs."""

    def started(self, trial: SearchTrial) -> None:
        """It begins, or goes on after it was stopped."""

    def epoch(self, trial: SearchTrial, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch of its own curve."""

    def trained(self, experiment: Experiment, event: FitEvent) -> None:
        """An epoch of any model of a trial, told or told again: for whoever measures speeds."""

    def ended(self, trial: SearchTrial, state: str, scores: Mapping[str, float], seconds: float, cause: str) -> None:
        """`state`: complete, pruned, failed or stopped; `scores`: `validation/<name>`; `seconds` on devices."""

    def stopping(self) -> None:
        """Ctrl-C: what runs ends after its epoch."""


@dataclass
class Running:
    """A trial on its way. `seconds` on devices so far; `lost_seconds`: of processes of it that died."""

    study: ArmStudy
    asked: ProposedPoint
    trial: SearchTrial
    experiment: Experiment
    began: bool = False
    pruned: bool = False
    result: Mapping[str, float] | None = None
    cause: str = ""
    seconds: float = 0.0
    lost_seconds: float = 0.0
    told: set[int] = field(default_factory=set)
    noted: float = -math.inf

    @property
    def score(self) -> str:
        """The score of the curve that stoppers compare."""
        return f"val/{self.study.arm.search.objectives[0]}"


class Desk:
    """Hands out trials, round by round over the arms, and answers at once what is known already.

    Args:
        devices: of one trial; its seconds count that often.
        remember: told of curves that did not run here (arm, a name, score by epoch), for whoever stops trials early.
    """

    def __init__(
        self,
        plan: SearchPlan,
        studies: Sequence[ArmStudy],
        store: Store,
        listener: SearchListener,
        devices: int = 1,
        remember: Callable[[SearchArm, str, Mapping[int, float]], None] = lambda arm, name, curve: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan, self.studies, self.store, self.listener = plan, list(studies), store, listener
        self.devices, self.remember, self.clock = devices, remember, clock
        self.running: dict[str, Running] = {}  # by Tune's id of the trial
        self.parked: dict[str, list[Running]] = {}  # by key: twins of a running trial
        self.fault = Fault(self.stop)
        self.stopping = False
        self.stopped = ""
        self._looked = -LOOK_EVERY
        self._elsewhere = 0

    @property
    def finished(self) -> bool:
        """Nothing will ever be handed out again: budgets are spent, and nobody might leave a trial behind."""
        if self.stopping:
            return True
        idle = not self.running and not self._elsewhere
        return idle and all(study.is_spent(self.plan.budget) for study in self.studies)

    def prepare(self) -> None:
        """Queue what dead launches left; the curves of earlier trials go to whoever stops trials early."""
        self._look_elsewhere()
        for study in self.studies:
            for number, curve in study.curves().items():
                self.remember(study.arm, f"{study.arm.name}-{number}", curve)

    def next(self, trial_id: str) -> Running | None:
        """A trial to run now; None when there is none at the moment."""
        self._look_elsewhere()
        for _ in range(len(self.studies)):
            if self.stopping:
                return None
            study = self.studies.pop(0)
            self.studies.append(study)
            running = self._from(study)
            if running is not None:
                self.running[trial_id] = running
                return running
        return None

    def stop(self, reason: str = "") -> None:
        """Hand out nothing more. `reason` is kept when there is one."""
        self.stopping = True
        self.stopped = self.stopped or reason

    def began(self, trial_id: str) -> None:
        running = self.running[trial_id]
        running.lost_seconds += running.seconds  # of a process that died before
        running.seconds = 0.0
        self._note_seen(running)
        if not running.began:
            running.began = True
            self.listener.started(running.trial)

    def epoch(self, trial_id: str, event: FitEvent, seconds: float, own: bool = True) -> None:
        """An epoch of a trial; of its own curve each is passed on once. `own`: no epoch of a model made on the way."""
        running = self.running[trial_id]
        running.seconds = seconds * self.devices
        if self.clock() - running.noted >= NOTE_EVERY:
            self._note_seen(running)
        self.listener.trained(running.experiment, event)
        if own and event.epoch not in running.told:
            running.told.add(event.epoch)
            self.listener.epoch(running.trial, event.epoch, event.metrics)

    def done(self, trial_id: str, scores: Mapping[str, float], seconds: float) -> None:
        running = self.running[trial_id]
        running.result, running.seconds = scores, seconds * self.devices

    def failed(self, trial_id: str, cause: str, seconds: float | None = None) -> None:
        """`seconds`: since the process began with it; None when that is not known."""
        running = self.running[trial_id]
        running.cause = cause
        running.seconds = running.seconds if seconds is None else seconds * self.devices

    def ended(self, trial_id: str) -> None:
        """The process has left the trial: tell Optuna and the listener how it went."""
        running = self.running.pop(trial_id)
        running.seconds += running.lost_seconds
        if running.asked.taken:
            self.listener.ended(running.trial, "stopped", {}, running.seconds, "another launch has taken it up")
        elif running.result is not None:
            self._complete(running, running.result)
        elif running.cause:
            self._fail(running, running.cause)
        elif running.pruned:
            self._prune(running)
        else:
            self._put_back(running)
        for twin in self.parked.pop(running.trial.key, ()):
            self._answer_twin(twin, running)

    def interrupted(self) -> None:
        """Everything ends now: what runs is put back, for the next launch to take up."""
        self.stop()
        for trial_id in list(self.running):
            self.ended(trial_id)

    def _look_elsewhere(self) -> None:
        """Trials that other launches run on this storage: those of dead ones are queued again."""
        if self.clock() - self._looked < LOOK_EVERY:
            return
        self._looked = self.clock()
        for study in self.studies:
            for left in study.adopt():
                trial = self._described(study, left.number, left.params, left.user_attrs.get(KEY, ""))
                self.listener.ended(trial, "stopped", {}, left.user_attrs.get(SECONDS, 0.0), "its launch died")
        self._elsewhere = sum(study.elsewhere() for study in self.studies)

    def _from(self, study: ArmStudy) -> Running | None:
        """A trial of this arm that must be trained, unless its budget is spent."""
        while not self.stopping and not study.is_spent(self.plan.budget):
            asked = study.ask()
            running = self._understood(study, asked)
            if running is None or self._known(running):
                continue
            if any(other.trial.key == running.trial.key for other in self.running.values()):
                self.parked.setdefault(running.trial.key, []).append(running)
                continue
            return running
        return None

    def _understood(self, study: ArmStudy, asked: ProposedPoint) -> Running | None:
        """What is to be trained; a point that cannot be is failed at once."""
        try:
            experiment = study.arm.at(asked.point)
            key = build_validation(experiment, load_sets(experiment, self.plan.cache)).key
        except UserError as error:
            trial = self._described(study, asked.number, asked.point, "")
            running = Running(study, asked, trial, study.arm.cell.experiment)
            self.listener.started(trial)
            self._fail(running, str(error))
            return None
        study.note(asked, KEY, key)
        trial = self._described(study, asked.number, asked.point, key)
        return Running(study, asked, trial, experiment)

    def _known(self, running: Running) -> bool:
        """Whether the store or an earlier trial has the answer; then it is told."""
        key = running.trial.key
        if self.store.get(key) is not None:
            self.listener.started(running.trial)
            self._answer(running, CellResult.read(self.store.folder(key)))
            return True
        twin = running.study.twin(running.asked, key)
        if twin is None or twin.state.name == "COMPLETE":  # its product is gone from the store
            return False
        self.listener.started(running.trial)
        for epoch, score in twin.intermediate_values.items():
            running.study.report(running.asked, epoch, score)
        if twin.state.name == "PRUNED":
            self._prune(running)
        else:
            self._fail(running, f"as trial {twin.number}: {twin.user_attrs.get(CAUSE, 'unknown')}")
        return True

    def _answer(self, running: Running, result: CellResult) -> None:
        """A trial whose scores the store has: its whole curve at once."""
        curve: dict[int, float] = {}
        for epoch, metrics in enumerate(result.history, 1):
            self.listener.epoch(running.trial, epoch, metrics)
            if running.score in metrics:
                curve[epoch] = metrics[running.score]
                running.study.report(running.asked, epoch, metrics[running.score])
        self.remember(running.study.arm, f"{running.trial.search}-{running.trial.number}", curve)
        self._complete(running, result.scores)

    def _answer_twin(self, twin: Running, original: Running) -> None:
        """A trial that waited for its twin: it ends as that did."""
        if self._known(twin):
            return
        if self.stopping or not original.cause:  # the twin was stopped, or pruned in another arm
            twin.study.put_back(twin.asked.number, twin.asked.point)
            return
        self.listener.started(twin.trial)
        self._fail(twin, original.cause)

    def _complete(self, running: Running, scores: Mapping[str, float]) -> None:
        named = {name: value for name, value in scores.items() if name.startswith("validation/")}
        objectives = [f"validation/{name}" for name in running.study.arm.search.objectives]
        wrong = [name for name in objectives if not math.isfinite(named.get(name, math.nan))]
        if wrong:
            self._fail(running, f"{wrong[0]} is {named.get(wrong[0], 'not to be had')}")
            return
        self._note_seconds(running)
        running.study.complete(running.asked, named)
        self.listener.ended(running.trial, "complete", named, running.seconds, "")

    def _prune(self, running: Running) -> None:
        self._note_seconds(running)
        running.study.prune(running.asked)
        self.listener.ended(running.trial, "pruned", {}, running.seconds, "")

    def _fail(self, running: Running, cause: str) -> None:
        self._note_seconds(running)
        running.study.fail(running.asked, cause)
        self.listener.ended(running.trial, "failed", {}, running.seconds, cause)

    def _put_back(self, running: Running) -> None:
        running.study.put_back(running.asked.number, running.asked.point)
        self.listener.ended(running.trial, "stopped", {}, running.seconds, "")

    def _note_seen(self, running: Running) -> None:
        """The trial lives, and what it has cost so far: what a launch that dies has spent."""
        running.noted = self.clock()
        running.study.note(running.asked, SEEN, time.time())
        running.study.note(running.asked, SECONDS, running.lost_seconds + running.seconds)

    @staticmethod
    def _note_seconds(running: Running) -> None:
        running.study.note(running.asked, SECONDS, running.seconds)

    @staticmethod
    def _described(study: ArmStudy, number: int, point: Mapping[str, Any], key: str) -> SearchTrial:
        cell = study.arm.cell
        arm = cell.arm
        try:
            config = study.arm.at(point).with_replicate(cell.replicate).model_dump()
        except UserError:
            config = cell.experiment.model_dump()
        return SearchTrial(
            study.arm.name, number, arm.name, dict(arm.coordinates), cell.replicate, key, dict(point), config
        )
