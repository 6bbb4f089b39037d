"""One arm's search: an Optuna study used through Ray Tune's OptunaSearch, and resumed across launches."""

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
"""Attributes of an Optuna trial. GOES_ON: number of the stopped or failed trial whose point this one continues; that
one no longer counts. SEEN: last heartbeat of the running trial, in seconds since 1970."""

UNMARKED_SECONDS = 60.0
"""Seconds after which a running trial without a LAUNCH attribute is dead: its launch died before setting it."""

UNSEEN_SECONDS = 3600.0
"""Seconds without a heartbeat, by the local clock, after which a trial of a launch on another store is dead."""

STILL_SECONDS = 900.0
"""The same if its last SEEN time is older than `UNSEEN_SECONDS`; not trusted alone, since clocks of machines differ."""

IDLE = 100
"""A search limited by hours only ends after this many consecutive trials without cost: every point was tried."""

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass
class ProposedPoint:
    """A point that Optuna proposed. `token`: its OptunaSearch trial id; `trial`: the Optuna trial; `taken`: another
    launch took this one for dead and queued the point again."""

    token: str
    number: int
    point: dict[str, Any]
    trial: Any
    reported: set[int] = field(default_factory=set)
    taken: bool = False


@dataclass(frozen=True)
class Found:
    """Result of an arm's search.

    `number`, `values` and `point` of the best trial (None and empty if none is complete); for several objectives, the
    trial of the Pareto front that is best in the first. `counts` by state: complete, pruned, failed; trials whose point
    was continued do not count, but their `device_seconds` do. `idle`: number of last trials without cost.
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
        """The entry of the arm in plan.json."""
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
        alive: whether a launch is alive; None for a launch unknown to this store. Running trials of dead launches
            are stopped and queued again.
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
                self.study.set_metric_names([f"validation/{name}" for name in search.objectives])  # for dashboards
            self.study.set_user_attr(SIGNATURE, arm.signature)
        check_same(str(storage.url), arm, self.study.user_attrs[SIGNATURE])  # it may be new since planning
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
        """Stop running trials of dead launches and queue their points again. Returns those trials."""
        left = [trial for trial in self._trials(TrialState.RUNNING) if self._is_left(trial)]
        return [trial for trial in left if self.put_back(trial.number, trial.params)]

    def retry(self) -> int:
        """Queue every failed point again; its failure no longer counts. Returns their number."""
        stopped = self._stopped()
        failed = [trial for trial in self._trials(TrialState.FAIL) if trial.number not in stopped]
        for trial in failed:
            self._queue_again(trial.number, trial.params)
        return len(failed)

    def elsewhere(self) -> int:
        """Number of trials that other launches run."""
        return sum(t.user_attrs.get(LAUNCH) != self.launch for t in self._trials(TrialState.RUNNING))

    def ask(self) -> ProposedPoint:
        """The next point: of a stopped trial, else a start point, else from the sampler."""
        self._queue_start_point()
        token = f"{self.arm.name}-{next(self._tokens)}"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Define-by-run function", UserWarning)  # raised when a GP is slow
            self.tune.suggest(token)
        asked = self._asked
        assert asked is not None
        asked.token = token
        return asked

    def report(self, asked: ProposedPoint, epoch: int, score: float) -> None:
        """Report the score of an epoch once; Optuna stores no curves for several objectives."""
        single = len(self.arm.search.objectives) == 1
        if single and epoch not in asked.reported and math.isfinite(score):
            asked.reported.add(epoch)
            with _detecting_takeover(asked):
                self.tune.on_trial_result(asked.token, {self.tune.metric: score, "training_iteration": epoch})

    def note(self, asked: ProposedPoint, name: str, value: Any) -> None:
        """Set an attribute of the trial."""
        with _detecting_takeover(asked):
            asked.trial.set_user_attr(name, value)

    def should_prune(self, asked: ProposedPoint) -> bool:
        """Decision of Optuna's pruner on the scores reported so far."""
        trial = self.study.get_trials(deepcopy=False)[asked.number]
        return self.pruner.prune(self.study, trial)

    def complete(self, asked: ProposedPoint, scores: Mapping[str, float]) -> None:
        """`scores` by name (`validation/<name>`); those of objectives are finite."""
        self.note(asked, SCORES, {name: value for name, value in scores.items() if math.isfinite(value)})
        values = {name: scores[f"validation/{name}"] for name in self.arm.search.objectives}
        self.tune.on_trial_complete(asked.token, values)

    def prune(self, asked: ProposedPoint) -> None:
        self.tune.on_trial_complete(asked.token, {})

    def fail(self, asked: ProposedPoint, cause: str) -> None:
        self.note(asked, CAUSE, cause[:2000])
        self.tune.on_trial_complete(asked.token, None, error=True)

    def put_back(self, number: int, point: Mapping[str, Any]) -> bool:
        """Stop a trial and queue its point; the next `ask` returns it, and training resumes from its checkpoint.

        Returns False if another launch has done so.
        """
        try:
            self.study.tell(number, state=TrialState.FAIL)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            return False
        self._queue_again(number, point)
        return True

    def twin(self, asked: ProposedPoint, key: str) -> FrozenTrial | None:
        """An earlier ended trial of this search with the same key, and therefore the same scores."""
        stopped = self._stopped()
        ended = (trial for trial in self._trials(*COUNTED) if trial.number not in stopped)
        return next((t for t in ended if t.number != asked.number and t.user_attrs.get(KEY) == key), None)

    def is_spent(self, budget: Budget) -> bool:
        """Whether ended and running trials use up the budget."""
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
        """Queue the next untried start point if the queue is empty, so that points of stopped trials come first."""
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
        """Seconds, by the local clock, since a trial's mark last changed."""
        now = time.monotonic()
        if self._marks.get(number, (None, 0.0))[0] != mark:
            self._marks[number] = (mark, now)
        return now - self._marks[number][1]

    def _define(self, trial: Any) -> None:
        """The define-by-run search space, which OptunaSearch calls for every new trial."""
        trial.set_user_attr(LAUNCH, self.launch)
        point = self.arm.search.point(self.arm.cell.experiment, lambda path, values: _suggested(trial, path, values))
        self._asked = ProposedPoint("", trial.number, point, trial)


@contextmanager
def _detecting_takeover(asked: ProposedPoint) -> Iterator[None]:
    """Sets `taken` if another launch has already ended the trial."""
    try:
        yield
    except optuna.exceptions.UpdateFinishedTrialError:
        asked.taken = True


def stopped_numbers(study: optuna.Study) -> set[int]:
    """Numbers of trials whose point a later trial has continued."""
    attributes = (trial.user_attrs.get(GOES_ON) for trial in study.get_trials(deepcopy=False))
    return {number for number in attributes if number is not None}


def summary(study: optuna.Study) -> Found:
    """The result of a search so far."""
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
    """Number of last trials without cost: found in the store, waiting for a twin, or an invalid Experiment."""
    free = (SEEN not in trial.user_attrs and not trial.user_attrs.get(SECONDS) for trial in reversed(trials))
    return sum(1 for _ in itertools.takewhile(bool, free))


def _best(study: optuna.Study) -> FrozenTrial | None:
    """The best trial; for several objectives, the one of the Pareto front best in the first. Ties: the earliest."""
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
