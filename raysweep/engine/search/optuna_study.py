"""One arm's search: an Optuna study behind Ray Tune's OptunaSearch, and what of it an earlier launch left behind."""

from __future__ import annotations

import itertools
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search.optuna import OptunaSearch

from raysweep.core.hashing import canonical_json
from raysweep.study import Budget, Choice, IntUniform, LogUniform, Range
from raysweep.study.search_plan import SearchArm

from .sampler import make_pruner, make_sampler
from .storage import SIGNATURE, check_same

LAUNCH, START, GOES_ON = "raysweep.launch", "raysweep.start", "raysweep.goes_on"
SEEN = "raysweep.seen"
KEY, CAUSE, SECONDS, SCORES = "raysweep.key", "raysweep.cause", "raysweep.seconds", "raysweep.scores"
"""Attributes of an Optuna trial. GOES_ON: number of a stopped or failed trial whose point this one takes up again; that
one does not count any more. SEEN: when the launch last said that the trial runs, in seconds since 1970."""

UNMARKED_SECONDS = 60.0
"""A trial that runs without the mark of a launch: its launch died between making and marking it, or is about to."""

UNSEEN_SECONDS = 3600.0
"""A trial of a launch on another store, of which nobody here knows whether it lives: dead after so long a silence, seen
from here by our own clock."""

STILL_SECONDS = 900.0
"""The same, where its last mark is older than `UNSEEN_SECONDS`, too, by the clock of the machine that left it: clocks
differ, so its word alone is not enough."""

IDLE = 100
"""A search that is limited by hours alone ends after so many trials in a row that cost nothing: it has tried all."""

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass
class ProposedPoint:
    """A point that Optuna proposed. `token`: OptunaSearch's name of it; `trial`: Optuna's own, for attributes; `taken`:
    another launch took this one for dead and has queued the point again."""

    token: str
    number: int
    point: dict[str, Any]
    trial: Any
    reported: set[int] = field(default_factory=set)
    taken: bool = False


@dataclass(frozen=True)
class Found:
    """What a search found for an arm.

    `number`, `values` and `point` of the best trial (None and empty when none was completed); of several objectives
    the one on the Pareto front that is best in the first. `counts` by state: complete, pruned, failed; stopped trials
    whose point was taken up again do not count, their `device_seconds` do. `idle`: how many of the last trials cost
    nothing.
    """

    search: str
    number: int | None
    values: tuple[float, ...]
    point: dict[str, Any]
    counts: dict[str, int]
    device_seconds: float
    first_cause: str = ""
    idle: int = 0

    @property
    def trials(self) -> int:
        return sum(self.counts.values())

    def is_spent(self, budget: Budget) -> bool:
        return _is_spent(budget, self.trials, self.device_seconds, self.idle)

    def describe(self) -> dict[str, Any]:
        """Of an arm in plan.json."""
        return {
            "search": self.search,
            "trials": self.trials,
            **self.counts,
            "device_hours": self.device_seconds / 3600,
            "number": self.number,
            "value": list(self.values),
            "point": self.point,
        }


