"""Early stopping of search trials, separately for each arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from raysweep.engine.messages import Epoch, unpacked
from raysweep.study.search_plan import SearchArm

from .sampler import grace_of
from .trial_dispatcher import Running, TrialDispatcher

REDUCTION = 3
"""Reduction factor of ASHA: the best third of the trials passes each rung."""


class ArmSchedulers(FIFOScheduler):
    """Stops trials whose validation score is worse than that of other trials of the arm at the same epoch.

    Stopper "asha": one Tune ASHA scheduler per arm; "median": Optuna's pruner on the storage.

    Args:
        can_stop: False to run every trial to its end.
    """

    def __init__(self, arms: Sequence[SearchArm], can_stop: bool = True) -> None:
        super().__init__()
        self.dispatcher: TrialDispatcher | None = None
        self.can_stop = can_stop
        self.asha = {arm.name: scheduler for arm in arms if (scheduler := _asha(arm)) is not None}

    def watch(self, dispatcher: TrialDispatcher) -> None:
        """Set the dispatcher whose trials are compared."""
        self.dispatcher = dispatcher

    def remember(self, arm: SearchArm, name: str, curve: Mapping[int, float]) -> None:
        """Add the curve of a trial that did not run here but in an earlier launch or is in the store."""
        asha = self.asha.get(arm.name)
        if asha is not None:
            past = _Past(name)
            asha.on_trial_add(None, past)
            for epoch, score in sorted(curve.items()):
                asha.on_trial_result(None, past, _rung(epoch, score))

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        running = self._running(trial)
        if running is not None and running.trial.search in self.asha:
            self.asha[running.trial.search].on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        running, message = self._running(trial), unpacked(result)
        if running is None or not isinstance(message, Epoch) or not running.is_own(message.event):
            return str(TrialScheduler.CONTINUE)
        epoch, score = message.event.epoch, message.event.metrics.get(running.score, math.nan)
        if math.isfinite(score):
            running.study.report(running.asked, epoch, score)
            running.pruned = self._should_stop(running, tune_controller, trial, epoch, score)
        over = running.pruned or running.asked.taken
        return str(TrialScheduler.STOP if over else TrialScheduler.CONTINUE)

    def _should_stop(self, running: Running, controller: Any, trial: Trial, epoch: int, score: float) -> bool:
        if not self.can_stop or epoch >= running.experiment.train.epochs:
            return False  # after the last epoch only scoring is left
        asha = self.asha.get(running.trial.search)
        if asha is None:
            return running.study.should_prune(running.asked)
        return bool(asha.on_trial_result(controller, trial, _rung(epoch, score)) == TrialScheduler.STOP)

    def _running(self, trial: Trial) -> Running | None:
        return self.dispatcher.trials.get(trial.trial_id) if self.dispatcher else None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it to restore runs


@dataclass(frozen=True)
class _Past:
    """The part of a Tune trial that ASHA reads."""

    trial_id: str


def _rung(epoch: int, score: float) -> dict[str, Any]:
    """A result for ASHA."""
    return {"search_epoch": epoch, "search_score": score}


def _asha(arm: SearchArm) -> AsyncHyperBandScheduler | None:
    """ASHA with rungs at an eighth of the longest training, three times that, and so on; none for one epoch."""
    longest = arm.most_epochs - 1  # stopping after the last epoch saves nothing
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
