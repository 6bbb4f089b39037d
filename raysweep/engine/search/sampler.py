"""Optuna's samplers and pruners as a `Search` asks for them."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Collection
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from raysweep.core.hashing import canonical_json
from raysweep.study.search import Search
from raysweep.study.search_plan import SearchArm

POPULATION = 20
"""Of NSGA-II: a budget of 40 trials sees two generations."""


class SteadySampler(BaseSampler):
    """Draws of a trial depend on its place among the trials that count and on what those before it gave.

    So a search that was stopped goes on with the points that it would have tried anyway: Optuna's own samplers start
    their random numbers anew in every process, and would try the first points again.

    Args:
        make: a sampler for a seed.
        words: names the search; another search draws other points.
        stopped: numbers of trials that do not count, because a later one has taken their point up again.
    """

    def __init__(self, make: Callable[[int], BaseSampler], words: str, stopped: Callable[[], Collection[int]]) -> None:
        self.make, self.words, self.stopped = make, words, stopped
        self._samplers: dict[int, BaseSampler] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._of(trial).before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self._of(trial).after_trial(study, trial, state, values)
        del self._samplers[trial.number]

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        if trial.number not in self._samplers:
            place = trial.number - sum(number < trial.number for number in self.stopped())
            digest = hashlib.sha256(f"{self.words}/{place}".encode()).digest()
            self._samplers[trial.number] = self.make(int.from_bytes(digest[:4], "little"))
        return self._samplers[trial.number]


def make_sampler(arm: SearchArm, stopped: Callable[[], Collection[int]]) -> BaseSampler:
    """The sampler of an arm's search; arms and replicates draw different points."""
    search = arm.search
    return SteadySampler(lambda seed: _sampler(search, seed), f"{arm.name} {canonical_json(arm.signature)}", stopped)


def _sampler(search: Search, seed: int) -> BaseSampler:
    conditional = any(values.conditions for values in search.space.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if search.sampler == "gp":
            return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)
        if search.sampler == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if search.sampler == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=POPULATION)
        if search.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if conditional and len(search.objectives) == 1:
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
        return optuna.samplers.TPESampler(seed=seed)


def grace_of(epochs: int) -> int:
    """Epochs that a trial always gets: an eighth of the longest training."""
    return max(1, round(epochs / 8))


def make_pruner(arm: SearchArm) -> optuna.pruners.BasePruner:
    """Optuna's pruner for stopper "median": worse than the median of the trials before, after the grace epochs."""
    if arm.search.stopper != "median":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=grace_of(arm.most_epochs))
