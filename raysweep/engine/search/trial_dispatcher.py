"""Dispatches the trials of all arms' searches, answers known ones from the store, and records their results."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import optuna
from sqlalchemy.exc import SQLAlchemyError

from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError, describe
from raysweep.engine.dispatcher import Assignment, Dispatcher, Outcome
from raysweep.engine.events import End, Listener, SearchTrial
from raysweep.pipeline import CellResult, FitEvent, build_validation, load_sets, plan_tasks
from raysweep.pipeline.stage import Stage
from raysweep.store.store import Store
from raysweep.study.search_plan import SearchArm, SearchPlan

from .optuna_study import CAUSE, KEY, SECONDS, SEEN, ArmStudy, Found, ProposedPoint

LOOK_EVERY = 2.0
"""Seconds between checks of other launches' trials in the same storage."""

NOTE_EVERY = 10.0
"""Seconds between heartbeats of a running trial."""

STORAGE_ERRORS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)


@dataclass
class SearchOutcome(Outcome):
    """How the search of a launch ended.

    `found`: by arm name. `failed`: the reason, as a sentence, for each arm without a complete trial.
    """

    found: dict[str, Found] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def points(self) -> dict[str, dict[str, Any]]:
        """The best points by arm name, for `Study.tuned`."""
        return {arm: found.point for arm, found in self.found.items() if found.number is not None}

    def describe(self) -> dict[str, Any]:
        """The results by arm name, for `SearchPlan.describe`."""
        return {arm: found.describe() for arm, found in self.found.items()}


@dataclass
class Running:
    """A running trial. `final`: the stage that scores it, None for a point that is no valid Experiment; `seconds`:
    device time so far; `lost_seconds`: device time of its processes that died."""

    study: ArmStudy
    asked: ProposedPoint
    trial: SearchTrial
    final: Stage | None = None
    began: bool = False
    pruned: bool = False
    result: Mapping[str, float] | None = None
    cause: str = ""
    seconds: float = 0.0
    lost_seconds: float = 0.0
    noted: float = -math.inf

    @property
    def experiment(self) -> Experiment:
        return self.trial.experiment

    def is_own(self, event: FitEvent) -> bool:
        """Whether an epoch is part of the trial's own curve."""
        return event.training == self.trial.model

    @property
    def score(self) -> str:
        """Name of the curve that early stopping compares."""
        return f"val/{self.study.arm.search.objectives[0]}"


