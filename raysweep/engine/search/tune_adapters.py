"""Tune's view of a search: a searcher over all arms, a scheduler an arm, and callbacks that tell the desk."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from raysweep.core.errors import describe
from raysweep.engine.interrupt import CtrlC
from raysweep.pipeline import FitEvent
from raysweep.study.search_plan import SearchArm

from .dispatcher import Desk, Running
from .sampler import grace_of

REDUCTION = 3
"""ASHA keeps the best third at every rung."""


class ArmsSearcher(Searcher):
    """Suggests the trials that the desk hands out; each arm's come from its OptunaSearch.

    Counts itself how many run at once: Tune's limiter would never hear of a trial that is lost (`DeskWatch`).
    """

    def __init__(self, desk: Desk, configure: Callable[[Running], dict[str, Any]], concurrency: int) -> None:
        super().__init__(metric=None, mode=None)
        self.desk, self.configure, self.concurrency = desk, configure, concurrency

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self.desk.running) >= self.concurrency:
            return None
        with self.desk.fault.kept():
            running = self.desk.next(trial_id)
            if running is not None:
                return self.configure(running)
        return str(Searcher.FINISHED) if self.desk.finished else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `DeskWatch` tells the desk."""

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a search goes on from its Optuna storage."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing; see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it to restore a run


class ArmSchedulers(FIFOScheduler):
    """Ends hopeless trials: each arm's are compared among themselves, by epochs of their own training.

    Stopper "asha": one of Tune's ASHA schedulers an arm. "median": Optuna's pruner, which reads the storage.

    Args:
        can_stop: off, every trial comes to its end.
    """

    def __init__(self, arms: Sequence[SearchArm], can_stop: bool = True) -> None:
        super().__init__()
        self.desk: Desk | None = None
        self.can_stop = can_stop
        self.asha = {arm.name: scheduler for arm in arms if (scheduler := _asha(arm)) is not None}

    def watch(self, desk: Desk) -> None:
        self.desk = desk

    def remember(self, arm: SearchArm, name: str, curve: Mapping[int, float]) -> None:
        """A curve that did not run here, of an earlier launch or from the store."""
        asha = self.asha.get(arm.name)
        if asha is not None:
            past = _Past(name)
            asha.on_trial_add(None, past)
            for epoch, score in sorted(curve.items()):
                asha.on_trial_result(None, past, {"search_epoch": epoch, "search_score": score})

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        running = self._running(trial)
        if running is not None and running.trial.search in self.asha:
            self.asha[running.trial.search].on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        running = self._running(trial)
        score = result.get("search_score")
        if self.desk is None or running is None or score is None or not math.isfinite(score):
            return str(TrialScheduler.CONTINUE)
        with self.desk.fault.kept():
            running.study.report(running.asked, result["search_epoch"], score)
            running.pruned = self._is_hopeless(running, tune_controller, trial, result)
        over = running.pruned or running.asked.taken
        return str(TrialScheduler.STOP if over else TrialScheduler.CONTINUE)

    def _is_hopeless(self, running: Running, controller: Any, trial: Trial, result: dict[str, Any]) -> bool:
        if not self.can_stop or result["search_epoch"] >= running.experiment.train.epochs:
            return False  # after its last epoch all that is left is to score it
        asha = self.asha.get(running.trial.search)
        if asha is not None:
            return bool(asha.on_trial_result(controller, trial, result) == TrialScheduler.STOP)
        return running.study.is_hopeless(running.asked)

    def _running(self, trial: Trial) -> Running | None:
        return self.desk.running.get(trial.trial_id) if self.desk else None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it to restore a run


@dataclass(frozen=True)
class _Past:
    """As much of a Tune trial as ASHA looks at."""

    trial_id: str


def _asha(arm: SearchArm) -> AsyncHyperBandScheduler | None:
    """ASHA with rungs at an eighth of the longest training, three times that, and so on; none for one epoch."""
    longest = arm.most_epochs - 1  # stopping in the last epoch would save nothing
    if arm.search.stopper != "asha" or longest < 1:
        return None
    return AsyncHyperBandScheduler(
        time_attr="search_epoch",
        metric="search_score",
        mode="max" if arm.search.directions[0] == "maximize" else "min",
        max_t=longest,
        grace_period=min(longest, grace_of(arm.most_epochs)),
        reduction_factor=REDUCTION,
        stop_last_trials=False,
    )


class DeskWatch(tune.Callback):
    """Turns Tune's callbacks into words to the desk."""

    def __init__(self, desk: Desk, ctrl_c: CtrlC) -> None:
        self.desk, self.ctrl_c = desk, ctrl_c
        self.active: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # as above

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.ctrl_c.check()
        for trial in trials:  # Tune tells nobody of a trial that could not take over a process
            if trial.status == Trial.ERROR and trial.trial_id in self.desk.running:
                self._over(trial)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.active.add(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if trial.trial_id in self.desk.running:
            with self.desk.fault.kept():
                self._tell(trial.trial_id, result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._over(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        error = trial.get_error()
        if trial.trial_id in self.desk.running:
            self.desk.failed(trial.trial_id, describe(error) if error else "its process died")
        self._over(trial)

    def _tell(self, name: str, result: dict[str, Any]) -> None:
        desk = self.desk
        if "began" in result:
            desk.began(name)
        elif "event" in result:
            desk.epoch(name, FitEvent(**result["event"]), result["seconds"], result["own"])
        elif "made" in result:
            desk.done(name, result["scores"], result["seconds"])
        elif "failed" in result:
            desk.failed(name, result["failed"], result["seconds"])
        elif "full" in result:
            desk.stop(result["full"])

    def _over(self, trial: Trial) -> None:
        self.active.discard(trial.trial_id)
        if trial.trial_id in self.desk.running:
            with self.desk.fault.kept():
                self.desk.ended(trial.trial_id)
