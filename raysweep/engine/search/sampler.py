"""Optuna samplers and pruners for a `Search`."""

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
"""Population of NSGA-II: a budget of 40 trials has two generations."""


class SteadySampler(BaseSampler):
    """Seeds every trial by its position among the counted trials, so that a resumed search draws the same points.

    Optuna's own samplers restart their random numbers in every process, and would repeat the first points.

    Args:
        make: makes a sampler from a seed.
        search: text that identifies the search, part of the seed.
        stopped: numbers of trials that do not count because a later trial has continued their point.
    """

    def __init__(self, make: Callable[[int], BaseSampler], search: str, stopped: Callable[[], Collection[int]]) -> None:
        self.make, self.search, self.stopped = make, search, stopped
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
            digest = hashlib.sha256(f"{self.search}/{place}".encode()).digest()
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
    """Minimum epochs of a trial: an eighth of the longest training."""
    return max(1, round(epochs / 8))


def make_pruner(arm: SearchArm) -> optuna.pruners.BasePruner:
    """Optuna's pruner for stopper "median": worse than the median of the trials before, after the grace epochs."""
    if arm.search.stopper != "median":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=grace_of(arm.most_epochs))