class ArmStudy:
    """The Optuna study of one arm, as one launch uses it.

    Args:
        alive: whether a launch still lives; None where nobody here can know, since it is not one of this store.
            Trials that a dead one left running are stopped and taken up again.
    """

    def __init__(self, arm: SearchArm, storage: RDBStorage, launch: str, alive: Callable[[str], bool | None]) -> None:
        self.arm, self.launch, self.alive = arm, launch, alive
        search = arm.search
        self.pruner = make_pruner(arm)
        self.study = optuna.create_study(
            study_name=arm.name, storage=storage, directions=search.directions, load_if_exists=True
        )
        if SIGNATURE not in self.study.user_attrs:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self.study.set_metric_names([f"validation/{name}" for name in search.objectives])  # for its dashboard
            self.study.set_user_attr(SIGNATURE, arm.signature)
        check_same(str(storage.url), arm, self.study.user_attrs[SIGNATURE])  # it may have come since the plan was made
        modes = ["max" if direction == "maximize" else "min" for direction in search.directions]
        single = len(modes) == 1
        self.tune = OptunaSearch(
            self._define,
            metric=search.objectives[0] if single else list(search.objectives),
            mode=modes[0] if single else modes,
            sampler=make_sampler(arm, self._stopped),
            study_name=arm.name,
            storage=storage,
        )
        self._start = search.start_points(arm.cell.experiment)
        self._tokens = itertools.count()
        self._marks: dict[int, tuple[object, float]] = {}
        self._asked: ProposedPoint | None = None

    def adopt(self) -> list[FrozenTrial]:
        """Stop what dead launches left running and queue it again. Returns what was left."""
        left = [trial for trial in self._trials(TrialState.RUNNING) if self._is_left(trial)]
        return [trial for trial in left if self.put_back(trial.number, trial.params)]

    def retry(self) -> int:
        """Queue every failed point again: its failure does not count any more. Returns how many."""
        stopped = self._stopped()
        failed = [trial for trial in self._trials(TrialState.FAIL) if trial.number not in stopped]
        for trial in failed:
            self._queue_again(trial.number, trial.params)
        return len(failed)

    def elsewhere(self) -> int:
        """How many trials other launches run."""
        return sum(t.user_attrs.get(LAUNCH) != self.launch for t in self._trials(TrialState.RUNNING))

    def ask(self) -> ProposedPoint:
        """The next point: what a stopped trial left, else a start point, else the sampler's."""
        self._queue_start_point()
        token = f"{self.arm.name}-{next(self._tokens)}"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Define-by-run function", UserWarning)  # a GP takes its time
            self.tune.suggest(token)
        asked = self._asked
        assert asked is not None
        asked.token = token
        return asked

    def report(self, asked: ProposedPoint, epoch: int, score: float) -> None:
        """A score of the curve, each epoch once; of several objectives Optuna keeps none."""
        single = len(self.arm.search.objectives) == 1
        if single and epoch not in asked.reported and math.isfinite(score):
            asked.reported.add(epoch)
            with _noticing(asked):
                self.tune.on_trial_result(asked.token, {self.tune.metric: score, "training_iteration": epoch})

    def note(self, asked: ProposedPoint, name: str, value: Any) -> None:
        """Set an attribute of the trial."""
        with _noticing(asked):
            asked.trial.set_user_attr(name, value)

    def is_hopeless(self, asked: ProposedPoint) -> bool:
        """Optuna's pruner about what was reported so far."""
        trial = self.study.get_trials(deepcopy=False)[asked.number]
        return self.pruner.prune(self.study, trial)

    def complete(self, asked: ProposedPoint, scores: Mapping[str, float]) -> None:
        """`scores`: by name, as `validation/<name>`, finite where they are objectives."""
        self.note(asked, SCORES, {name: value for name, value in scores.items() if math.isfinite(value)})
        values = {name: scores[f"validation/{name}"] for name in self.arm.search.objectives}
        self.tune.on_trial_complete(asked.token, values)

    def prune(self, asked: ProposedPoint) -> None:
        self.tune.on_trial_complete(asked.token, {})

    def fail(self, asked: ProposedPoint, cause: str) -> None:
        self.note(asked, CAUSE, cause[:2000])
        self.tune.on_trial_complete(asked.token, None, error=True)

    def put_back(self, number: int, point: Mapping[str, Any]) -> bool:
        """Stop a trial and queue its point: whoever asks next gets it, and trains on from its checkpoint.

        False when another launch has done so.
        """
        try:
            self.study.tell(number, state=TrialState.FAIL)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            return False
        self._queue_again(number, point)
        return True

    def twin(self, asked: ProposedPoint, key: str) -> FrozenTrial | None:
        """An earlier trial of this search that ended with the same numbers to be had."""
        stopped = self._stopped()
        ended = (trial for trial in self._trials(*COUNTED) if trial.number not in stopped)
        return next((t for t in ended if t.number != asked.number and t.user_attrs.get(KEY) == key), None)

    def is_spent(self, budget: Budget) -> bool:
        """Whether what ended and what runs use the budget up."""
        stopped, trials = self._stopped(), self._trials(TrialState.RUNNING, *COUNTED)
        seconds = sum(trial.user_attrs.get(SECONDS, 0.0) for trial in trials)
        return _is_spent(budget, sum(trial.number not in stopped for trial in trials), seconds, _idle(trials))

    def curves(self) -> dict[int, dict[int, float]]:
        """Reported scores of the trials that ended, by number and epoch."""
        stopped = self._stopped()
        ended = self._trials(TrialState.COMPLETE, TrialState.PRUNED)
        return {trial.number: trial.intermediate_values for trial in ended if trial.number not in stopped}

    def found(self) -> Found:
        return summary(self.study)

    def _queue_start_point(self) -> None:
        """The next start point that this search has not had, unless something waits already: Optuna takes what waits
        longest, and what a stopped trial left comes first."""
        had = {trial.user_attrs.get(START) for trial in self._trials()}
        new = [point for point in self._start if canonical_json(point) not in had]
        if new and not self._trials(TrialState.WAITING):
            self.study.enqueue_trial(new[0], user_attrs={START: canonical_json(new[0])})

    def _queue_again(self, number: int, point: Mapping[str, Any]) -> None:
        self.study.enqueue_trial(dict(point), user_attrs={GOES_ON: number})

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    def _stopped(self) -> set[int]:
        return stopped_numbers(self.study)

    def _is_left(self, trial: FrozenTrial) -> bool:
        launch = trial.user_attrs.get(LAUNCH)
        began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        if launch == self.launch:
            return False
        seen = trial.user_attrs.get(SEEN, began)
        still = self._seconds_still(trial.number, (launch, seen))
        if launch is None:
            return still > UNMARKED_SECONDS
        alive = self.alive(launch)
        if alive is not None:
            return not alive
        return still > (STILL_SECONDS if time.time() - seen > UNSEEN_SECONDS else UNSEEN_SECONDS)

    def _seconds_still(self, number: int, mark: object) -> float:
        """For how long, by our own clock, a trial's marks have been as they are."""
        now = time.monotonic()
        if self._marks.get(number, (None, 0.0))[0] != mark:
            self._marks[number] = (mark, now)
        return now - self._marks[number][1]

    def _define(self, trial: Any) -> None:
        """The search space, run by OptunaSearch for every new trial: Optuna's define-by-run style."""
        trial.set_user_attr(LAUNCH, self.launch)
        point = self.arm.search.point(self.arm.cell.experiment, lambda path, values: _suggested(trial, path, values))
        self._asked = ProposedPoint("", trial.number, point, trial)


