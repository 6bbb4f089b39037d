"""Ends hopeless trials of a search: each arm's are compared among themselves."""

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
"""ASHA keeps the best third at every rung."""


class ArmSchedulers(FIFOScheduler):
    """Ends hopeless trials: each arm's are compared among themselves, by epochs of their own training.

    Stopper "asha": one of Tune's ASHA schedulers an arm. "median": Optuna's pruner, which reads the storage.

    Args:
        can_stop: off, every trial comes to its end.
    """

    def __init__(self, arms: Sequence[SearchArm], can_stop: bool = True) -> None:
        super().__init__()
        self.dispatcher: TrialDispatcher | None = None
        self.can_stop = can_stop
        self.asha = {arm.name: scheduler for arm in arms if (scheduler := _asha(arm)) is not None}

    def watch(self, dispatcher: TrialDispatcher) -> None:
        """Whose trials are judged."""
        self.dispatcher = dispatcher

    def remember(self, arm: SearchArm, name: str, curve: Mapping[int, float]) -> None:
        """A curve that did not run here, of an earlier launch or from the store."""
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
            running.pruned = self._is_hopeless(running, tune_controller, trial, epoch, score)
        over = running.pruned or running.asked.taken
        return str(TrialScheduler.STOP if over else TrialScheduler.CONTINUE)

    def _is_hopeless(self, running: Running, controller: Any, trial: Trial, epoch: int, score: float) -> bool:
        if not self.can_stop or epoch >= running.experiment.train.epochs:
            return False  # after its last epoch all that is left is to score it
        asha = self.asha.get(running.trial.search)
        if asha is None:
            return running.study.is_hopeless(running.asked)
        return bool(asha.on_trial_result(controller, trial, _rung(epoch, score)) == TrialScheduler.STOP)

    def _running(self, trial: Trial) -> Running | None:
        return self.dispatcher.trials.get(trial.trial_id) if self.dispatcher else None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it to restore a run


@dataclass(frozen=True)
class _Past:
    """As much of a Tune trial as ASHA looks at."""

    trial_id: str


def _rung(epoch: int, score: float) -> dict[str, Any]:
    """A result as ASHA reads it."""
    return {"search_epoch": epoch, "search_score": score}


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