class TrialDispatcher(Dispatcher):
    """Assigns trials of the arms in turn, and completes known trials at once.

    Args:
        devices: per trial; a factor of its device time.
        remember: called with arm, trial name and score by epoch of curves that did not run here, for early stopping.
    """

    unusable: ClassVar[tuple[type[Exception], ...]] = STORAGE_ERRORS

    def __init__(
        self,
        plan: SearchPlan,
        studies: Sequence[ArmStudy],
        store: Store,
        listener: Listener,
        devices: int = 1,
        remember: Callable[[SearchArm, str, Mapping[int, float]], None] = lambda arm, name, curve: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan, self.studies, self.store, self.listener = plan, list(studies), store, listener
        self.devices, self.remember, self.clock = devices, remember, clock
        self.outcome: SearchOutcome = SearchOutcome()
        self.trials: dict[str, Running] = {}
        self.parked: dict[str, list[Running]] = {}  # by key: twins of a running trial
        self._looked = -LOOK_EVERY
        self._elsewhere = 0

    @property
    def finished(self) -> bool:
        """Budgets are spent, and no trial is running here or elsewhere."""
        if self.stopping:
            return True
        idle = not self.trials and not self._elsewhere
        return idle and all(study.is_spent(self.plan.budget) for study in self.studies)

    def prepare(self) -> None:
        """Queue trials of dead launches, and pass curves of earlier trials to early stopping."""
        self._look_elsewhere()
        for study in self.studies:
            for number, curve in study.curves().items():
                self.remember(study.arm, f"{study.arm.name}-{number}", curve)

    def next(self, trial_id: str) -> list[Assignment]:
        """The assignment of the next trial; empty when there is none now."""
        self._look_elsewhere()
        for _ in range(len(self.studies)):
            if self.stopping:
                return []
            study = self.studies.pop(0)
            self.studies.append(study)
            running = self._next_of(study)
            if running is not None:
                self.trials[trial_id] = running
                return [self._assignment(running)]
        return []

    def started(self, trial_id: str, key: str) -> None:
        running = self.trials[trial_id]
        running.lost_seconds += running.seconds  # of an earlier process that died
        running.seconds = 0.0
        self._note_seen(running)
        if not running.began:
            running.began = True
            self.listener.started(running.trial)

    def epoch(self, trial_id: str, key: str, event: FitEvent, seconds: float) -> None:
        running = self.trials[trial_id]
        running.seconds = seconds * self.devices
        if self.clock() - running.noted >= NOTE_EVERY:
            self._note_seen(running)
        self.listener.epoch(running.trial, event)

    def done(self, trial_id: str, key: str, seconds: float, scores: Mapping[str, float]) -> None:
        running = self.trials[trial_id]
        running.result, running.seconds = scores, seconds * self.devices

    def failed(self, trial_id: str, cause: str, key: str = "", seconds: float | None = None) -> None:
        running = self.trials[trial_id]
        running.cause = cause
        running.seconds = running.seconds if seconds is None else seconds * self.devices

    def give_back(self, trial_id: str) -> None:
        """Report the trial's end to Optuna and the listener; queue an unfinished one again."""
        running = self.trials.pop(trial_id, None)
        if running is None:
            return
        running.seconds += running.lost_seconds
        if running.asked.taken:
            self._ended(running, End("stopped", "another launch has taken it up"))
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

    def close(self) -> None:
        """Gives back all trials unless the storage fails; the next launch then queues them again."""
        self.stop()
        for trial_id in list(self.trials):
            try:
                self.give_back(trial_id)
            except (OSError, *STORAGE_ERRORS):
                return

    def unusable_reason(self, error: Exception) -> str:
        return f"the Optuna storage cannot be used: {describe(error)}"

    def _assignment(self, running: Running) -> Assignment:
        """Keeps epochs at which other trials may diverge, such as the first with an extra set."""
        assert running.final is not None
        keep = {key for task in plan_tasks([running.final], self.store) for key in task.keep}
        return Assignment(running.trial.key, sorted(keep), running.experiment.model_dump(), validates=True)

    def _look_elsewhere(self) -> None:
        """Count trials of other launches on this storage, and queue those of dead launches again."""
        if self.clock() - self._looked < LOOK_EVERY:
            return
        self._looked = self.clock()
        for study in self.studies:
            for left in study.adopt():
                trial = self._described(study, left.number, left.params, left.user_attrs.get(KEY, ""))
                seconds = left.user_attrs.get(SECONDS, 0.0)
                self.listener.ended(trial, End("stopped", "its launch died", seconds=seconds))
        self._elsewhere = sum(study.elsewhere() for study in self.studies)

    def _next_of(self, study: ArmStudy) -> Running | None:
        """The next trial of this arm that must be trained; None if its budget is spent."""
        while not self.stopping and not study.is_spent(self.plan.budget):
            asked = study.ask()
            running = self._built(study, asked)
            if running is None or self._known(running):
                continue
            if any(other.trial.key == running.trial.key for other in self.trials.values()):
                self.parked.setdefault(running.trial.key, []).append(running)
                continue
            return running
        return None

    def _built(self, study: ArmStudy, asked: ProposedPoint) -> Running | None:
        """The trial of a proposed point; None, and failed at once, if the point is no valid Experiment."""
        try:
            experiment = study.arm.at(asked.point)
            final = build_validation(experiment, load_sets(experiment, self.plan.cache))
        except UserError as error:
            trial = self._described(study, asked.number, asked.point, "")
            self.listener.started(trial)
            self._fail(Running(study, asked, trial), str(error))
            return None
        study.note(asked, KEY, final.key)
        trial = self._described(study, asked.number, asked.point, final.key)
        return Running(study, asked, replace(trial, model=final.inputs["model"].key), final)

    def _known(self, running: Running) -> bool:
        """Whether the store or an earlier trial has the result; if so, the trial is ended with it."""
        key = running.trial.key
        if self.store.get(key) is not None:
            self.listener.started(running.trial)
            self._answer(running, CellResult.read(self.store.folder(key)))
            return True
        twin = running.study.twin(running.asked, key)
        if twin is None or twin.state.name == "COMPLETE":  # its product was removed from the store
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
        """Complete a trial with its scores and curve from the store."""
        curve: dict[int, float] = {}
        for epoch, metrics in enumerate(result.history, 1):
            self.listener.epoch(running.trial, self._replayed(running, epoch, metrics))
            if running.score in metrics:
                curve[epoch] = metrics[running.score]
                running.study.report(running.asked, epoch, metrics[running.score])
        self.remember(running.study.arm, f"{running.trial.search}-{running.trial.number}", curve)
        self._complete(running, result.scores)

    def _answer_twin(self, twin: Running, original: Running) -> None:
        """End a trial that waited for its twin in the same way."""
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
        self._ended(running, End("complete", scores=named))

    def _prune(self, running: Running) -> None:
        self._note_seconds(running)
        running.study.prune(running.asked)
        self._ended(running, End("pruned"))

    def _fail(self, running: Running, cause: str) -> None:
        self._note_seconds(running)
        running.study.fail(running.asked, cause)
        self._ended(running, End("failed", cause))

    def _put_back(self, running: Running) -> None:
        running.study.put_back(running.asked.number, running.asked.point)
        self._ended(running, End("stopped"))

    def _ended(self, running: Running, end: End) -> None:
        self.listener.ended(running.trial, replace(end, seconds=running.seconds))

    @staticmethod
    def _replayed(running: Running, epoch: int, metrics: Mapping[str, float]) -> FitEvent:
        """The event of an epoch that the store has."""
        assert running.final is not None
        model = running.final.inputs["model"]
        epochs = model.attached.epoch
        return FitEvent(
            "", model.attached.title, epoch, epochs, metrics, replayed=True, training=model.key, until=epochs
        )

    def _note_seen(self, running: Running) -> None:
        """Heartbeat of the trial with its device time so far, which counts if the launch dies."""
        running.noted = self.clock()
        running.study.note(running.asked, SEEN, time.time())
        running.study.note(running.asked, SECONDS, running.lost_seconds + running.seconds)

    @staticmethod
    def _note_seconds(running: Running) -> None:
        running.study.note(running.asked, SECONDS, running.seconds)

    @staticmethod
    def _described(study: ArmStudy, number: int, point: Mapping[str, Any], key: str) -> SearchTrial:
        cell = study.arm.cell
        try:
            experiment = study.arm.at(point).with_replicate(cell.replicate)
        except UserError:
            experiment = cell.experiment
        place = (cell.arm.name, dict(cell.arm.coordinates), cell.replicate)
        return SearchTrial(study.arm.name, number, *place, key, dict(point), experiment)