@contextmanager
def _noticing(asked: ProposedPoint) -> Iterator[None]:
    """A trial that is over for everybody else cannot be changed."""
    try:
        yield
    except optuna.exceptions.UpdateFinishedTrialError:
        asked.taken = True


def stopped_numbers(study: optuna.Study) -> set[int]:
    """Trials whose point a later one has taken up."""
    attributes = (trial.user_attrs.get(GOES_ON) for trial in study.get_trials(deepcopy=False))
    return {number for number in attributes if number is not None}


def summary(study: optuna.Study) -> Found:
    """Where a search stands."""
    stopped = stopped_numbers(study)
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state in COUNTED]
    counted = [trial for trial in trials if trial.number not in stopped]
    best = _best(study)
    causes = [trial.user_attrs.get(CAUSE, "unknown") for trial in counted if trial.state is TrialState.FAIL]
    names = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    return Found(
        study.study_name,
        None if best is None else best.number,
        () if best is None else tuple(best.values),
        {} if best is None else dict(best.params),
        {name: sum(trial.state is state for trial in counted) for state, name in names.items()},
        sum(trial.user_attrs.get(SECONDS, 0.0) for trial in trials),
        causes[0] if causes else "",
        _idle(trials),
    )


def _is_spent(budget: Budget, trials: int, seconds: float, idle: int) -> bool:
    if budget.trials is not None and trials >= budget.trials:
        return True
    if budget.device_hours is None:
        return False
    return seconds >= budget.device_hours * 3600 or (budget.trials is None and idle >= IDLE)


def _idle(trials: Sequence[FrozenTrial]) -> int:
    """How many of the last trials cost nothing: the store had them, they wait for a twin, or no Experiment is that."""
    free = (SEEN not in trial.user_attrs and not trial.user_attrs.get(SECONDS) for trial in reversed(trials))
    return sum(1 for _ in itertools.takewhile(bool, free))


def _best(study: optuna.Study) -> FrozenTrial | None:
    """The best trial; of several objectives the one on the Pareto front that is best in the first. Ties: the first."""
    front = study.best_trials
    if not front:
        return None
    sign = -1 if study.directions[0] is optuna.study.StudyDirection.MAXIMIZE else 1
    return min(front, key=lambda trial: (sign * trial.values[0], trial.number))


def _suggested(trial: Any, path: str, values: Range) -> Any:
    if isinstance(values, Choice):
        return trial.suggest_categorical(path, list(values.choices))
    if isinstance(values, IntUniform):
        return trial.suggest_int(path, values.low, values.high, log=values.log)
    low, high = values.probes()[0], values.probes()[-1]
    return trial.suggest_float(path, low, high, log=isinstance(values, LogUniform))
